// Known answers of encap about packets that would go round and round (RFC 2003, 3.2).
//
// scapy 2.5.0 made both sides of every line from the expression above it; A, B = '192.0.2.1', '2001:db8::1', see
// known-encap.ts for u4 and u6.
import type { KnownAnswer } from './known-answers.js';

export const LOOP_ANSWERS: readonly KnownAnswer[] = [
  // inner = u4(src='192.0.2.2')
  {
    name: 'from the far end itself',
    tunnel: 1,
    packet: '4500001c000100004011aebec00002020a090007138800070008203d',
    drop: 'inner-src-spoof',
  },
  // inner = IP(src=A, dst='10.9.0.7') / GRE() / u4()
  {
    name: 'a packet that a tunnel of ours has sent',
    tunnel: 1,
    packet:
      '4500003400010000402fae89c00002010a090007000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'nesting-limit',
  },
  // inner = IP(src=A, dst='10.9.0.7') / UDP(sport=5000, dport=4754)
  {
    name: 'a packet that a gre-udp tunnel of ours has sent',
    tunnel: 1,
    packet: '4500001c000100004011aebfc00002010a0900071388129200080db3',
    drop: 'nesting-limit',
  },
  // inner = IPv6(src=B, dst='2001:db8:9::7', nh=60) / limit(4) / GRE() / u4()
  {
    name: 'a packet that a tunnel over IPv6 has sent, behind its encapsulation limit',
    tunnel: 1,
    packet:
      '6000000000283c4020010db800000000000000000000000120010db80009000000000000000000072f00040104010100000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'nesting-limit',
  },
  // inner = u4(src=A, dport=53); IP(src=A, dst='192.0.2.2', ttl=64, flags='DF', id=0) / GRE() / inner
  {
    name: 'from our own outer address, no tunnel packet',
    tunnel: 1,
    packet: '4500001c000100004011aebfc00002010a0900071388003500082010',
    result:
      '4500003400004000402fb697c0000201c0000202000008004500001c000100004011aebfc00002010a0900071388003500082010',
  },
  // inner = u4(src='192.0.2.12'); IP(src=A, dst='192.0.2.12', ttl=64, flags='DF', id=0) / GRE() / inner
  {
    name: 'as Linux, from the far end itself',
    tunnel: 18,
    packet: '4500001c000100004011aeb4c000020c0a0900071388000700082033',
    result:
      '4500003400004000402fb68dc0000201c000020c000008004500001c000100004011aeb4c000020c0a0900071388000700082033',
  },
  // inner = IP(src='192.0.2.15', dst=A, ttl=255) / GRE(proto=0); IP(src=A, dst='192.0.2.15', ttl=64, flags='DF', id=0) / GRE() / inner
  {
    name: 'a keepalive of ours, from the far end',
    tunnel: 24,
    packet: '4500001800010000ff2f37a5c000020fc000020100000000',
    result:
      '4500003000004000402fb68ec0000201c000020f000008004500001800010000ff2f37a5c000020fc000020100000000',
  },
];
