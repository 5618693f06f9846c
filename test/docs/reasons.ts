// What docs/troubleshooting.md says of each drop reason.
import type { Reason } from '../../src/packet/reason.js';

export interface Note {
  /** What is the matter with the packet: "A packet that ...". */
  readonly means: string;
  /** Where it comes from, the likeliest first. */
  readonly causes: readonly string[];
  /** What to look at. */
  readonly look: string;
  /** What to do then. */
  readonly next: string;
}

const TRACE = '`grebe trace --drops` shows the packets';

/** By reason; the compiler asks for each. The order is that of the page: where a packet ends on its way. */
export const NOTES: Readonly<Record<Reason, Note>> = {
  'no-tunnel': {
    means: 'is of no tunnel: other addresses, another key, or a key where none is expected',
    causes: [
      'the key differs between the two ends',
      'the peer sends from another address than `remote` says: NAT, or a second address of its own',
      'somebody else sends tunnel packets to this machine, which the Internet does all day',
    ],
    look: `${TRACE}, and \`nearest\` the tunnel that almost took it`,
    next: 'the line behind `next:` there, in the config or at the peer. Strangers are never answered, and need nothing',
  },
  'outer-header': {
    means: 'has an outer header that is cut, inconsistent, or has a wrong checksum',
    causes: ['a broken sender', 'a card or a program that cuts packets'],
    look: `${TRACE}; compare with \`tcpdump -vv -ni eth0 proto 47\``,
    next: 'find the sender; with `underlay = "xdp"` try `"raw"`, where the kernel has checked headers before',
  },
  'outer-martian': {
    means: 'claims to come from loopback, multicast, 0.0.0.0/8 or one of our own addresses',
    causes: ['forged packets', 'a loop that brings our own packets back'],
    look: `${TRACE}; \`tcpdump -eni eth0 proto 47\` shows the hardware address of who sent it`,
    next: 'drop such senders at the edge of the network (BCP 38)',
  },
  'outer-fragment': {
    means: 'is a fragment of an outer packet',
    causes: [
      'a tunnel at the peer with an MTU above what the path takes, and DF clear',
      'with `underlay = "xdp"` alone: raw sockets get packets that the kernel has put together',
    ],
    look: 'the MTU of the tunnel at the peer, and `ping -M do -s 1472 PEER` on the underlay',
    next: 'lower the MTU at the peer, or set `pmtudisc` there',
  },
  'gre-truncated': {
    means: 'is shorter than its GRE flags say',
    causes: ['something else than GRE in IP protocol 47', 'a broken sender'],
    look: TRACE,
    next: 'find the sender; `grebe decode --hex` reads single packets',
  },
  'gre-version': {
    means: 'is GRE version 1 or higher',
    causes: ['PPTP between the same two machines'],
    look: TRACE,
    next: 'nothing, where PPTP is wanted: its own program gets the packets too',
  },
  'gre-routing-present': {
    means: 'asks for source routing as in RFC 1701',
    causes: ['a very old router', 'a scanner'],
    look: TRACE,
    next: 'switch source routing off at the peer; RFC 2784 has none',
  },
  'gre-reserved-bits': {
    means: 'has bits of the GRE header set that must be 0 (RFC 2784, 2.3)',
    causes: ['strict source route or recursion control of RFC 1701', 'a broken sender'],
    look: TRACE,
    next: 'have the peer send plain GRE',
  },
  'gre-checksum': {
    means:
      'has a wrong GRE checksum, or with `profile = "linux"` one where none is expected, or none where one is',
    causes: [
      'a guest or container on the same machine, whose checksums are left to a card that its packets never meet',
      'a device on the way that changes packets: NAT of inner addresses, a broken offload',
      'with `profile = "linux"`: `csum` differs between the ends',
    ],
    look: `${TRACE}; \`ethtool -k eth0\` for offloads of the card`,
    next: '`ethtool -K eth0 tx off` at the sender; `csum` alike on both sides',
  },
  'gre-sequence': {
    means:
      'has a number that is not newer than one that was accepted, or with `profile = "linux"` none',
    causes: [
      'packets overtake each other on the way',
      'the path doubles packets',
      'several senders with the same addresses and key',
      'the peer was started again: its first seven packets, then grebe follows the new numbers',
    ],
    look: `${TRACE}; the gaps between numbers tell overtaking from doubles`,
    next: '`reorder` lets early packets wait; `seq = { in = false }` takes all of them',
  },
  'unknown-protocol': {
    means:
      'carries what the mode does not: no IP, or the IP version that the mode has no place for',
    causes: [
      'the peer has an Ethernet tunnel (`gretap`) and this side `gre`, or the other way round',
      'IPv6 in `ipip`, IPv4 in `sit`',
      'keepalives or protocols of a vendor (CDP, CLNS, MPLS)',
    ],
    look: `${TRACE}, with the protocol type`,
    next: 'the same mode on both sides; `gre` carries both IP versions',
  },
  'udp-header': {
    means: 'is `gre-udp` with a UDP length that is wrong',
    causes: ['a broken sender'],
    look: `${TRACE}; \`tcpdump -vv -ni eth0 udp port 4754\``,
    next: 'find the sender',
  },
  'udp-checksum': {
    means: 'is `gre-udp` with a wrong UDP checksum',
    causes: ['an offload on the way that leaves checksums unfinished', 'damage on the way'],
    look: '`ethtool -k` of both machines and of bridges between them',
    next: 'switch `tx` checksum offload of the sender off. Over UDP sockets the kernel drops such packets itself',
  },
  'inner-truncated': {
    means: 'ends before its inner header does',
    causes: ['a broken sender', 'a tunnel of another kind with the same key'],
    look: TRACE,
    next: 'find the sender; `grebe decode --hex` reads single packets',
  },
  'inner-version': {
    means: 'announces one IP version and carries another',
    causes: ['a broken sender'],
    look: TRACE,
    next: 'find the sender',
  },
  'inner-header': {
    means: 'has an inner header that is inconsistent, or has a wrong checksum',
    causes: ['a broken sender', 'a device that changes inner headers and not their checksum'],
    look: TRACE,
    next: 'find the sender; a device that was to translate inner addresses is a candidate',
  },
  'inner-martian': {
    means:
      'has an inner address that no packet may have there: loopback, 0.0.0.0/8, a group as sender, link-local IPv4',
    causes: [
      'inner link-local addresses (169.254.0.0/16) that neither `address` nor `allow` names: AWS uses them',
      'a host behind the peer without an address of its own',
      'forged packets',
    ],
    look: TRACE,
    next: 'for 169.254.0.0/16: name the network in `address` or `allow`',
  },
  'inner-src-spoof': {
    means: 'has an inner sender that is not in `allow`, or is one of our own addresses',
    causes: [
      'a network behind the peer that is not in `routes` or `allow`, often one learned by BGP or OSPF',
      "Cloudflare's health checks, whose sender is our own inner address",
      'a loop that brings our own packets back',
      'forged packets',
    ],
    look: `${TRACE}; \`grebe explain --hex\` for one of them after the change`,
    next: 'add the network to `allow`, or to `routes` if traffic goes there too; `reflect = true` for health checks; `allow = ["any"]` for senders of the whole Internet',
  },
  'inner-dst-policy': {
    means: 'is addressed, inside, to an outer address of ours',
    causes: [
      'the peer routes the address of our end into the tunnel: a default route there without one for this machine',
    ],
    look: 'at the peer: `ip route get` for our outer address',
    next: 'a host route to our outer address past the tunnel, at the peer',
  },
  'inner-ttl': {
    means: 'has no hops left',
    causes: [
      'traceroute, which is answered',
      'a loop of routes between the two ends',
      'a sender with a small TTL',
    ],
    look: `${TRACE}: the same packet again and again is a loop`,
    next: 'find the two routes that point at each other with `ip route get` on both sides',
  },
  'nesting-limit': {
    means: 'is a tunnel packet, inside, for a tunnel of ours again',
    causes: [
      'the route to the end of the tunnel leads through the tunnel: a default route into it, or a route learned by BGP over it',
    ],
    look: '`ip route get REMOTE`: it must not name the tunnel',
    next: 'a host route to `remote` by the uplink; in BGP a filter, as in [BGP over a tunnel](bgp.md)',
  },
  'encap-limit': {
    means: 'says itself that it may enter no tunnel more (RFC 2473, 4.1)',
    causes: ['more tunnels in a row than the first one allows', 'a loop through several tunnels'],
    look: TRACE,
    next: '`encaplimit` of the first tunnel, or a tunnel less on the way',
  },
  ecn: {
    means: 'was marked for congestion on the way and cannot say so inside (RFC 6040, 4.2)',
    causes: ['a router on the way that marks packets of senders without ECN'],
    look: 'the queues on the way; `tc -s qdisc` shows marks',
    next: '`ecn = "compatibility"` at the peer, which then sends packets that are not marked',
  },
  'no-route': {
    means: 'has nowhere to go',
    causes: [
      '`remote = "any"` without `peers`',
      'a tunnel with `peers`, and none of them has the destination in its `routes`',
      'the kernel has no route to the peer, or one that leads nowhere; its network is down',
      'it came from the multicast group that it would go to',
    ],
    look: '`grebe explain to DESTINATION via TUNNEL`; `ip route get REMOTE`',
    next: 'a peer with that destination, or a route of the underlay',
  },
  'too-big': {
    means: 'is larger than tunnel or path take, and may not be fragmented',
    causes: [
      'path MTU discovery at work: the sender is told, and sends smaller packets from then on',
      'a sender that ignores it, or never hears of it because a firewall drops ICMP',
    ],
    look: '`grebe status -j`: a few are normal, a growing number is not; `pathMtu` is what was learned',
    next: 'let ICMP "fragmentation needed" and "packet too big" pass between sender and this machine; `mss = "auto"` keeps TCP below',
  },
  'tx-enobufs': {
    means: 'was refused by the kernel for want of buffers',
    causes: ['the device of the underlay is slower than the traffic'],
    look: '`tc -s qdisc show dev eth0` and `ip -s link show dev eth0`',
    next: 'slower senders, or a longer queue: `ip link set dev eth0 txqueuelen 10000`',
  },
  'tx-error': {
    means: 'was refused by the kernel on sending',
    causes: [
      "a firewall rule on this machine's output",
      'a `prohibit` route to the peer, or a broadcast address for `remote`',
    ],
    look: '`nft list ruleset` and `ip route get REMOTE`',
    next: 'mend the rule or the route',
  },
  'queue-full': {
    means: 'was not taken by the tunnel device',
    causes: ['the machine does not keep up with what arrives'],
    look: '`top`: is a core full? `grebe status` for the rates',
    next: 'see [performance](performance.md); a longer queue for bursts: `ip link set dev NAME txqueuelen 10000`',
  },
  'icmp-malformed': {
    means: 'is an ICMP error of the underlay that quotes what no tunnel of ours sends',
    causes: ['forged errors', 'a router that quotes wrongly'],
    look: '`tcpdump -vv -ni eth0 icmp`',
    next: 'nothing, as it has no effect',
  },
  'icmp-no-tunnel': {
    means: 'is an ICMP error of the underlay about a packet of no tunnel',
    causes: [
      'a tunnel that was removed a moment ago',
      'other tunnel software on this machine',
      'forged errors',
    ],
    look: '`tcpdump -vv -ni eth0 icmp`',
    next: 'nothing, as it has no effect',
  },
  'tunnel-down': {
    means: 'is of a tunnel that is down',
    causes: [
      'the peer does not answer `keepalive` or `probe`',
      'the host name of `remote` has no address',
      'the device was set down or deleted',
    ],
    look: '`grebe status`: the reason stands beside `down`',
    next: 'ask for the peer; `ip link set up dev NAME`; a device that is gone comes back with `grebe reload`',
  },
  'codec-fault': {
    means: 'made the codec trap, or was left by it in a state that cannot be',
    causes: ['a fault of the codec build; 0 with the builds of grebe'],
    look: '`grebe codec`: which build runs, and whether it verifies',
    next: '`grebe codec use scalar`, and report the packet: it is a bug',
  },
};
