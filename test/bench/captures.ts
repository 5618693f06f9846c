// What the programs print that the path bench reads, captured on Linux 6.18 between two namespaces with one veth
// without offloads: iputils 20221126, iperf 3.12 (of its JSON, only the member `end` without its streams).

// ping -n -i 0.00333 -c 6 -w 3 192.0.2.2
export const PING = `PING 192.0.2.2 (192.0.2.2) 56(84) bytes of data.
64 bytes from 192.0.2.2: icmp_seq=1 ttl=64 time=0.036 ms
64 bytes from 192.0.2.2: icmp_seq=2 ttl=64 time=0.013 ms
64 bytes from 192.0.2.2: icmp_seq=3 ttl=64 time=0.007 ms
64 bytes from 192.0.2.2: icmp_seq=4 ttl=64 time=0.006 ms
64 bytes from 192.0.2.2: icmp_seq=5 ttl=64 time=0.011 ms
64 bytes from 192.0.2.2: icmp_seq=6 ttl=64 time=0.006 ms

--- 192.0.2.2 ping statistics ---
6 packets transmitted, 6 received, 0% packet loss, time 15ms
rtt min/avg/max/mdev = 0.006/0.013/0.036/0.010 ms
`;

// ping -n -i 0 -c 3 -w 1 192.0.2.9, an address that nobody has
export const PING_WITHOUT_REPLY = `PING 192.0.2.9 (192.0.2.9) 56(84) bytes of data.

--- 192.0.2.9 ping statistics ---
12 packets transmitted, 0 received, 100% packet loss, time 990ms

`;

// iperf3 -J -c 192.0.2.2 -t 1 -P 2
export const IPERF_TWO_FLOWS = `{"end": {
  "sum_sent": {"start": 0, "end": 1.000095, "seconds": 1.000095, "bytes": 820772864,
    "bits_per_second": 6565559183.877532, "retransmits": 0, "sender": true},
  "sum_received": {"start": 0, "end": 1.000293, "seconds": 1.000293, "bytes": 810090120,
    "bits_per_second": 6478822664.959167, "sender": true},
  "sender_tcp_congestion": "bbr", "receiver_tcp_congestion": "bbr"}}`;

// grep Tcp: /proc/net/snmp
export const SNMP =
  `Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab` +
  ` InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 5 0 0 3 0 521797 569386 0 0 1 0
`;

// head -1 /proc/stat
export const STAT = 'cpu  29236 0 52988 473827 575 0 11342 73 0 0\n';

// grebe check -j, underlay = "xdp" in a version without it (of the object, what is read)
export const CHECK = `{"schema":"grebe.check/1","ok":true,"tunnels":1,"diagnostics":[{"code":"W201",
"severity":"warning","message":"underlay = \\"xdp\\" has no effect: this version does not act on it"}]}`;
