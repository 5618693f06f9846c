// Known answers of GRE-in-UDP, encap and decap; see known-encap.ts for the names in the expressions.
//
// scapy 2.5.0 made the bytes, given the source port of each flow; a second implementation of the hash, in Python, made
// those. tshark 4.0.17 calls the IP, UDP and GRE checksums of all tunnel packets that pass good.
import type { KnownAnswer } from './known-answers.js';

export const UDP_ENCAP_ANSWERS: readonly KnownAnswer[] = [
  // inner = u4(); IP(src=A, dst='192.0.2.6', flags='DF', id=0) / UDP(sport=52705, dport=4754)
  //     / GRE() / inner
  {
    name: 'gre-udp carries IPv4',
    tunnel: 6,
    packet: '4500001c00010000401166a80a1400050a090007138800070008d826',
    result:
      '4500003c000040004011b6a9c0000201c0000206cde112920028a764000008004500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // inner = u6(tc=0x2b); IP(src=A, dst='192.0.2.6', tos=3, flags='DF', id=0) /
  //     UDP(sport=61280, dport=4754) / GRE() / inner
  {
    name: 'gre-udp carries IPv6',
    tunnel: 6,
    packet:
      '62b000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '45030050000040004011b692c0000201c0000206ef601292003c7ebe000086dd62b000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // inner = u4(flags='MF'); IP(src=A, dst='192.0.2.6', flags='DF', id=0) / UDP(sport=49176,
  //     dport=4754) / GRE() / inner
  {
    name: 'gre-udp tells no fragment by its ports',
    tunnel: 6,
    packet: '4500001c00012000401146a80a1400050a090007138800070008d826',
    result:
      '4500003c000040004011b6a9c0000201c0000206c01812920028b52d000008004500001c00012000401146a80a1400050a090007138800070008d826',
  },
  // inner = u4(data=b'odd'); IP(src=A, dst='192.0.2.7', id=0) / UDP(sport=49152, dport=4754) /
  //     GRE(chksum_present=1, key_present=1, seqnum_present=1, key=42, sequence_number=0) / inner
  {
    name: 'gre-udp with checksum, key and sequence, odd length',
    tunnel: 7,
    packet: '4500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
    result:
      '4500004b000000004011f699c0000201c0000207c00012920037a8e4b00008005c1a00000000002a000000004500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
  },
];

export const UDP_DECAP_ANSWERS: readonly KnownAnswer[] = [
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754) / GRE() / u4()
  {
    name: 'gre-udp carries IPv4',
    tunnel: 6,
    packet:
      '4500003c000000004011f6a9c0000206c0000201c35012920028b1f5000008004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754, chksum=0) / GRE() / u6()
  {
    name: 'gre-udp carries IPv6, no UDP checksum',
    tunnel: 6,
    packet:
      '45000050000000004011f695c0000206c0000201c3501292003c0000000086dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // IP(src='192.0.2.7', dst=A, id=0) / UDP(sport=4754, dport=4754) / GRE(chksum_present=1,
  //     key_present=1, seqnum_present=1, key=42, sequence_number=5) / u4(data=b'odd')
  {
    name: 'gre-udp with checksum, key and sequence, from a low port',
    tunnel: 7,
    packet:
      '4500004b000000004011f699c0000207c00002011292129200375653b00008005c1500000000002a000000054500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
    result: '4500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754, len=40, chksum=0) / GRE()
  //     / u4() / Raw(b'....')
  {
    name: 'gre-udp with bytes behind the datagram',
    tunnel: 6,
    packet:
      '45000040000000004011f6a5c0000206c0000201c350129200280000000008004500001c00010000401166a80a1400050a090007138800070008d8262e2e2e2e',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754, chksum=1) / GRE() / u4()
  {
    name: 'gre-udp with a wrong UDP checksum',
    tunnel: 0,
    packet:
      '4500003c000000004011f6a9c0000206c0000201c350129200280001000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'udp-checksum',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754, len=41) / GRE() / u4()
  {
    name: 'gre-udp longer than its packet',
    tunnel: 0,
    packet:
      '4500003c000000004011f6a9c0000206c0000201c35012920029b1f4000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'udp-header',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754, len=7) / GRE() / u4()
  {
    name: 'gre-udp shorter than its header',
    tunnel: 0,
    packet:
      '4500003c000000004011f6a9c0000206c0000201c35012920007b216000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'udp-header',
  },
  // IP(src='192.0.2.6', dst=A, id=0, proto=17) / Raw(bytes.fromhex('c3501292000800'))
  {
    name: 'gre-udp of 7 bytes',
    tunnel: 0,
    packet: '4500001b000000004011f6cac0000206c0000201c3501292000800',
    drop: 'udp-header',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4754) / Raw(b'\0\0\x08')
  {
    name: 'gre-udp of 3 bytes inside',
    tunnel: 0,
    packet: '4500001f000000004011f6c6c0000206c0000201c3501292000b9ded000008',
    drop: 'gre-truncated',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / UDP(sport=50000, dport=4755) / GRE() / u4()
  {
    name: 'GRE to another port',
    tunnel: 0,
    packet:
      '4500003c000000004011f6a9c0000206c0000201c35012930028b1f4000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-tunnel',
  },
  // IP(src='192.0.2.6', dst=A, id=0) / GRE() / u4()
  {
    name: 'plain GRE to a gre-udp tunnel',
    tunnel: 0,
    packet:
      '4500003400000000402ff693c0000206c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-tunnel',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / UDP(sport=50000, dport=4754) / GRE() / u4()
  {
    name: 'gre-udp to a plain GRE tunnel',
    tunnel: 0,
    packet:
      '4500003c000000004011f6adc0000202c0000201c35012920028b1f9000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-tunnel',
  },
];
