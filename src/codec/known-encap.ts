// Known answers of encap: what a codec build must make of these packets before it goes live.
//
// The bytes are not our own encoder's: scapy 2.5.0 made both sides of every line from the expression
// above it (`inner` is the packet as it came); tshark 4.0.17 calls the IP and GRE checksums of all 10
// tunnel packets that pass good.
//
//   A   = '192.0.2.1'
//   u4  = IP(src='10.20.0.5', dst='10.9.0.7', ttl=64, ...) / UDP(sport=5000, dport=7) [/ data]
//   u6  = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7', hlim=64, ...) / UDP(sport=5000, dport=7)
import type { KnownAnswer } from './known-answers.js';

export const ENCAP_ANSWERS: readonly KnownAnswer[] = [
  // inner = u4(tos=0xb9); IP(src=A, dst='192.0.2.2', ttl=64, tos=1, flags='DF', id=0) / GRE()
  //     / inner
  {
    name: 'gre carries IPv4, outer DF from pmtudisc, ECN copied',
    tunnel: 1,
    packet: '45b9001c00010000401165ef0a1400050a090007138800070008d826',
    result:
      '4501003400004000402fb696c0000201c00002020000080045b9001c00010000401165ef0a1400050a090007138800070008d826',
  },
  // inner = u6(); IP(src=A, dst='192.0.2.2', ttl=64, flags='DF', id=0) / GRE() / inner
  {
    name: 'gre carries IPv6',
    tunnel: 1,
    packet:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '4500004800004000402fb683c0000201c0000202000086dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u4(dst='224.0.0.5', ttl=1); IP(src=A, dst='192.0.2.2', ttl=64, flags='DF', id=0)
  //     / GRE() / inner
  {
    name: 'gre carries multicast',
    tunnel: 1,
    packet: '4500001c000100000111cfb20a140005e00000051388000700080231',
    result:
      '4500003400004000402fb697c0000201c0000202000008004500001c000100000111cfb20a140005e00000051388000700080231',
  },
  // inner = u4(tos=0xba, ttl=17); IP(src=A, dst='192.0.2.3', ttl=17, tos=0xba, id=0) /
  //     GRE(chksum_present=1, key_present=1, seqnum_present=1, key=42, sequence_number=0) /
  //     inner
  {
    name: 'gre with checksum, key and sequence, TOS and TTL inherited',
    tunnel: 2,
    packet: '45ba001c00010000111194ee0a1400050a090007138800070008d826',
    result:
      '45ba004000000000112f24d1c0000201c0000203b00008005c1700000000002a0000000045ba001c00010000111194ee0a1400050a090007138800070008d826',
  },
  // inner = u4(data=b'odd'); IP(src=A, dst='192.0.2.3', ttl=64, id=1) / GRE(chksum_present=1,
  //     key_present=1, seqnum_present=1, key=42, sequence_number=1) / inner
  {
    name: 'gre counts sequence and identification, odd length, DF copied',
    tunnel: 2,
    packet: '4500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
    result:
      '4500004300010000402ff686c0000201c0000203b00008005c1900000000002a000000014500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
  },
  // inner = u4(flags='DF'); IP(src=A, dst='192.0.2.3', ttl=64, flags='DF', id=0) /
  //     GRE(chksum_present=1, key_present=1, seqnum_present=1, key=42, sequence_number=2) /
  //     inner
  {
    name: 'gre copies DF from the inner header',
    tunnel: 2,
    packet: '4500001c00014000401126a80a1400050a090007138800070008d826',
    result:
      '4500004000004000402fb68ac0000201c0000203b00008005c1500000000002a000000024500001c00014000401126a80a1400050a090007138800070008d826',
  },
  // inner = u6(tc=0x2b, hlim=9); IP(src=A, dst='192.0.2.3', ttl=9, tos=0x2b, id=2) /
  //     GRE(chksum_present=1, key_present=1, seqnum_present=1, key=42, sequence_number=3) /
  //     inner
  {
    name: 'gre inherits traffic class and hop limit of IPv6',
    tunnel: 2,
    packet:
      '62b000000008110920010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '452b005400020000092f2d4ac0000201c0000203b00086dd554c00000000002a0000000362b000000008110920010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u4(tos=0xb8); IP(src=A, dst='192.0.2.4', ttl=255, tos=0x20, flags='DF', id=0) /
  //     inner
  {
    name: 'ipip carries IPv4, fixed TOS',
    tunnel: 3,
    packet: '45b8001c00010000401165f00a1400050a090007138800070008d826',
    result:
      '4520003000004000ff04f7a3c0000201c000020445b8001c00010000401165f00a1400050a090007138800070008d826',
  },
  // inner = IP(src='10.20.0.5', dst='10.9.0.7', options=[IPOption_NOP()]*4) / UDP(sport=5000,
  //     dport=7); IP(src=A, dst='192.0.2.4', ttl=255, tos=0x20, flags='DF', id=0) / inner
  {
    name: 'ipip carries inner options',
    tunnel: 3,
    packet: '4600002000010000401163a20a1400050a09000701010101138800070008d826',
    result:
      '4520003400004000ff04f79fc0000201c00002044600002000010000401163a20a1400050a09000701010101138800070008d826',
  },
  // inner = u6(tc=2); IP(src=A, dst='192.0.2.5', ttl=64, tos=2, flags='DF', id=0, proto=41) /
  //     inner
  {
    name: 'sit carries IPv6',
    tunnel: 4,
    packet:
      '602000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '45020044000040004029b688c0000201c0000205602000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u6()
  {
    name: 'ipip refuses IPv6',
    tunnel: 3,
    packet:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'unknown-protocol',
  },
  // inner = u4()
  {
    name: 'sit refuses IPv4',
    tunnel: 4,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'unknown-protocol',
  },
  // inner = u4()
  {
    name: 'a record that is not there',
    tunnel: 99,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'tunnel-down',
  },
  // inner = Raw(b'')
  {
    name: 'an empty packet',
    tunnel: 1,
    packet: '',
    drop: 'inner-truncated',
  },
  // inner = Raw(bytes(u4())[:19])
  {
    name: 'IPv4 cut off',
    tunnel: 1,
    packet: '4500001c00010000401166a80a1400050a0900',
    drop: 'inner-truncated',
  },
  // inner = Raw(bytes(u6())[:39])
  {
    name: 'IPv6 cut off',
    tunnel: 1,
    packet: '600000000008114020010db800200000000000000000000520010db80009000000000000000000',
    drop: 'inner-truncated',
  },
  // inner = u4(len=27)
  {
    name: 'IPv4 whose total length is another',
    tunnel: 1,
    packet: '4500001b00010000401166a90a1400050a090007138800070008d827',
    drop: 'inner-header',
  },
  // inner = u4(ihl=4)
  {
    name: 'IPv4 with a header of 16 bytes',
    tunnel: 1,
    packet: '4400001c00010000401167a80a1400050a090007138800070008d826',
    drop: 'inner-header',
  },
  // inner = u6(plen=9)
  {
    name: 'IPv6 whose payload length is another',
    tunnel: 1,
    packet:
      '600000000009114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'inner-header',
  },
  // inner = u4(version=5)
  {
    name: 'neither IPv4 nor IPv6',
    tunnel: 1,
    packet: '5500001c00010000401156a80a1400050a090007138800070008d826',
    drop: 'inner-version',
  },
  // inner = u4(data=b'.'*21)
  {
    name: 'longer than the MTU',
    tunnel: 5,
    packet:
      '4500003100010000401166930a1400050a09000713880007001ddc2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e',
    drop: 'too-big',
  },
  // inner = u4(ttl=0)
  {
    name: 'TTL 0',
    tunnel: 1,
    packet: '4500001c000100000011a6a80a1400050a090007138800070008d826',
    drop: 'inner-ttl',
  },
  // inner = u6(hlim=0)
  {
    name: 'hop limit 0',
    tunnel: 1,
    packet:
      '600000000008110020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'inner-ttl',
  },
  // inner = u4()
  {
    name: 'a tunnel without a remote',
    tunnel: 5,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-route',
  },
  // inner = u4(dst='192.0.2.2')
  {
    name: 'to the far end itself',
    tunnel: 1,
    packet: '4500001c000100004011aeb50a140005c00002021388000700082034',
    drop: 'nesting-limit',
  },
];
