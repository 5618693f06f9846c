// Known answers of tunnels that carry Ethernet frames, encap and decap: what a codec build must make of these
// before it goes live.
//
// The bytes are not our own encoder's: scapy 2.5.0 made both sides of every line from the expression above it;
// tshark 4.0.17 calls the IP and GRE checksums of all 15 tunnel packets that pass good.
//
//   A, B  = '192.0.2.1', '2001:db8::1'
//   u4    = IP(src='10.20.0.5', dst='10.9.0.7', ttl=64, ...) / UDP(sport=5000, dport=7) [/ data]
//   u6    = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7', hlim=64, ...) / UDP(sport=5000, dport=7)
//   eth   = Ether(src='02:00:00:00:00:0a', dst='02:00:00:00:00:0b', ...)
import type { KnownAnswer } from './known-answers.js';

export const FRAME_ENCAP_ANSWERS: readonly KnownAnswer[] = [
  // inner = eth() / u4(tos=0xba, ttl=17, flags='DF'); IP(src=A, dst='192.0.2.8', ttl=17,
  //     tos=0xba, flags='DF', id=0) / GRE(proto=0x6558) / inner
  {
    name: 'gretap takes TOS, TTL and DF from the IP packet of a frame',
    tunnel: 12,
    packet: '02000000000b02000000000a080045ba001c00014000111154ee0a1400050a090007138800070008d826',
    result:
      '45ba004200004000112fe4c9c0000201c00002080000655802000000000b02000000000a080045ba001c00014000111154ee0a1400050a090007138800070008d826',
  },
  // inner = eth() / Dot1Q(vlan=5, prio=3) / u4(tos=0x2a, ttl=18); IP(src=A, dst='192.0.2.8',
  //     ttl=18, tos=0x2a, id=0) / GRE(proto=0x6558) / inner
  {
    name: 'gretap looks behind a VLAN tag',
    tunnel: 12,
    packet:
      '02000000000b02000000000a810060050800452a001c000100001211947e0a1400050a090007138800070008d826',
    result:
      '452a004600000000122f2456c0000201c00002080000655802000000000b02000000000a810060050800452a001c000100001211947e0a1400050a090007138800070008d826',
  },
  // inner = eth() / Dot1AD(vlan=7) / Dot1Q(vlan=5) / u6(tc=0x2a, hlim=19); IP(src=A,
  //     dst='192.0.2.8', ttl=19, tos=0x2a, id=1) / GRE(proto=0x6558) / inner
  {
    name: 'gretap looks behind two VLAN tags',
    tunnel: 12,
    packet:
      '02000000000b02000000000a88a800078100000586dd62a000000008111320010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '452a005e00010000132f233dc0000201c00002080000655802000000000b02000000000a88a800078100000586dd62a000000008111320010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = eth(dst='ff:ff:ff:ff:ff:ff') / ARP(hwsrc='02:00:00:00:00:0a', psrc='10.20.0.5',
  //     pdst='10.20.0.6'); IP(src=A, dst='192.0.2.8', ttl=64, id=2) / GRE(proto=0x6558) / inner
  {
    name: 'gretap carries what is not IP',
    tunnel: 12,
    packet: 'ffffffffffff02000000000a0806000108000604000102000000000a0a1400050000000000000a140006',
    result:
      '4500004200020000402ff681c0000201c000020800006558ffffffffffff02000000000a0806000108000604000102000000000a0a1400050000000000000a140006',
  },
  // inner = eth() / u4(dst='192.0.2.8'); IP(src=A, dst='192.0.2.8', ttl=64, id=3) /
  //     GRE(proto=0x6558) / inner
  {
    name: 'gretap carries a packet to its own peer',
    tunnel: 12,
    packet: '02000000000b02000000000a08004500001c000100004011aeaf0a140005c0000208138800070008202e',
    result:
      '4500004200030000402ff680c0000201c00002080000655802000000000b02000000000a08004500001c000100004011aeaf0a140005c0000208138800070008202e',
  },
  // inner = eth() / Dot1Q(vlan=5) / IP(src='10.20.0.5', dst='10.9.0.7') / TCP(sport=5000,
  //     dport=7, options=[('MSS', 1460)]); IP(src=A, dst='192.0.2.8', ttl=64, id=4) /
  //     GRE(proto=0x6558) / eth() / Dot1Q(vlan=5) / IP(src='10.20.0.5', dst='10.9.0.7') /
  //     TCP(sport=5000, dport=7, options=[('MSS', 1422)])
  {
    name: 'gretap lowers the MSS behind a VLAN tag',
    tunnel: 12,
    packet:
      '02000000000b02000000000a8100000508004500002c00010000400666a30a1400050a09000713880007000000000000000060022000506f0000020405b4',
    result:
      '4500005600040000402ff66bc0000201c00002080000655802000000000b02000000000a8100000508004500002c00010000400666a30a1400050a09000713880007000000000000000060022000509500000204058e',
  },
  // inner = Raw(bytes(eth())[:13])
  {
    name: 'a frame of 13 bytes',
    tunnel: 12,
    packet: '02000000000b02000000000a90',
    drop: 'inner-truncated',
  },
  // inner = eth() / u4(data=b'.'*1435)
  {
    name: 'a frame larger than the MTU and its own header',
    tunnel: 12,
    packet:
      '02000000000b02000000000a0800450005b7000100004011610d0a1400050a0900071388000705a347992e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e',
    drop: 'too-big',
  },
  // inner = eth() / u4(tos=0xb9); IPv6(src=B, dst='2001:db8::6', hlim=64, tc=1) /
  //     GRE(proto=0x6558, key_present=1, key=6) / inner
  {
    name: 'ip6gretap with a key carries a frame',
    tunnel: 13,
    packet: '02000000000b02000000000a080045b9001c00010000401165ef0a1400050a090007138800070008d826',
    result:
      '6010000000322f4020010db800000000000000000000000120010db8000000000000000000000006200065580000000602000000000b02000000000a080045b9001c00010000401165ef0a1400050a090007138800070008d826',
  },
  // inner = eth(type=0x88cc) / Raw(b'lldp'); IPv6(src=B, dst='2001:db8::6', hlim=64) /
  //     GRE(proto=0x6558, key_present=1, key=6) / inner
  {
    name: 'ip6gretap carries what is not IP',
    tunnel: 13,
    packet: '02000000000b02000000000a88cc6c6c6470',
    result:
      '60000000001a2f4020010db800000000000000000000000120010db8000000000000000000000006200065580000000602000000000b02000000000a88cc6c6c6470',
  },
];

export const FRAME_DECAP_ANSWERS: readonly KnownAnswer[] = [
  // inner = eth() / u4(); IP(src='192.0.2.8', dst=A, id=0) / GRE(proto=0x6558) / inner
  {
    name: 'gretap',
    tunnel: 12,
    packet:
      '4500004200000000402ff683c0000208c00002010000655802000000000b02000000000a08004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '02000000000b02000000000a08004500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = eth() / u4() / Raw(b'padding'); IP(src='192.0.2.8', dst=A, id=0) /
  //     GRE(proto=0x6558) / inner
  {
    name: 'gretap keeps the bytes behind the IP packet of a frame',
    tunnel: 12,
    packet:
      '4500004900000000402ff67cc0000208c00002010000655802000000000b02000000000a08004500002300010000401166a10a1400050a09000713880007000f32e470616464696e67',
    result:
      '02000000000b02000000000a08004500002300010000401166a10a1400050a09000713880007000f32e470616464696e67',
  },
  // inner = eth() / Dot1Q(vlan=5) / u4(tos=2); IP(src='192.0.2.8', dst=A, id=0, tos=3) /
  //     GRE(proto=0x6558) / inner; leaves as eth() / Dot1Q(vlan=5) / u4(tos=3)
  {
    name: 'gretap, congestion marked, behind a VLAN tag',
    tunnel: 12,
    packet:
      '4503004600000000402ff67cc0000208c00002010000655802000000000b02000000000a8100000508004502001c00010000401166a60a1400050a090007138800070008d826',
    result:
      '02000000000b02000000000a8100000508004503001c00010000401166a50a1400050a090007138800070008d826',
  },
  // inner = eth(type=0x88cc) / Raw(b'lldp'); IP(src='192.0.2.8', dst=A, id=0, tos=3) /
  //     GRE(proto=0x6558) / inner
  {
    name: 'gretap, congestion marked, what is not IP',
    tunnel: 12,
    packet: '4503002a00000000402ff698c0000208c00002010000655802000000000b02000000000a88cc6c6c6470',
    result: '02000000000b02000000000a88cc6c6c6470',
  },
  // inner = eth() / u4(ttl=1); IP(src='192.0.2.8', dst=A, id=0) / GRE(proto=0x6558) / inner
  {
    name: 'gretap, TTL 1 in a frame that is not routed',
    tunnel: 12,
    packet:
      '4500004200000000402ff683c0000208c00002010000655802000000000b02000000000a08004500001c000100000111a5a80a1400050a090007138800070008d826',
    result: '02000000000b02000000000a08004500001c000100000111a5a80a1400050a090007138800070008d826',
  },
  // inner = eth() / Dot1AD(vlan=7) / Dot1Q(vlan=5) / u4(src='10.21.0.5'); IP(src='192.0.2.8',
  //     dst=A, id=0) / GRE(proto=0x6558) / inner
  {
    name: 'gretap, a source behind two VLAN tags that is not accepted',
    tunnel: 12,
    packet:
      '4500004a00000000402ff67bc0000208c00002010000655802000000000b02000000000a88a800078100000508004500001c00010000401166a70a1500050a090007138800070008d825',
    drop: 'inner-src-spoof',
  },
  // inner = eth(src='03:00:00:00:00:0a') / u4(); IP(src='192.0.2.8', dst=A, id=0) /
  //     GRE(proto=0x6558) / inner
  {
    name: 'gretap, a frame sent by a group',
    tunnel: 12,
    packet:
      '4500004200000000402ff683c0000208c00002010000655802000000000b03000000000a08004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'inner-martian',
  },
  // inner = eth() / IP(src='10.20.0.5', dst=A, id=0) / GRE() / u4(); IP(src='192.0.2.8', dst=A,
  //     id=0) / GRE(proto=0x6558) / inner
  {
    name: 'gretap, a tunnel packet for us in a frame',
    tunnel: 12,
    packet:
      '4500005a00000000402ff66bc0000208c00002010000655802000000000b02000000000a08004500003400000000402fae810a140005c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'nesting-limit',
  },
  // inner = Raw(bytes(eth())[:13]); IP(src='192.0.2.8', dst=A, id=0) / GRE(proto=0x6558) /
  //     inner
  {
    name: 'gretap of 13 bytes inside',
    tunnel: 12,
    packet: '4500002500000000402ff6a0c0000208c00002010000655802000000000b02000000000a90',
    drop: 'inner-truncated',
  },
  // inner = u4(); IP(src='192.0.2.8', dst=A, id=0) / GRE() / inner
  {
    name: 'a packet for a tunnel of frames',
    tunnel: 12,
    packet:
      '4500003400000000402ff691c0000208c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'unknown-protocol',
  },
  // inner = eth() / u4(); IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x6558) / inner
  {
    name: 'a frame for a tunnel of packets',
    tunnel: 1,
    packet:
      '4500004200000000402ff689c0000202c00002010000655802000000000b02000000000a08004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'unknown-protocol',
  },
  // inner = eth() / u6(); IPv6(src='2001:db8::6', dst=B) / GRE(proto=0x6558, key_present=1,
  //     key=6) / inner
  {
    name: 'ip6gretap with a key',
    tunnel: 13,
    packet:
      '6000000000462f4020010db800000000000000000000000620010db8000000000000000000000001200065580000000602000000000b02000000000a86dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '02000000000b02000000000a86dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = eth() / IP(src='10.20.0.5', dst='10.9.0.7') / TCP(dport=7, chksum=ps4('10.20.0.5',
  //     '10.9.0.7', 20)); IPv6(src='2001:db8::6', dst=B) / GRE(proto=0x6558, key_present=1,
  //     key=6) / inner
  {
    name: 'ip6gretap, TCP checksum left to the device',
    tunnel: 13,
    packet:
      '60000000003e2f4020010db800000000000000000000000620010db8000000000000000000000001200065580000000602000000000b02000000000a08004500002800010000400666a70a1400050a0900070014000700000000000000005002200014430000',
    result:
      '02000000000b02000000000a08004500002800010000400666a70a1400050a0900070014000700000000000000005002200014430000',
    device: '01000000000022001000',
  },
  // inner = eth() / u6(); IPv6(src='2001:db8::6', dst=B) / GRE(proto=0x6558) / inner
  {
    name: 'ip6gretap without its key',
    tunnel: 0,
    packet:
      '6000000000422f4020010db800000000000000000000000620010db80000000000000000000000010000655802000000000b02000000000a86dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'no-tunnel',
  },
];
