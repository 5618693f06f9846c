// Known answers of decap about pairs of ECN fields that pass, but are counted for the log (RFC 6040, 4.2).
//
// scapy 2.5.0 made both sides of every line from the expression above it; A, B = '192.0.2.1', '2001:db8::1', see
// known-encap.ts for u4 and u6.
import type { KnownAnswer } from './known-answers.js';

export const ECN_ANSWERS: readonly KnownAnswer[] = [
  // IP(src='192.0.2.2', dst=A, id=0, tos=1) / GRE() / u4()
  {
    name: 'ECT(1) outside, not capable inside',
    tunnel: 1,
    packet:
      '4501003400000000402ff696c0000202c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
    odd: { outer: 1, inner: 0 },
  },
  // IP(src='192.0.2.2', dst=A, id=0, tos=2) / GRE() / u4(tos=1)
  {
    name: 'ECT(0) outside, ECT(1) inside',
    tunnel: 1,
    packet:
      '4502003400000000402ff695c0000202c0000201000008004501001c00010000401166a70a1400050a090007138800070008d826',
    result: '4501001c00010000401166a70a1400050a090007138800070008d826',
    odd: { outer: 2, inner: 1 },
  },
  // IP(src='192.0.2.2', dst=A, id=0, tos=1) / GRE() / u4(tos=3)
  {
    name: 'ECT(1) outside, congestion marked inside',
    tunnel: 1,
    packet:
      '4501003400000000402ff696c0000202c0000201000008004503001c00010000401166a50a1400050a090007138800070008d826',
    result: '4503001c00010000401166a50a1400050a090007138800070008d826',
    odd: { outer: 1, inner: 3 },
  },
  // IPv6(src='2001:db8::2', dst=B, tc=2) / GRE() / u4()
  {
    name: 'ip6gre, ECT(0) outside, not capable inside',
    tunnel: 8,
    packet:
      '6020000000202f4020010db800000000000000000000000220010db8000000000000000000000001000008004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
    odd: { outer: 2, inner: 0 },
  },
];
