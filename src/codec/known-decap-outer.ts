// Known answers of decap about the outer header, GRE and the lookup: what a codec build must make of
// these packets before it goes live.
//
// The bytes are not our own encoder's: scapy 2.5.0 made both sides of every line from the expression
// above it; tshark 4.0.17 calls the IP and GRE checksums of all 11 tunnel packets that pass good.
//
//   A   = '192.0.2.1'
//   u4  = IP(src='10.20.0.5', dst='10.9.0.7', ttl=64, ...) / UDP(sport=5000, dport=7) [/ data]
//   u6  = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7', hlim=64, ...) / UDP(sport=5000, dport=7)
import type { KnownAnswer } from './known-answers.js';

export const OUTER_ANSWERS: readonly KnownAnswer[] = [
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4()
  {
    name: 'gre carries IPv4',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u6()
  {
    name: 'gre carries IPv6',
    tunnel: 1,
    packet:
      '4500004800000000402ff683c0000202c0000201000086dd600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // Raw(bytes(IP(src='192.0.2.2', dst=A, id=0, options=[IPOption_NOP()]*4) /
  //     GRE(proto=0x0800) / Raw(bytes(u4())+b'pad'))+b'more')
  {
    name: 'gre behind outer options, bytes after the packet',
    tunnel: 1,
    packet:
      '4600003b00000000402ff38ec0000202c000020101010101000008004500001c00010000401166a80a1400050a090007138800070008d8267061646d6f7265',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(recursion_control=3, flags=0x1f) / u4()
  {
    name: 'gre ignores bits 6 to 12',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c000020103f808004500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(chksum_present=1) / u4(data=b'odd')
  {
    name: 'gre checksum on a tunnel that sends none',
    tunnel: 1,
    packet:
      '4500003b00000000402ff690c0000202c0000201800008008c4400004500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
    result: '4500001f00010000401166a50a1400050a09000713880007000b04bc6f6464',
  },
  // IP(src='192.0.2.3', dst=A, id=0) / GRE(chksum_present=1, key_present=1, seqnum_present=1,
  //     key=42, sequence_number=4294967294) / u4()
  {
    name: 'gre with checksum, key and sequence',
    tunnel: 2,
    packet:
      '4500004000000000402ff68ac0000203c0000201b00008005c1800000000002afffffffe4500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.3', dst=A, id=0) / GRE(chksum_present=1, key_present=1, seqnum_present=1,
  //     key=42, sequence_number=1) / u4()
  {
    name: 'gre sequence across zero',
    tunnel: 2,
    packet:
      '4500004000000000402ff68ac0000203c0000201b00008005c1600000000002a000000014500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.3', dst=A, id=0) / GRE(chksum_present=1, key_present=1, seqnum_present=1,
  //     key=42, sequence_number=1) / u4()
  {
    name: 'gre sequence repeated',
    tunnel: 2,
    packet:
      '4500004000000000402ff68ac0000203c0000201b00008005c1600000000002a000000014500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-sequence',
  },
  // IP(src='192.0.2.3', dst=A, id=0) / GRE(key_present=1, key=42) / u4()
  {
    name: 'gre sequence absent is in order',
    tunnel: 2,
    packet:
      '4500003800000000402ff692c0000203c0000201200008000000002a4500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='198.51.100.9', dst=A, id=0) / GRE(key_present=1, key=7) / u4()
  {
    name: 'gre key from anyone',
    tunnel: 5,
    packet:
      '4500003800000000402f8e59c6336409c000020120000800000000074500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.3', dst=A, id=0) / GRE(key_present=1, key=43) / u4()
  {
    name: 'gre another key',
    tunnel: 0,
    packet:
      '4500003800000000402ff692c0000203c0000201200008000000002b4500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-tunnel',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(key_present=1, key=0) / u4()
  {
    name: 'gre key where none is due',
    tunnel: 0,
    packet:
      '4500003800000000402ff693c0000202c000020120000800000000004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'no-tunnel',
  },
  // IP(src='192.0.2.3', dst=A, id=0) / GRE(chksum_present=1, key_present=1, seqnum_present=1,
  //     key=42, sequence_number=9, chksum=1) / u4()
  {
    name: 'gre checksum wrong',
    tunnel: 2,
    packet:
      '4500004000000000402ff68ac0000203c0000201b0000800000100000000002a000000094500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-checksum',
  },
  // IP(src='192.0.2.2', dst=A, id=0, proto=47) / Raw(b'\0\0\x08')
  {
    name: 'gre of 3 bytes',
    tunnel: 0,
    packet: '4500001700000000402ff6b4c0000202c0000201000008',
    drop: 'gre-truncated',
  },
  // IP(src='192.0.2.3', dst=A, id=0, proto=47) /
  //     Raw(bytes.fromhex('b0000800000000000000002a'))
  {
    name: 'gre options cut off',
    tunnel: 0,
    packet: '4500002000000000402ff6aac0000203c0000201b0000800000000000000002a',
    drop: 'gre-truncated',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(version=1) / u4()
  {
    name: 'gre version 1',
    tunnel: 0,
    packet:
      '4500003400000000402ff697c0000202c0000201000108004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-version',
  },
  // IP(src='192.0.2.2', dst=A, id=0, proto=47) / Raw(bytes.fromhex('40000800')) / u4()
  {
    name: 'gre source route',
    tunnel: 0,
    packet:
      '4500003400000000402ff697c0000202c0000201400008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-routing-present',
  },
  // IP(src='192.0.2.2', dst=A, id=0, proto=47) / Raw(bytes.fromhex('04000800')) / u4()
  {
    name: 'gre reserved bit 5',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201040008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'gre-reserved-bits',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x6558) / u4()
  {
    name: 'gre carries what is no IP',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000065584500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'unknown-protocol',
  },
  // IP(src='192.0.2.4', dst=A, id=0) / u4()
  {
    name: 'ipip carries IPv4',
    tunnel: 3,
    packet:
      '45000030000000004004f6c4c0000204c00002014500001c00010000401166a80a1400050a090007138800070008d826',
    result: '4500001c00010000401166a80a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.5', dst=A, id=0, proto=41) / u6()
  {
    name: 'sit carries IPv6',
    tunnel: 4,
    packet:
      '45000044000000004029f68ac0000205c0000201600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // IP(src='192.0.2.4', dst=A, id=0, proto=41) / u6()
  {
    name: 'protocol 41 to an ipip tunnel',
    tunnel: 0,
    packet:
      '45000044000000004029f68bc0000204c0000201600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'no-tunnel',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / UDP(sport=1, dport=2)
  {
    name: 'UDP',
    tunnel: 0,
    packet: '4500001c000000004011f6cdc0000202c00002010001000200087bd7',
    drop: 'no-tunnel',
  },
  // u6()
  {
    name: 'outer IPv6',
    tunnel: 0,
    packet:
      '600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'no-tunnel',
  },
  // Raw(b'')
  {
    name: 'an empty packet',
    tunnel: 0,
    packet: '',
    drop: 'outer-header',
  },
  // IP(src='192.0.2.2', dst=A, id=0, chksum=1) / GRE() / u4()
  {
    name: 'outer header checksum wrong',
    tunnel: 0,
    packet:
      '4500003400000000402f0001c0000202c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'outer-header',
  },
  // Raw(bytes(IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4())[:-1])
  {
    name: 'outer total length past the end',
    tunnel: 0,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c00010000401166a80a1400050a090007138800070008d8',
    drop: 'outer-header',
  },
  // IP(src='192.0.2.2', dst=A, id=7, flags='MF') / GRE() / u4()
  {
    name: 'first fragment',
    tunnel: 0,
    packet:
      '4500003400072000402fd690c0000202c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'outer-fragment',
  },
  // IP(src='127.0.0.1', dst=A, id=0) / GRE() / u4()
  {
    name: 'from loopback',
    tunnel: 0,
    packet:
      '4500003400000000402f39997f000001c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'outer-martian',
  },
  // IP(src=A, dst=A, id=0) / GRE() / u4()
  {
    name: 'from our own endpoint',
    tunnel: 0,
    packet:
      '4500003400000000402ff698c0000201c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'outer-martian',
  },
];
