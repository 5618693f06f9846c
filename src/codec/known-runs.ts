// One batch as it came out of tunnels, and what coalesce must make of it. The packets and the superpackets were
// encoded by scapy 2.5.0, each from its own fields; what has its checksum left open, as every superpacket has, was
// given the sum of its pseudo-header. Behind each packet stands the expression it is made from:
//
//   a(id, seq, data, flags='A') = IP(src='10.20.0.5', dst='10.9.0.7', ttl=63, id=id, flags='DF') /
//       TCP(sport=5201, dport=40000, seq=seq, ack=7, flags=flags, window=512, options=[NOP, NOP, Timestamp(1, 2)])
//   b(seq, data) = IPv6(src='2001:db8:20::5', dst='2001:db8:9::7', hlim=63, tc=2, fl=0x12345) /
//       TCP(sport=5201, dport=40000, seq=seq, ack=7, window=512)
//   u(id, data) = IP(src='10.20.0.5', dst='10.9.0.7', ttl=63, id=id) / UDP(sport=4000, dport=443)
//   D = [b'abcdefgh', b'ijklmnop', b'qrstuvwx', b'yz012345']

/** A packet that decap let through, in hex. */
export interface KnownArrival {
  /** Record index. */
  readonly tunnel: number;
  readonly packet: string;
  /** struct virtio_net_hdr as decap writes it; zeros when absent. */
  readonly device?: string;
}

/** What a device must be given at once. */
export interface KnownRun {
  readonly name: string;
  /** Indexes of the arrivals in it, in the order of their payload. */
  readonly members: readonly number[];
  /** Of more than one: the packet and its device header, in hex. */
  readonly packet?: string;
  readonly device?: string;
}

export const KNOWN_ARRIVALS: readonly KnownArrival[] = [
  // a(10, 100, D[0])
  {
    tunnel: 1,
    packet:
      '4500003c000a40003f06278a0a1400050a09000714519c400000006400000007801002001df8000001' +
      '01080a00000001000000026162636465666768',
  },
  // b(4, D[1])
  {
    tunnel: 1,
    packet:
      '60212345001c063f20010db800200000000000000000000520010db800090000000000000000000714' +
      '519c40000000040000000750100200efd30000696a6b6c6d6e6f70',
  },
  // u(0xffff, D[0])
  {
    tunnel: 1,
    packet: '45000024ffff00003f1167a10a1400050a0900070fa001bb001048b56162636465666768',
  },
  // a(99, 108, D[1]), its checksum left open
  {
    tunnel: 1,
    packet:
      '4500003c006340003f0627310a1400050a09000714519c400000006c00000007801002001457000001' +
      '01080a0000000100000002696a6b6c6d6e6f70',
    device: '01000000000014001000',
  },
  // a(11, 116, D[2]), of another tunnel
  {
    tunnel: 2,
    packet:
      '4500003c000b40003f0627890a1400050a09000714519c40000000740000000780100200dda7000001' +
      '01080a00000001000000027172737475767778',
  },
  // b(0xfffffffc, D[0])
  {
    tunnel: 1,
    packet:
      '60212345001c063f20010db800200000000000000000000520010db800090000000000000000000714' +
      '519c40fffffffc00000007501002000ffb00006162636465666768',
  },
  // u(0, D[1])
  {
    tunnel: 1,
    packet: '45000024000000003f1167a10a1400050a0900070fa001bb00102895696a6b6c6d6e6f70',
  },
  // a(5, 116, D[2], 'PA')
  {
    tunnel: 1,
    packet:
      '4500003c000540003f06278f0a1400050a09000714519c40000000740000000780180200dd9f000001' +
      '01080a00000001000000027172737475767778',
  },
  // a(13, 124, D[3])
  {
    tunnel: 1,
    packet:
      '4500003c000d40003f0627870a1400050a09000714519c400000007c00000007801002009f61000001' +
      '01080a0000000100000002797a303132333435',
  },
  // b(12, b'xyz')
  {
    tunnel: 1,
    packet:
      '602123450017063f20010db800200000000000000000000520010db800090000000000000000000714' +
      '519c400000000c0000000750100200af0c000078797a',
  },
  // u(1, b'odd')
  {
    tunnel: 1,
    packet: '4500001f000100003f1167a50a1400050a0900070fa001bb000b06f06f6464',
  },
  // b(15, D[3])
  {
    tunnel: 1,
    packet:
      '60212345001c063f20010db800200000000000000000000520010db800090000000000000000000714' +
      '519c400000000f0000000750100200916a0000797a303132333435',
  },
  // u(2, D[2]) with a wrong last byte
  {
    tunnel: 1,
    packet: '45000024000200003f11679f0a1400050a0900070fa001bb001008757172737475767721',
  },
  // u(3, D[2])
  {
    tunnel: 1,
    packet: '45000024000300003f11679e0a1400050a0900070fa001bb001008757172737475767778',
  },
  // a(14, 132, b'')
  {
    tunnel: 1,
    packet:
      '45000034000e40003f06278e0a1400050a09000714519c40000000840000000780100200af75000001' +
      '01080a0000000100000002',
  },
  // a(15, 132, D[0])
  {
    tunnel: 1,
    packet:
      '4500003c000f40003f0627850a1400050a09000714519c400000008400000007801002001dd8000001' +
      '01080a00000001000000026162636465666768',
  },
  // a(16, 140, D[1])
  {
    tunnel: 1,
    packet:
      '4500003c001040003f0627840a1400050a09000714519c400000008c0000000780100200fdaf000001' +
      '01080a0000000100000002696a6b6c6d6e6f70',
  },
  // a(17, 148, D[2]) with a wrong last byte
  {
    tunnel: 1,
    packet:
      '4500003c001140003f0627830a1400050a09000714519c40000000940000000780100200dd87000001' +
      '01080a00000001000000027172737475767721',
  },
];

/** In the order in which they are written. */
export const KNOWN_RUNS: readonly KnownRun[] = [
  {
    name: 'TCP over IPv4 up to PSH, one with its checksum left open',
    members: [0, 3, 7],
    packet:
      '4500004c000a40003f06277a0a1400050a09000714519c400000006400000007801802001467000001' +
      '01080a00000001000000026162636465666768696a6b6c6d6e6f707172737475767778',
    device: '01013400080014001000',
  },
  {
    name: 'TCP over IPv6, the second put in front across 2^32, a shorter one behind',
    members: [5, 1, 9],
    packet:
      '602123450027063f20010db800200000000000000000000520010db800090000000000000000000714' +
      '519c40fffffffc00000007501002005bd400006162636465666768696a6b6c6d6e6f7078797a',
    device: '01043c00080028001000',
  },
  {
    name: 'UDP, identifications in line, a shorter one behind',
    members: [2, 6, 10],
    packet:
      '4500002fffff00003f1167960a1400050a0900070fa001bb001b14556162636465666768696a6b6c6d' +
      '6e6f706f6464',
    device: '01051c00080014000600',
  },
  {
    name: 'the same flow in another tunnel',
    members: [4],
  },
  {
    name: 'what comes behind PSH',
    members: [8],
  },
  {
    name: 'what comes behind a shorter packet',
    members: [11],
  },
  {
    name: 'a wrong checksum',
    members: [12],
  },
  {
    name: 'what comes behind a wrong checksum',
    members: [13],
  },
  {
    name: 'a pure ACK',
    members: [14],
  },
  {
    name: 'what comes behind a pure ACK',
    members: [15, 16],
    packet:
      '45000044000f40003f06277d0a1400050a09000714519c40000000840000000780100200145f000001' +
      '01080a00000001000000026162636465666768696a6b6c6d6e6f70',
    device: '01013400080014001000',
  },
  {
    name: 'a wrong checksum of one that would continue a run',
    members: [17],
  },
];
