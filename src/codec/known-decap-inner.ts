// Known answers of decap about the inner packet: what a codec build must make of these packets before it
// goes live.
//
// The bytes are not our own encoder's: scapy 2.5.0 made both sides of every line from the expression
// above it; tshark 4.0.17 calls the IP and GRE checksums of all 10 tunnel packets that pass good.
//
//   A   = '192.0.2.1'
//   u4  = IP(src='10.20.0.5', dst='10.9.0.7', ttl=64, ...) / UDP(sport=5000, dport=7) [/ data]
//   u6  = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7', hlim=64, ...) / UDP(sport=5000, dport=7)
//   ps4, ps6 = folded sum of the TCP pseudo-header: source, destination, length
import { LOCAL_KEEPALIVE } from '../../asm/layout.js';
import type { KnownAnswer } from './known-answers.js';

export const INNER_ANSWERS: readonly KnownAnswer[] = [
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x0800)
  {
    name: 'nothing inside',
    tunnel: 1,
    packet: '4500001800000000402ff6b3c0000202c000020100000800',
    drop: 'inner-truncated',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE(proto=0x0800) / u6()
  {
    name: 'IPv6 under the protocol type of IPv4',
    tunnel: 1,
    packet:
      '4500004800000000402ff683c0000202c000020100000800600000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'inner-version',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(chksum=1)
  {
    name: 'inner header checksum wrong',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c00010000401100010a1400050a090007138800070008d826',
    drop: 'inner-header',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u6(plen=9)
  {
    name: 'inner IPv6 payload length past the end',
    tunnel: 1,
    packet:
      '4500004800000000402ff683c0000202c0000201000086dd600000000009114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    drop: 'inner-header',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(src='127.0.0.1')
  {
    name: 'inner source on loopback',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c000100004011f1bf7f0000010a090007138800070008633e',
    drop: 'inner-martian',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u6(src='::ffff:10.20.0.5')
  {
    name: 'inner source mapped IPv4',
    tunnel: 1,
    packet:
      '4500004800000000402ff683c0000202c0000201000086dd600000000008114000000000000000000000ffff0a14000520010db8000900000000000000000007138800070008b46d',
    drop: 'inner-martian',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(src='10.9.0.1')
  {
    name: 'inner source is ours',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c00010000401166b70a0900010a090007138800070008d835',
    drop: 'inner-src-spoof',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(src='10.21.0.5')
  {
    name: 'inner source not accepted',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c00010000401166a70a1500050a090007138800070008d825',
    drop: 'inner-src-spoof',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(dst=A)
  {
    name: 'inner destination is our endpoint',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c000100004011aeb60a140005c00002011388000700082035',
    drop: 'inner-dst-policy',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IP(src='10.20.0.5', dst=A, id=0) / GRE() / u4()
  {
    name: 'a tunnel packet inside',
    tunnel: 1,
    packet:
      '4500004c00000000402ff67fc0000202c0000201000008004500003400000000402fae810a140005c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'nesting-limit',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(ttl=1)
  {
    name: 'TTL 1 to be forwarded',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c000100000111a5a80a1400050a090007138800070008d826',
    drop: 'inner-ttl',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(ttl=1, dst='10.9.0.1')
  {
    name: 'TTL 1 to us',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c000100000111a5ae0a1400050a090001138800070008d82c',
    result: '4500001c000100000111a5ae0a1400050a090001138800070008d82c',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / u4(ttl=1, dst='224.0.0.5')
  {
    name: 'TTL 1 to a group',
    tunnel: 1,
    packet:
      '4500003400000000402ff697c0000202c0000201000008004500001c000100000111cfb20a140005e00000051388000700080231',
    result: '4500001c000100000111cfb20a140005e00000051388000700080231',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IPv6(src='fe80::5', dst='ff02::5', hlim=1,
  //     nh=59)
  {
    name: 'neighbours by their link-local addresses',
    tunnel: 1,
    packet:
      '4500004000000000402ff68bc0000202c0000201000086dd6000000000003b01fe800000000000000000000000000005ff020000000000000000000000000005',
    result: '6000000000003b01fe800000000000000000000000000005ff020000000000000000000000000005',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IPv6(src='::', dst='ff02::16', hlim=1, nh=59)
  {
    name: 'a group report from the unspecified address',
    tunnel: 1,
    packet:
      '4500004000000000402ff68bc0000202c0000201000086dd6000000000003b0100000000000000000000000000000000ff020000000000000000000000000016',
    result: '6000000000003b0100000000000000000000000000000000ff020000000000000000000000000016',
  },
  // IP(src='192.0.2.2', dst=A, id=0, tos=3) / GRE() / u4(tos=2)
  {
    name: 'congestion marked on the way, sender capable',
    tunnel: 1,
    packet:
      '4503003400000000402ff694c0000202c0000201000008004502001c00010000401166a60a1400050a090007138800070008d826',
    result: '4503001c00010000401166a50a1400050a090007138800070008d826',
  },
  // IP(src='192.0.2.2', dst=A, id=0, tos=1) / GRE() / u6(tc=2)
  {
    name: 'ECT(1) outside, ECT(0) inside IPv6',
    tunnel: 1,
    packet:
      '4501004800000000402ff682c0000202c0000201000086dd602000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
    result:
      '601000000008114020010db800200000000000000000000520010db800090000000000000000000713880007000890a8',
  },
  // IP(src='192.0.2.2', dst=A, id=0, tos=3) / GRE() / u4(tos=0)
  {
    name: 'congestion marked on the way, sender not capable',
    tunnel: 1,
    packet:
      '4503003400000000402ff694c0000202c0000201000008004500001c00010000401166a80a1400050a090007138800070008d826',
    drop: 'ecn',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IP(src='10.20.0.5', dst='10.9.0.7') /
  //     TCP(dport=7, chksum=ps4('10.20.0.5','10.9.0.7',20))
  {
    name: 'TCP checksum left to the device',
    tunnel: 1,
    packet:
      '4500004000000000402ff68bc0000202c0000201000008004500002800010000400666a70a1400050a0900070014000700000000000000005002200014430000',
    result: '4500002800010000400666a70a1400050a0900070014000700000000000000005002200014430000',
    device: '01000000000014001000',
  },
  // IP(src='198.51.100.9', dst=A, id=0) / GRE(key_present=1, key=7) / IP(src='10.20.0.5',
  //     dst='10.9.0.7') / TCP(dport=7, chksum=ps4('10.20.0.5','10.9.0.7',74)) / Raw(b'.'*54)
  {
    name: 'TCP merged past the MTU',
    tunnel: 5,
    packet:
      '4500007a00000000402f8e17c6336409c000020120000800000000074500005e00010000400666710a1400050a09000700140007000000000000000050022000147900002e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e',
    result:
      '4500005e00010000400666710a1400050a09000700140007000000000000000050022000147900002e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e',
    device: '01012800080014001000',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IPv6(src='2001:db8:20::5',
  //     dst='2001:db8:9::7') / TCP(dport=7, chksum=ps6('2001:db8:20::5','2001:db8:9::7',20))
  {
    name: 'TCP over IPv6, checksum left to the device',
    tunnel: 1,
    packet:
      '4500005400000000402ff677c0000202c0000201000086dd600000000014064020010db800200000000000000000000520010db8000900000000000000000007001400070000000000000000500220005bc10000',
    result:
      '600000000014064020010db800200000000000000000000520010db8000900000000000000000007001400070000000000000000500220005bc10000',
    device: '01000000000028001000',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IP(src='10.20.0.5', dst='10.9.0.7') /
  //     TCP(dport=7)
  {
    name: 'TCP with its own checksum',
    tunnel: 1,
    packet:
      '4500004000000000402ff68bc0000202c0000201000008004500002800010000400666a70a1400050a090007001400070000000000000000500220007b9f0000',
    result: '4500002800010000400666a70a1400050a090007001400070000000000000000500220007b9f0000',
  },
  // IP(src='192.0.2.2', dst=A, id=0) / GRE() / IP(src=A, dst='192.0.2.2', ttl=255) / GRE(proto=0), the one packet
  // here that scapy did not make: headers packed and summed by Python's struct
  {
    name: 'keepalive of the peer',
    tunnel: 1,
    packet:
      '4500003000000000402ff69bc0000202c0000201000008004500001800010000ff2f37b2c0000201c000020200000000',
    local: LOCAL_KEEPALIVE,
    result: '4500001800010000ff2f37b2c0000201c000020200000000',
  },
];
