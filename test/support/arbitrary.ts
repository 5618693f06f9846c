// Random tunnels and packets. Addresses and keys come from small pools, so that most packets meet a
// tunnel and get deep into the path; the rest of the odds goes to values that must be refused.
import fc from 'fast-check';
import type { Peer, Prefix, Tunnel } from '../../src/packet/tunnel.js';
import { frame, gre, greUdp, ipv4, ipv6, tcp, udp } from './packets.js';

// A property that fails prints its assertion together with the seed.
fc.configureGlobal({ includeErrorInReport: true });

const LOCALS = ['192.0.2.1', '192.0.2.9'];
const REMOTES = ['198.51.100.2', '203.0.113.7'];
const GROUP = '239.1.1.1';
const LOCALS6 = ['2001:db8::1', '2001:db8::9'];
const REMOTES6 = ['2001:db8:ffff::2', '2001:db8:ffff::7'];
const GROUP6 = 'ff05::4';
/** The same on the wire, as ipv6() takes them. */
const WIRE_LOCALS6 = ['20010db8000000000000000000000001', '20010db8000000000000000000000009'];
const WIRE_REMOTES6 = ['20010db8ffff00000000000000000002', '20010db8ffff00000000000000000007'];
const WIRE_GROUP6 = 'ff050000000000000000000000000004';
const KEYS = [0, 42];
/** Of echo requests. */
const IDENTIFIERS = [0x1234, 0xfffe];
const LINKS = [0, 0, 0, 2, 3];
const SIZES = fc.oneof(
  { weight: 5, arbitrary: fc.constant(1476) },
  fc.integer({ min: 68, max: 65535 }),
);

const SOURCES4 = ['10.1.1.5', '10.1.2.200', '172.16.0.1', '169.254.6.1', '192.0.2.1', '10.2.2.1'];
const MARTIANS4 = ['0.0.0.0', '127.0.0.1', '224.0.0.5', '240.0.0.1', '255.255.255.255', '0.1.2.3'];
const DESTINATIONS4 = [
  '10.2.2.9',
  '10.2.2.1',
  '224.0.0.5',
  '192.0.2.1',
  '198.51.100.2',
  '169.254.6.2',
];

const SOURCES6 = [
  '20010db8000a00000000000000000005',
  '20010db8000b00000000000000000001',
  'fe800000000000000000000000000001',
  'fd000000000000000000000000000001',
];
const MARTIANS6 = [
  '00000000000000000000000000000000',
  '00000000000000000000000000000001',
  '0000000000000000000000000a010105',
  '00000000000000000000ffff0a010105',
  'ff020000000000000000000000000001',
  '00000000000000010000ffff0a010105',
];
const DESTINATIONS6 = [
  '20010db8000b00000000000000000009',
  '20010db8000b00000000000000000001',
  'ff020000000000000000000000000005',
  'ff010000000000000000000000000001',
  'ff050000000000000000000000000001',
  'fe800000000000000000000000000002',
];

const PREFIXES: Prefix[] = [
  { address: '10.1.1.0', bits: 24 },
  { address: '10.1.0.0', bits: 16 },
  { address: '0.0.0.0', bits: 0 },
  { address: '10.1.2.200', bits: 32 },
  { address: '169.254.6.0', bits: 29 },
  { address: '2001:db8:a::', bits: 48 },
  { address: '::', bits: 0 },
  { address: '2001:db8:a::5', bits: 128 },
  { address: 'fd00::', bits: 7 },
];
const DEVICE_ADDRESSES: Prefix[] = [
  { address: '10.2.2.1', bits: 24 },
  { address: '169.254.6.2', bits: 30 },
  { address: '2001:db8:b::1', bits: 64 },
];

/** Absent as often as each value. */
function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined, freq: 2 });
}

const key = fc.constantFrom(...KEYS);

const OUTER4 = {
  local: fc.constantFrom(...LOCALS, ...LOCALS, 'any'),
  remote: fc.constantFrom(...REMOTES, ...REMOTES, ...REMOTES, 'any', GROUP),
};
const OUTER6 = {
  local: fc.constantFrom(...LOCALS6, ...LOCALS6, 'any'),
  remote: fc.constantFrom(...REMOTES6, ...REMOTES6, ...REMOTES6, 'any', GROUP6),
};

/** What all modes share. */
const base = {
  name: fc.constant('t'),
  ttl: fc.constantFrom(1, 64, 255, 'inherit' as const),
  ttlIn: fc.constantFrom('keep' as const, 'keep' as const, 'inherit' as const),
  tos: fc.constantFrom(0, 0x10, 0xfc, 'inherit' as const),
  tosIn: fc.constantFrom('keep' as const, 'keep' as const, 'inherit' as const),
  ecn: fc.constantFrom('normal' as const, 'normal' as const, 'compatibility' as const),
  pmtudisc: fc.boolean(),
  ignoreDf: fc.boolean(),
  encapLimit: maybe(fc.constantFrom(0, 4, 255)),
  flowLabel: fc.constantFrom(0, 0xabcde, 'inherit' as const, 'flow' as const),
  mtu: SIZES,
  mss: maybe(fc.constantFrom(536, 1400, 'auto' as const)),
  link: fc.constantFrom(...LINKS),
  allow: fc.oneof(fc.constant('any' as const), fc.subarray(PREFIXES, { maxLength: 4 })),
  addresses: fc.subarray(DEVICE_ADDRESSES),
  keepalive: fc.boolean(),
  probe: maybe(
    fc
      .tuple(fc.constantFrom('10.1.1.5', '2001:db8:a::5'), fc.constantFrom(...IDENTIFIERS))
      .map(([target, identifier]) => ({ target, identifier })),
  ),
  reflect: fc.boolean(),
  profile: fc.constantFrom('rfc' as const, 'rfc' as const, 'linux' as const),
};

const greBase = {
  ...base,
  keyIn: maybe(key),
  keyOut: maybe(key),
  checksumIn: fc.boolean(),
  checksumOut: fc.boolean(),
  sequenceIn: fc.boolean(),
  sequenceOut: fc.boolean(),
  sourcePort: maybe(fc.constantFrom(1, 50000, 65535)),
  reorder: maybe(fc.constant({ packets: 8, timeMs: 20 })),
};

/** Without the options that are not there. */
function withoutAbsent(options: object): Tunnel {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as Tunnel;
}

const greTunnel: fc.Arbitrary<Tunnel> = fc
  .oneof(
    fc.record({
      ...greBase,
      ...OUTER4,
      mode: fc.constantFrom('gre' as const, 'gre' as const, 'gretap' as const, 'gre-udp' as const),
    }),
    fc.record({
      ...greBase,
      ...OUTER6,
      mode: fc.constantFrom('ip6gre' as const, 'ip6gretap' as const, 'gre-udp' as const),
    }),
  )
  .map(withoutAbsent);

const ipTunnel: fc.Arbitrary<Tunnel> = fc
  .oneof(
    fc.record({ ...base, ...OUTER4, mode: fc.constantFrom('ipip' as const, 'sit' as const) }),
    fc.record({ ...base, ...OUTER6, mode: fc.constantFrom('ip4ip6' as const, 'ip6ip6' as const) }),
  )
  .map(withoutAbsent);

export const tunnel: fc.Arbitrary<Tunnel> = fc.oneof(
  { weight: 3, arbitrary: greTunnel },
  { weight: 1, arbitrary: ipTunnel },
);

/** Networks that packets of `inner` go to, and come from. */
const ROUTES: Prefix[] = [
  ...PREFIXES,
  { address: '10.2.0.0', bits: 16 },
  { address: '10.2.2.0', bits: 24 },
  { address: '10.2.2.9', bits: 32 },
  { address: '224.0.0.0', bits: 4 },
  { address: '2001:db8:b::', bits: 48 },
  { address: '2001:db8:b::', bits: 64 },
  { address: '2001:db8:b::8', bits: 125 },
  { address: 'ff02::', bits: 16 },
  { address: '::ffff:10.2.2.9', bits: 127 },
];

/** Peers of a tunnel that has the outer addresses of one version. */
function peers(remotes: readonly string[]): fc.Arbitrary<Peer[]> {
  const peer = fc.record({
    remote: fc.constantFrom(...remotes, ...remotes, null),
    routes: fc.subarray(ROUTES, { maxLength: 6 }),
  });
  return fc.array(peer, { minLength: 1, maxLength: 3 });
}

/** A tunnel with several peers, of those that carry packets. */
const multipoint: fc.Arbitrary<Tunnel> = tunnel.chain((given) => {
  const isOver6 = given.mode.includes('6') || given.local.includes(':');
  if (given.mode.includes('tap')) return fc.constant(given);
  // Of gre-udp the family is that of its addresses, which `any` would leave to the peers.
  if (given.mode === 'gre-udp' && given.local === 'any') return fc.constant(given);
  return peers(isOver6 ? REMOTES6 : REMOTES).map((list) => ({
    ...given,
    remote: 'any',
    peers: list,
  }));
});

/** A table with holes. */
export function tunnelList(maxLength: number): fc.Arbitrary<(Tunnel | undefined)[]> {
  const any = fc.oneof({ weight: 3, arbitrary: tunnel }, { weight: 1, arbitrary: multipoint });
  const place = fc.option(any, { nil: undefined, freq: 8 });
  return fc.array(place, { minLength: 1, maxLength, size: 'max' });
}

/** Nearly always `usual`: a packet that is odd in several places ends at the first. */
function mostly<T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: odd });
}

const byte = fc.integer({ min: 0, max: 255 });
const payload = fc.uint8Array({ maxLength: 80 });
const ttl = mostly(fc.constantFrom(64, 255, 2), fc.constantFrom(0, 1));
const protocol = fc.constantFrom(1, 17, 17, 4, 41, 47, 89);

const inner4 = fc
  .record({
    source: mostly(fc.constantFrom(...SOURCES4), fc.constantFrom(...MARTIANS4)),
    destination: mostly(fc.constantFrom(...DESTINATIONS4), fc.constantFrom(...MARTIANS4)),
    protocol,
    ttl,
    tos: byte,
    identification: fc.integer({ min: 0, max: 0xffff }),
    fragment: fc.constantFrom(0, 0x4000, 0x2000, 0x00b9),
    options: fc.constantFrom(0, 0, 0, 4, 40).map((size) => new Uint8Array(size).fill(1)),
    payload,
  })
  .map(ipv4);

const inner6 = fc
  .record({
    source: mostly(fc.constantFrom(...SOURCES6), fc.constantFrom(...MARTIANS6)),
    destination: mostly(fc.constantFrom(...DESTINATIONS6), fc.constantFrom(...MARTIANS6)),
    nextHeader: protocol,
    hopLimit: ttl,
    trafficClass: byte,
    payload,
  })
  .map(ipv6);

/** TCP and UDP as a sender's kernel leaves them to a network card, and nearly so. */
const innerUpper = fc
  .record({
    protocol: fc.constantFrom(6, 6, 17),
    version: fc.constantFrom(4, 6),
    checksum: fc.constantFrom('partial' as const, 'partial' as const, 0, 0xffff),
    headerWords: fc.constantFrom(5, 5, 6, 8, 4, 15),
    flags: fc.constantFrom(0x10, 0x02, 0x12),
    options: fc
      .constantFrom('', '020405b4', '010204ffff010100', '0402080a', '0205', '03030702')
      .map((text) => Uint8Array.from(Buffer.from(text, 'hex'))),
    payload: fc.oneof(
      payload,
      fc.constantFrom(1400, 3000).map((size) => new Uint8Array(size)),
    ),
    fragment: fc.constantFrom(0, 0x4000, 0x2000),
    tos: byte,
  })
  .map(({ version, fragment, tos, protocol: upper, ...fields }) => {
    const build = upper === 6 ? tcp : udp;
    if (version === 4) {
      const source = Uint8Array.of(10, 1, 1, 5);
      const destination = Uint8Array.of(10, 2, 2, 9);
      return ipv4({
        source: source.join('.'),
        destination: destination.join('.'),
        protocol: upper,
        fragment,
        tos,
        payload: build({ ...fields, source, destination }),
      });
    }
    const [from = '', to = ''] = [SOURCES6[0], DESTINATIONS6[0]];
    const source = Uint8Array.from(Buffer.from(from, 'hex'));
    const destination = Uint8Array.from(Buffer.from(to, 'hex'));
    const segment = build({ ...fields, source, destination });
    return ipv6({
      source: from,
      destination: to,
      nextHeader: upper,
      trafficClass: tos,
      payload: segment,
    });
  });

/** IPv6 with extension headers, among them one that says how many tunnels it may enter. */
const innerExtended = fc
  .record({
    headers: fc.array(fc.constantFrom('00', '3c', '3c', '2b'), { minLength: 1, maxLength: 10 }),
    options: fc.constantFrom(
      '040100010100',
      '040104010100',
      '050200000000',
      '040300000000',
      '010400000000',
    ),
    payload,
  })
  .map(({ headers, options, payload: rest }) => {
    const [first = '00'] = headers;
    const chain = headers.map((_, index) => `${headers[index + 1] ?? '3b'}00${options}`).join('');
    const [source = '', destination = ''] = [SOURCES6[0], DESTINATIONS6[0]];
    const bytes = Uint8Array.from([...Buffer.from(chain, 'hex'), ...rest]);
    return ipv6({ source, destination, nextHeader: Number.parseInt(first, 16), payload: bytes });
  });

/** GRE packets that ask and answer, and nearly so. */
const greAsking = fc
  .record({
    key: maybe(key),
    checksum: fc.boolean(),
    flags: mostly(fc.constant(0), fc.constantFrom(1, 0x4000, 0x0800)),
    protocol: mostly(fc.constant(0), fc.constantFrom(0x0800, 0x86dd, 0x0001)),
    payload: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 16 })),
    cut: mostly(fc.constant(0), fc.integer({ min: 1, max: 12 })),
  })
  .map(({ key: k, cut, ...fields }) => {
    const bytes = gre({ ...fields, ...(k === undefined ? {} : { key: k }) });
    return bytes.subarray(0, Math.max(0, bytes.length - cut)).slice();
  });

/** Echo replies: to a probe, and from our own address. */
const innerEcho: fc.Arbitrary<Uint8Array> = fc
  .record({
    isIpv4: fc.boolean(),
    isOurs: fc.boolean(),
    type: mostly<'reply' | 'request' | 'odd'>(
      fc.constant('reply'),
      fc.constantFrom('request', 'odd'),
    ),
    identifier: mostly(fc.constantFrom(...IDENTIFIERS), fc.constant(1)),
    rest: fc.uint8Array({ maxLength: 16 }),
    destination: mostly(fc.constant(0), fc.integer({ min: 1, max: 5 })),
    cut: mostly(fc.constant(0), fc.integer({ min: 1, max: 24 })),
    ttl,
    fragment: mostly(fc.constant(0), fc.constant(0x2000)),
  })
  .map(({ isIpv4, isOurs, type, identifier, rest, destination, cut, ttl: hops, fragment }) => {
    const [reply, request] = isIpv4 ? [0, 8] : [129, 128];
    const first = { reply: [reply, 0], request: [request, 0], odd: [reply, 1] }[type];
    const head = [...first, 0, 0, identifier >>> 8, identifier & 0xff, 0, 1];
    const payload = Uint8Array.from([...head, ...rest]).subarray(
      0,
      Math.max(0, 8 + rest.length - cut),
    );
    const places = isIpv4 ? DESTINATIONS4 : DESTINATIONS6;
    const [theirs = '', ours = ''] = isIpv4
      ? ['10.1.1.5', '10.2.2.1']
      : [SOURCES6[0], '20010db8000b00000000000000000001'];
    const to = destination === 0 ? (isOurs ? theirs : ours) : (places[destination] ?? theirs);
    const ends = { source: isOurs ? ours : theirs, destination: to, payload: payload.slice() };
    return isIpv4
      ? ipv4({ ...ends, protocol: 1, ttl: hops, fragment })
      : ipv6({ ...ends, nextHeader: 58, hopLimit: hops });
  });

/** What a tunnel sends, from either end of one or from elsewhere: it must not go in again. */
const innerTunnelled: fc.Arbitrary<Uint8Array> = fc
  .record({
    isIpv4: fc.boolean(),
    source: fc.constantFrom(0, 0, 1, 2),
    destination: fc.constantFrom(0, 1, 2),
    protocol: fc.constantFrom(4, 41, 47, 17, 17, 6),
    port: mostly(fc.constant(4754), fc.constant(53)),
    extensions: fc.constantFrom('', '', '3c', '2b', '2c', '003c'),
    fragment: mostly(fc.constant(0), fc.constantFrom(0x4000, 0x2000, 0x0001)),
    options: fc.constantFrom(0, 0, 8),
    cut: mostly(fc.constant(0), fc.integer({ min: 1, max: 16 })),
  })
  .map(({ isIpv4, source, destination, protocol: upper, port, extensions, cut, ...fields }) => {
    const head = Uint8Array.of(
      0xc0,
      0,
      port >>> 8,
      port & 0xff,
      0,
      16,
      0,
      0,
      0,
      0,
      8,
      0,
      1,
      2,
      3,
      4,
    );
    const bytes = head.subarray(0, head.length - cut).slice();
    if (isIpv4) {
      const places = [LOCALS[0] ?? '', REMOTES[0] ?? '', '10.2.2.9'];
      const ends = { source: places[source] ?? '', destination: places[destination] ?? '' };
      const options = new Uint8Array(fields.options).fill(1);
      return ipv4({ ...ends, protocol: upper, fragment: fields.fragment, options, payload: bytes });
    }
    const places = [WIRE_LOCALS6[0] ?? '', WIRE_REMOTES6[0] ?? '', DESTINATIONS6[0] ?? ''];
    const numbers = [...Buffer.from(extensions, 'hex'), upper];
    const [nextHeader = upper, ...behind] = numbers;
    // A fragment header is that of a piece, or of a whole packet.
    const rest = fields.fragment === 0x2000 ? '000100000001' : '000000000000';
    const chain = behind.flatMap((next) => [next, 0, ...Buffer.from(rest, 'hex')]);
    const ends = { source: places[source] ?? '', destination: places[destination] ?? '' };
    return ipv6({ ...ends, nextHeader, payload: Uint8Array.from([...chain, ...bytes]) });
  });

/** A whole inner packet, sound by itself. */
export const inner: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 3, arbitrary: inner4 },
  { weight: 3, arbitrary: inner6 },
  { weight: 2, arbitrary: innerUpper },
  { weight: 1, arbitrary: innerExtended },
  { weight: 3, arbitrary: innerEcho },
  { weight: 2, arbitrary: innerTunnelled },
);

/** An Ethernet frame, now and then of a protocol that is not IP, or cut. */
export const ethernet: fc.Arbitrary<Uint8Array> = fc
  .record({
    payload: inner,
    source: mostly(fc.constant('02000000000a'), fc.constantFrom('01005e000001', 'ffffffffffff')),
    tags: fc.constantFrom([], [], [7], [7, 8], [7, 8, 9]),
    type: maybe(fc.constantFrom(0x0806, 0x0800, 0x86dd)),
    isRight: fc.integer({ min: 0, max: 4 }),
    cut: mostly(fc.constant(0), fc.integer({ min: 1, max: 60 })),
  })
  .map(({ type, isRight, cut, ...fields }) => {
    const bytes = frame({ ...fields, ...(type === undefined || isRight > 0 ? {} : { type }) });
    return bytes.subarray(0, Math.max(0, bytes.length - cut)).slice();
  });

const sequence = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.constantFrom(0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
);

/** What GRE carries, and the protocol type that says so. */
const greCarried = fc.oneof(
  { weight: 5, arbitrary: inner.map((bytes) => ({ payload: bytes })) },
  { weight: 2, arbitrary: ethernet.map((bytes) => ({ payload: bytes, protocol: 0x6558 })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(inner, fc.constantFrom('', '00000000', '80ff1234'))
      .map(([bytes, redirect]) => ({
        payload: Uint8Array.from([...Buffer.from(redirect, 'hex'), ...bytes]),
        protocol: 0x883e,
      })),
  },
);

const grePayload = fc
  .record({
    carried: greCarried,
    flags: mostly(
      fc.constant(0),
      fc.integer({ min: 0, max: 15 }).map((bit) => 1 << bit),
    ),
    checksum: mostly<boolean | number>(fc.boolean(), fc.integer({ min: 0, max: 0xffff })),
    reserved1: mostly(fc.constant(0), byte),
    key: maybe(key),
    sequence: maybe(sequence),
    protocol: maybe(fc.constantFrom(0x0800, 0x86dd, 0x0800, 0x6558, 0)),
    isRight: fc.integer({ min: 0, max: 4 }),
  })
  .map(({ carried, key: k, sequence: s, protocol: p, isRight, ...fields }) =>
    gre({
      ...fields,
      ...carried,
      ...(k === undefined ? {} : { key: k }),
      ...(s === undefined ? {} : { sequence: s }),
      ...(p === undefined || isRight > 0 ? {} : { protocol: p }),
    }),
  );

/** GRE in UDP, with a header that is wrong now and then. */
const udpPayload = fc
  .record({
    payload: grePayload,
    sourcePort: fc.constantFrom(49152, 54321, 0, 4754),
    port: mostly(fc.constant(4754), fc.constantFrom(4755, 53, 0)),
    length: mostly(fc.constant(0), fc.constantFrom(-9, -1, 1, 8)),
    checksum: mostly(
      fc.constantFrom('right' as const, 'right' as const, 0),
      fc.constantFrom(1, 0xffff),
    ),
  })
  .map(({ payload: bytes, ...fields }) => ({ protocol: 17, payload: bytes, udp: fields }));

const carried = fc.oneof(
  { weight: 4, arbitrary: grePayload.map((bytes) => ({ protocol: 47, payload: bytes })) },
  { weight: 1, arbitrary: greAsking.map((bytes) => ({ protocol: 47, payload: bytes })) },
  { weight: 2, arbitrary: udpPayload },
  { weight: 1, arbitrary: inner4.map((bytes) => ({ protocol: 4, payload: bytes })) },
  { weight: 1, arbitrary: inner6.map((bytes) => ({ protocol: 41, payload: bytes })) },
);

/** Padding behind the packet. */
const trailing = fc.constantFrom(0, 0, 0, 6);

const outer4: fc.Arbitrary<Uint8Array> = fc
  .record({
    carried,
    source: mostly(fc.constantFrom(...REMOTES), fc.constantFrom(...MARTIANS4, ...LOCALS)),
    destination: mostly(
      fc.constantFrom(...LOCALS, ...LOCALS, GROUP),
      fc.constantFrom('10.9.9.9', '255.255.255.255'),
    ),
    tos: byte,
    ttl: fc.constantFrom(1, 64),
    fragment: mostly(fc.constantFrom(0, 0x4000), fc.constantFrom(0x2000, 0x0001, 0x8000)),
    options: fc.constantFrom(0, 0, 0, 0, 8, 40).map((size) => new Uint8Array(size).fill(1)),
    trailing,
  })
  .map(({ carried: inside, trailing: padding, ...fields }) => {
    const { source, destination } = fields;
    const packet = ipv4({
      ...fields,
      protocol: inside.protocol,
      payload:
        'udp' in inside
          ? greUdp({ ...inside.udp, source, destination, payload: inside.payload })
          : inside.payload,
    });
    return Uint8Array.from([...packet, ...new Uint8Array(padding).fill(0xee)]);
  });

/** Extension headers by their number, with the bytes behind next header and length. */
const extension = fc.constantFrom<{ number: number; rest: string }>(
  { number: 60, rest: '040104010100' },
  { number: 0, rest: '010400000000' },
  { number: 43, rest: '000000000000' },
  { number: 43, rest: '000100000000' },
  { number: 44, rest: '000000000001' },
  { number: 44, rest: '000100000001' },
  { number: 44, rest: '000800000001' },
);

const outer6: fc.Arbitrary<Uint8Array> = fc
  .record({
    carried,
    source: mostly(
      fc.constantFrom(...WIRE_REMOTES6),
      fc.constantFrom(...MARTIANS6, ...WIRE_LOCALS6, 'fe800000000000000000000000000001'),
    ),
    destination: mostly(
      fc.constantFrom(...WIRE_LOCALS6, ...WIRE_LOCALS6, WIRE_GROUP6),
      fc.constantFrom('20010db8000000000000000000009999', 'fe800000000000000000000000000001'),
    ),
    trafficClass: byte,
    flowLabel: fc.constantFrom(0, 0x12345),
    hopLimit: fc.constantFrom(1, 64),
    extensions: mostly(
      fc.array(extension, { maxLength: 0 }),
      fc.oneof(fc.array(extension, { maxLength: 3 }), fc.array(extension, { maxLength: 10 })),
    ),
    overrun: mostly(fc.constant(0), fc.constantFrom(1, 200)),
    length: mostly(fc.constant(0), fc.constantFrom(-8, -1, 1)),
    trailing,
  })
  .map(({ carried: inside, extensions, overrun, length, trailing: padding, ...fields }) => {
    const { source, destination } = fields;
    const upper =
      'udp' in inside
        ? greUdp({ ...inside.udp, source, destination, payload: inside.payload })
        : inside.payload;
    const numbers = [...extensions.map(({ number }) => number), inside.protocol];
    const chain = extensions.flatMap(({ rest }, index) => [
      numbers[index + 1] ?? 0,
      index === extensions.length - 1 ? overrun : 0,
      ...Buffer.from(rest, 'hex'),
    ]);
    const payloadBytes = Uint8Array.from([...chain, ...upper]);
    const packet = ipv6({
      ...fields,
      nextHeader: numbers[0] ?? 0,
      payload: payloadBytes,
      payloadLength: Math.max(0, payloadBytes.length + length),
    });
    return Uint8Array.from([...packet, ...new Uint8Array(padding).fill(0xee)]);
  });

/** The peer's keepalive as it comes through a tunnel between the two. */
const asked: fc.Arbitrary<Uint8Array> = fc
  .record({
    payload: greAsking,
    isIpv4: fc.boolean(),
    local: fc.constantFrom(0, 0, 1),
    remote: fc.constantFrom(0, 0, 1),
    swapped: mostly(fc.constant(0), fc.constant(1)),
    key: maybe(key),
    ttl,
    fragment: mostly(fc.constantFrom(0, 0x4000), fc.constantFrom(0x2000, 0x0001)),
  })
  .map(({ payload: p, isIpv4, local, remote, swapped, key: k, ttl: hops, fragment }) => {
    const keyed = k === undefined ? {} : { key: k };
    if (isIpv4) {
      const [ours = '', theirs = ''] = [LOCALS[local], REMOTES[remote]];
      const inside = ipv4({
        ...{ source: LOCALS[local ^ swapped] ?? '', destination: theirs },
        ...{ protocol: 47, ttl: hops, fragment, payload: p },
      });
      const carrying = gre({ ...keyed, payload: inside });
      return ipv4({ source: theirs, destination: ours, protocol: 47, payload: carrying });
    }
    const [ours = '', theirs = ''] = [WIRE_LOCALS6[local], WIRE_REMOTES6[remote]];
    const inside = ipv6({
      ...{ source: ours, destination: WIRE_REMOTES6[remote ^ swapped] ?? '' },
      ...{ nextHeader: 47, hopLimit: hops, payload: p },
    });
    const carrying = gre({ ...keyed, payload: inside });
    return ipv6({ source: theirs, destination: ours, nextHeader: 47, payload: carrying });
  });

/** A tunnel packet: sound as a rule, and where not, wrong in one place. */
export const outer: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 3, arbitrary: outer4 },
  { weight: 2, arbitrary: outer6 },
  { weight: 1, arbitrary: asked },
);

const change = fc.record({
  /** Where, counted from a header's beginning: most of what matters lies in the first 90 bytes. */
  offset: fc.integer({ min: 0, max: 89 }),
  value: fc.oneof(byte, fc.constantFrom(0, 1, 0x40, 0x45, 0x60, 0x80, 0xff)),
});

/** A tunnel packet with bytes changed, cut off or added, its outer header checksum mended or not. */
export const mutated: fc.Arbitrary<Uint8Array> = fc
  .record({
    packet: outer,
    changes: fc.array(change, { maxLength: 3 }),
    cut: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100 })),
    mended: fc.integer({ min: 0, max: 3 }).map((odds) => odds > 0),
  })
  .map(({ packet, changes, cut, mended }) => {
    const bytes = Buffer.from(packet.subarray(0, Math.max(0, packet.length - cut)));
    for (const { offset, value } of changes) if (offset < bytes.length) bytes[offset] = value;
    return mended ? mend(bytes) : Uint8Array.from(bytes);
  });

/** Gives an outer header its right checksum and a total length that fits, so that the rest is looked at. */
function mend(bytes: Buffer): Uint8Array {
  if ((bytes[0] ?? 0) >>> 4 === 6) return mend6(bytes);
  const length = ((bytes[0] ?? 0) & 15) * 4;
  if (length < 20 || length > bytes.length) return Uint8Array.from(bytes);
  const [protocol = 0, ttlOf = 0, tos = 0] = [bytes[9], bytes[8], bytes[1]];
  const packet = ipv4({
    version: (bytes[0] ?? 0) >>> 4,
    source: bytes.subarray(12, 16).join('.'),
    destination: bytes.subarray(16, 20).join('.'),
    protocol,
    ttl: ttlOf,
    tos,
    identification: bytes.readUInt16BE(4),
    fragment: bytes.readUInt16BE(6),
    options: bytes.subarray(20, length),
    payload: bytes.subarray(length),
  });
  return packet;
}

/** The same for IPv6, which has only the length to mend. */
function mend6(bytes: Buffer): Uint8Array {
  if (bytes.length >= 40) bytes.writeUInt16BE(bytes.length - 40, 4);
  return Uint8Array.from(bytes);
}

/** Bytes that come from nowhere, some with a header's first byte. */
export const noise: fc.Arbitrary<Uint8Array> = fc
  .record({
    bytes: fc.uint8Array({ maxLength: 1600, size: 'max' }),
    first: fc.option(fc.constantFrom(0x45, 0x46, 0x60), { freq: 2 }),
  })
  .map(({ bytes, first }) => {
    if (first !== null && bytes.length > 0) bytes[0] = first;
    return bytes;
  });
