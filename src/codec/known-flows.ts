// Known answers of encap about what the network tells flows apart by: source ports of GRE-in-UDP and flow labels.
//
// scapy 2.5.0 made both sides of every line from the expression above it; A, B = '192.0.2.1', '2001:db8::1', see
// known-encap.ts for u4 and u6.
// A second implementation of the hash, in Python, made port and label.
import type { KnownAnswer } from './known-answers.js';

export const FLOW_ANSWERS: readonly KnownAnswer[] = [
  // inner = u4(); IP(src=A, dst='192.0.2.14', ttl=64, flags='DF', id=0) / UDP(sport=50001, dport=4754) / GRE() / inner
  {
    name: 'gre-udp from one port',
    tunnel: 21,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    result:
      '4500003c000040004011b6a1c0000201c000020ec35112920028b1ec000008004500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u4(); IPv6(src=B, dst='2001:db8::8', hlim=64, fl=0x3784d) / GRE() / inner
  {
    name: 'ip6gre with the flow label of an IPv4 flow',
    tunnel: 22,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    result:
      '6003784d00202f4020010db800000000000000000000000120010db8000000000000000000000008000008004500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u6(); IPv6(src=B, dst='2001:db8::8', hlim=64, fl=0xbd83b) / GRE(proto=0x86dd) / inner
  {
    name: 'ip6gre with the flow label of an IPv6 flow',
    tunnel: 22,
    packet:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600bd83b00342f4020010db800000000000000000000000120010db8000000000000000000000008000086dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u6(); IPv6(src=B, dst='2001:db8::9', hlim=64, fl=0xbd83b) / UDP(sport=61280, dport=4754) / GRE(proto=0x86dd) / inner
  {
    name: 'gre-udp over IPv6 with port and flow label of the flow',
    tunnel: 23,
    packet:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600bd83b003c114020010db800000000000000000000000120010db8000000000000000000000009ef601292003ca9fa000086dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
];
