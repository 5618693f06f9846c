// Known answers of what a tunnel may be told to do otherwise: ECN in compatibility mode, TOS and TTL taken from the
// outer header, the size of TCP segments, odd packets as Linux takes them, redirected packets, a group as the peer.
//
// The bytes are not our own encoder's: scapy 2.5.0 made both sides of every line from the expression above it;
// tshark 4.0.17 calls the IP and GRE checksums of all 20 tunnel packets that pass good.
//
//   A, B  = '192.0.2.1', '2001:db8::1'
//   u4    = IP(src='10.20.0.5', dst='10.9.0.7', ttl=64, ...) / UDP(sport=5000, dport=7) [/ data]
//   u6    = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7', hlim=64, ...) / UDP(sport=5000, dport=7)
//   syn4  = IP(src='10.20.0.5', dst='10.9.0.7') / TCP(sport=5000, dport=7, flags='S', options=...)
//   syn6  = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7') / TCP(the same)
//   mss(n), NOP = ('MSS', n), ('NOP', None)
//   ps4   = folded sum of the TCP pseudo-header: source, destination, length
import type { KnownAnswer } from './known-answers.js';

export const OPTION_ENCAP_ANSWERS: readonly KnownAnswer[] = [
  // inner = u4(tos=0xbb); IP(src=A, dst='192.0.2.9', ttl=64, tos=0xb8, flags='DF', id=0) /
  //     GRE() / inner
  {
    name: 'compatibility mode sends no ECN',
    tunnel: 15,
    packet: '45bb001c00010000401165ed0a1400050a090007138800070008d826',
    result:
      '45b8003400004000402fb5d8c0000201c00002090000080045bb001c00010000401165ed0a1400050a090007138800070008d826',
  },
  // inner = syn4([mss(1460)]); IP(src=A, dst='192.0.2.9', ttl=64, flags='DF', id=0) / GRE() /
  //     syn4([mss(1000)])
  {
    name: 'lowers the MSS of a connection that opens',
    tunnel: 15,
    packet:
      '4500002c00010000400666a30a1400050a09000713880007000000000000000060022000506f0000020405b4',
    result:
      '4500004400004000402fb680c0000201c0000209000008004500002c00010000400666a30a1400050a09000713880007000000000000000060022000523b0000020403e8',
  },
  // inner = syn4([NOP, mss(1461)]); IP(src=A, dst='192.0.2.9', ttl=64, flags='DF', id=0) /
  //     GRE() / syn4([NOP, mss(1000)])
  {
    name: 'lowers an MSS at an odd offset',
    tunnel: 15,
    packet:
      '45000030000100004006669f0a1400050a090007138800070000000000000000700220008e1b000001020405b5000000',
    result:
      '4500004800004000402fb67cc0000201c00002090000080045000030000100004006669f0a1400050a090007138800070000000000000000700220005b1d000001020403e8000000',
  },
  // inner = syn4([mss(999)]); IP(src=A, dst='192.0.2.9', ttl=64, flags='DF', id=0) / GRE() /
  //     inner
  {
    name: 'leaves an MSS that is low enough',
    tunnel: 15,
    packet:
      '4500002c00010000400666a30a1400050a09000713880007000000000000000060022000523c0000020403e7',
    result:
      '4500004400004000402fb680c0000201c0000209000008004500002c00010000400666a30a1400050a09000713880007000000000000000060022000523c0000020403e7',
  },
  // inner = IP(src='10.20.0.5', dst='10.9.0.7') / TCP(sport=5000, dport=7, flags='A',
  //     options=[mss(1460)]); IP(src=A, dst='192.0.2.9', ttl=64, flags='DF', id=0) / GRE() /
  //     inner
  {
    name: 'leaves the MSS of a connection that is open',
    tunnel: 15,
    packet:
      '4500002c00010000400666a30a1400050a0900071388000700000000000000006010200050610000020405b4',
    result:
      '4500004400004000402fb680c0000201c0000209000008004500002c00010000400666a30a1400050a0900071388000700000000000000006010200050610000020405b4',
  },
  // inner = u4(); IP(src=A, dst='239.1.1.1', ttl=64, flags='DF', id=0) / GRE() / inner
  {
    name: 'sends to a group',
    tunnel: 19,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    result:
      '4500003400004000402f8897c0000201ef010101000008004500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = l6(0); IP(src=A, dst='192.0.2.13', ttl=64, flags='DF', id=0) / inner
  {
    name: 'as Linux over IPv4, a packet that may enter no tunnel more',
    tunnel: 20,
    packet:
      '6000000000103c4020010db800200000000000000000000520010db8000900000000000000000007110004010001010013880007000890a8',
    result:
      '4500004c000040004029b67ac0000201c000020d6000000000103c4020010db800200000000000000000000520010db8000900000000000000000007110004010001010013880007000890a8',
  },
];

export const OPTION_DECAP_ANSWERS: readonly KnownAnswer[] = [
  // inner = syn4([mss(1460)]); IP(src='192.0.2.9', dst=A, id=0) / GRE() / inner; leaves as
  //     syn4([mss(1000)])
  {
    name: 'lowers the MSS of a connection that opens',
    tunnel: 15,
    packet:
      '4500004400000000402ff680c0000209c0000201000008004500002c00010000400666a30a1400050a09000713880007000000000000000060022000506f0000020405b4',
    result:
      '4500002c00010000400666a30a1400050a09000713880007000000000000000060022000523b0000020403e8',
  },
  // inner = syn6([NOP, mss(1441)]); IP(src='192.0.2.9', dst=A, id=0) / GRE(proto=0x86dd) /
  //     inner; leaves as syn6([NOP, mss(1000)])
  {
    name: 'lowers an MSS at an odd offset, over IPv6',
    tunnel: 15,
    packet:
      '4500005c00000000402ff668c0000209c0000201000086dd60000000001c064020010db800200000000000000000000520010db8000900000000000000000007138800070000000000000000700220005a9d000001020405a1000000',
    result:
      '60000000001c064020010db800200000000000000000000520010db800090000000000000000000713880007000000000000000070022000139f000001020403e8000000',
  },
  // inner = syn4([mss(1460)], chksum=ps4('10.20.0.5', '10.9.0.7', 24)); IP(src='192.0.2.9',
  //     dst=A, id=0) / GRE() / inner; leaves as syn4([mss(1000)], chksum=ps4('10.20.0.5',
  //     '10.9.0.7', 24))
  {
    name: 'lowers an MSS under a checksum that is left to the device',
    tunnel: 15,
    packet:
      '4500004400000000402ff680c0000209c0000201000008004500002c00010000400666a30a1400050a0900071388000700000000000000006002200014470000020405b4',
    result:
      '4500002c00010000400666a30a1400050a0900071388000700000000000000006002200014470000020403e8',
    device: '01000000000014001000',
  },
  // inner = u4(tos=2); IP(src='192.0.2.9', dst=A, id=0, tos=3) / GRE() / inner; leaves as
  //     u4(tos=3)
  {
    name: 'compatibility mode receives ECN as any other',
    tunnel: 15,
    packet:
      '4503003400000000402ff68dc0000209c0000201000008004502001c00010000401166a60a1400050a090007138800070008d826',
    result: '4503001c00010000401166a50a1400050a090007138800070008d826',
  },
  // inner = u4(tos=2); IP(src='192.0.2.10', dst=A, id=0, tos=0xb9, ttl=9) / GRE() / inner;
  //     leaves as u4(tos=0xb9, ttl=9)
  {
    name: 'DSCP and TTL are those of the outer header',
    tunnel: 16,
    packet:
      '45b9003400000000092f2cd7c000020ac0000201000008004502001c00010000401166a60a1400050a090007138800070008d826',
    result: '45b9001c0001000009119cef0a1400050a090007138800070008d826',
  },
  // inner = u6(hlim=5); IP(src='192.0.2.10', dst=A, id=0, ttl=9) / GRE(proto=0x86dd) / inner
  {
    name: 'a TTL is lowered, never raised',
    tunnel: 16,
    packet:
      '4500004800000000092f2d7cc000020ac0000201000086dd600000000008110520010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600000000008110520010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u6(); IP(src='192.0.2.10', dst=A, id=0, tos=0x28, ttl=9) / GRE(proto=0x86dd) /
  //     inner; leaves as u6(tc=0x28, hlim=9)
  {
    name: 'hop limit and class of IPv6 are those of the outer header',
    tunnel: 16,
    packet:
      '4528004800000000092f2d54c000020ac0000201000086dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '628000000008110920010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u4(); IP(src='192.0.2.11', dst=A, id=0) / GRE(chksum_present=1, seqnum_present=1,
  //     sequence_number=0) / inner
  {
    name: 'as Linux with checksum and sequence',
    tunnel: 17,
    packet:
      '4500003c00000000402ff686c000020bc0000201900008007c410000000000004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u4(); IP(src='192.0.2.11', dst=A, id=0) / GRE(seqnum_present=1, sequence_number=1)
  //     / inner
  {
    name: 'as Linux, the checksum is missing',
    tunnel: 17,
    packet:
      '4500003800000000402ff68ac000020bc000020110000800000000014500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-checksum',
  },
  // inner = u4(); IP(src='192.0.2.11', dst=A, id=0) / GRE(chksum_present=1) / inner
  {
    name: 'as Linux, the sequence number is missing',
    tunnel: 17,
    packet:
      '4500003800000000402ff68ac000020bc0000201800008008c4100004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-sequence',
  },
  // inner = u4(); IP(src='192.0.2.12', dst=A, id=0) / GRE(chksum_present=1) / inner
  {
    name: 'as Linux, a checksum that was not agreed upon',
    tunnel: 18,
    packet:
      '4500003800000000402ff689c000020cc0000201800008008c4100004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-checksum',
  },
  // inner = u4(); IP(src='192.0.2.12', dst=A, id=0) / GRE(strict_route_source=1,
  //     recursion_control=7, flags=0x10) / inner
  {
    name: 'as Linux, bits 4 to 8 are ignored',
    tunnel: 18,
    packet:
      '4500003400000000402ff68dc000020cc00002010f8008004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u4(); IP(src='192.0.2.12', dst=A, id=0) / GRE(flags=8) / inner
  {
    name: 'as Linux, bit 9 is part of the version',
    tunnel: 18,
    packet:
      '4500003400000000402ff68dc000020cc0000201004008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-reserved-bits',
  },
  // inner = u4(); IP(src='192.0.2.12', dst=A, id=0) / GRE(flags=4) / inner
  {
    name: 'as Linux, bit 10 is part of the version',
    tunnel: 18,
    packet:
      '4500003400000000402ff68dc000020cc0000201002008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-reserved-bits',
  },
  // inner = u4(); IP(src='192.0.2.12', dst=A, id=0) / GRE(flags=2) / inner
  {
    name: 'as Linux, bit 11 is part of the version',
    tunnel: 18,
    packet:
      '4500003400000000402ff68dc000020cc0000201001008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-reserved-bits',
  },
  // inner = u4(); IP(src='192.0.2.12', dst=A, id=0) / GRE(flags=1) / inner
  {
    name: 'as Linux, bit 12 is part of the version',
    tunnel: 18,
    packet:
      '4500003400000000402ff68dc000020cc0000201000808004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-reserved-bits',
  },
  // inner = u4(); IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x883e) / inner
  {
    name: 'a redirected packet, WCCP version 1',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c00002010000883e4500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u4(); IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x883e) /
  //     Raw(bytes.fromhex('00010203')) / inner
  {
    name: 'a redirected packet, WCCP version 2',
    tunnel: 1,
    packet:
      '4500003800000000402ff693c0000202c00002010000883e000102034500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u6(); IPv6(src='2001:db8::2', dst=B) / GRE(proto=0x883e) /
  //     Raw(bytes.fromhex('00010203')) / inner
  {
    name: 'a redirected packet over IPv6, WCCP version 2',
    tunnel: 8,
    packet:
      '6000000000382f4020010db800000000000000000000000220010db80000000000000000000000010000883e00010203600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = Raw(bytes.fromhex('000102')); IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x883e)
  //     / inner
  {
    name: 'a redirect header that is cut',
    tunnel: 1,
    packet: '4500001b00000000402ff6b0c0000202c00002010000883e000102',
    drop: 'gre-truncated',
  },
  // inner = u4(); IP(src='198.51.100.9', dst=A, id=0) / GRE(proto=0x883e, key_present=1, key=7)
  //     / inner
  {
    name: 'a redirected packet with a key',
    tunnel: 5,
    packet:
      '4500003800000000402f8e59c6336409c00002012000883e000000074500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'unknown-protocol',
  },
  // inner = u4(); IP(src='198.51.100.9', dst='239.1.1.1', id=0) / GRE() / inner
  {
    name: 'from anyone to the group',
    tunnel: 19,
    packet:
      '4500003400000000402f605cc6336409ef010101000008004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u4(); IP(src=A, dst='239.1.1.1', id=0) / GRE() / inner
  {
    name: 'to the group by ourselves',
    tunnel: 0,
    packet:
      '4500003400000000402fc897c0000201ef010101000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'outer-martian',
  },
  // inner = u4(); IP(src='198.51.100.9', dst='239.1.1.2', id=0) / GRE() / inner
  {
    name: 'to another group',
    tunnel: 0,
    packet:
      '4500003400000000402f605bc6336409ef010102000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-tunnel',
  },
];
