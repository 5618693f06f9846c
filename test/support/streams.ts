// Random batches of packets that came out of tunnels: several flows, cut and shuffled as a network does it.
//
//   events   what happens next in which flow: data mostly, now and then something that must end a run
//   batch    the events played, each flow going on where it was
import fc from 'fast-check';
import type { Arrived } from '../../src/packet/coalesce.js';
import { frame, internetChecksum, ipv4, ipv6 } from './packets.js';
import { pattern } from './superpackets.js';

const ADDRESSES4 = [
  ['10.1.1.5', '10.2.2.9'],
  ['10.1.1.6', '10.2.2.9'],
] as const;
const ADDRESSES6 = [
  ['20010db8000a00000000000000000005', '20010db8000b00000000000000000009'],
  ['20010db8000a00000000000000000006', '20010db8000b00000000000000000009'],
] as const;

interface Flow {
  readonly isTcp: boolean;
  readonly version: 4 | 6;
  readonly record: number;
  /** Which addresses. */
  readonly pair: number;
  readonly port: number;
  /** Payload of a full packet. */
  readonly size: number;
  /** 32-bit words of the TCP header. */
  readonly words: number;
  /** Checksums are left open, as by a peer on the same machine. */
  readonly isPartial: boolean;
  readonly sequence: number;
  /** How identifications go on from packet to packet. */
  readonly step: number;
  readonly fragment: number;
}

/** What a flow is at. */
interface State {
  sequence: number;
  acknowledgement: number;
  window: number;
  option: number;
  tos: number;
  ttl: number;
  label: number;
  identification: number;
  fragment: number;
  last: Arrived | undefined;
  /** Comes behind the next packet of the flow. */
  held: Arrived | undefined;
}

const CHANGES = ['acknowledgement', 'window', 'option', 'ttl', 'label', 'identification'] as const;

type What =
  | 'data'
  | 'late'
  | 'push'
  | 'short'
  | 'long'
  | 'gap'
  | 'duplicate'
  | 'overlap'
  | 'pure-ack'
  | 'fin'
  | 'urgent'
  | 'congestion'
  | 'corrupt'
  | 'open-checksum'
  | 'no-checksum'
  | 'merged-before'
  | 'fragment'
  | 'options'
  | 'extension'
  | 'cut'
  | 'wrong-length'
  | 'icmp'
  | 'dropped'
  | 'dscp'
  | 'dont-fragment'
  | (typeof CHANGES)[number];

interface Event {
  readonly flow: number;
  readonly what: What;
  /** For what has a size of its own. */
  readonly some: number;
}

const ODD: readonly What[] = [
  ...CHANGES,
  ...(['gap', 'duplicate', 'overlap', 'pure-ack', 'fin', 'urgent', 'congestion'] as const),
  ...(['corrupt', 'open-checksum', 'no-checksum', 'merged-before', 'fragment', 'options'] as const),
  ...(['extension', 'cut', 'wrong-length', 'icmp', 'dropped', 'dscp', 'dont-fragment'] as const),
  ...(['short', 'long', 'push', 'late'] as const),
];

const flow: fc.Arbitrary<Flow> = fc.record({
  isTcp: fc.constantFrom(true, true, false),
  version: fc.constantFrom(4 as const, 6 as const),
  record: fc.constantFrom(1, 1, 2),
  pair: fc.constantFrom(0, 0, 1),
  port: fc.constantFrom(443, 443, 444),
  size: fc.constantFrom(1, 9, 100, 100, 1400, 20000),
  words: fc.constantFrom(5, 8, 8, 15),
  isPartial: fc.constantFrom(false, false, true),
  sequence: fc.constantFrom(0, 1000, 0xffffff00, 0x7fffff00),
  step: fc.constantFrom(1, 1, 0, 3),
  fragment: fc.constantFrom(0x4000, 0x4000, 0),
});

const event: fc.Arbitrary<Event> = fc.record({
  flow: fc.nat(3),
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constant('data' as const) },
    { weight: 1, arbitrary: fc.constantFrom('late' as const, 'push' as const, 'short' as const) },
    { weight: 2, arbitrary: fc.constantFrom(...ODD) },
  ),
  some: fc.integer({ min: 1, max: 60 }),
});

/** A batch; null where decap dropped a packet. At most 250 packets, most of them fewer. */
export const batch: fc.Arbitrary<(Arrived | null)[]> = fc.oneof(
  { weight: 8, arbitrary: eventful(4, 40) },
  { weight: 1, arbitrary: eventful(2, 200) },
  // One flow or two, undisturbed and long.
  {
    weight: 1,
    arbitrary: fc
      .record({
        flows: fc.array(flow, { minLength: 1, maxLength: 2 }),
        count: fc.integer({ min: 50, max: 200 }),
      })
      .map(({ flows, count }) =>
        play(
          flows,
          Array.from({ length: count }, (_, n) => ({ flow: n, what: 'data' as const, some: 1 })),
        ),
      ),
  },
);

/** The same in Ethernet frames: some tagged, some from another station of the segment, some padded. */
export const frameBatch: fc.Arbitrary<(Arrived | null)[]> = fc
  .tuple(batch, fc.array(fc.nat(11), { minLength: 8, maxLength: 8 }))
  .map(([arrived, odds]) =>
    arrived.map((one, index) => one && inFrame(one, odds[index % odds.length] ?? 0)),
  );

function inFrame({ record, packet, deviceHeader }: Arrived, odds: number): Arrived {
  const source = odds === 11 ? '02000000000c' : '02000000000a';
  const whole = frame({ source, tags: record === 2 ? [7] : [], payload: packet });
  const start = whole.length - packet.length;
  const padded = new Uint8Array(odds === 10 ? whole.length + 4 : whole.length);
  padded.set(whole);
  const header = deviceHeader.slice();
  const view = new DataView(header.buffer);
  if (view.getUint8(0) === 1) view.setUint16(6, view.getUint16(6, true) + start, true);
  if (view.getUint8(1) !== 0) view.setUint16(2, view.getUint16(2, true) + start, true);
  return { record, packet: padded, start, deviceHeader: header };
}

function eventful(flows: number, events: number): fc.Arbitrary<(Arrived | null)[]> {
  return fc
    .record({
      flows: fc.array(flow, { minLength: 1, maxLength: flows }),
      events: fc.array(event, { minLength: 1, maxLength: events, size: 'max' }),
    })
    .map((fields) => play(fields.flows, fields.events));
}

/** The packets of `events` in the order in which they arrive. */
function play(flows: readonly Flow[], events: readonly Event[]): (Arrived | null)[] {
  const states = flows.map(begin);
  const arrived: (Arrived | null)[] = [];
  for (const one of events) {
    const index = one.flow % flows.length;
    const [of, state] = [flows[index], states[index]];
    if (of === undefined || state === undefined) continue;
    const packet = happen(of, state, one);
    if (packet === undefined) continue;
    if (one.what === 'late' && packet !== null && state.held === undefined) {
      state.held = packet;
      continue;
    }
    arrived.push(packet);
    if (state.held !== undefined) arrived.push(state.held);
    state.held = undefined;
  }
  return arrived.slice(0, 250);
}

function begin({ sequence, fragment }: Flow): State {
  return {
    ...{ sequence, fragment, acknowledgement: 77, window: 500, option: 0, tos: 0, ttl: 64 },
    ...{ label: 0x12345, identification: 0xfffe, last: undefined, held: undefined },
  };
}

/** What arrives by one event: a packet, null for one that decap dropped, undefined for nothing. */
function happen(of: Flow, state: State, { what, some }: Event): Arrived | null | undefined {
  switch (what) {
    case 'data':
    case 'late':
      state.last = data(of, state, {});
      return state.last;
    case 'push':
      return data(of, state, { flags: 0x18 });
    case 'short':
      return data(of, state, { size: Math.min(some, of.size) });
    case 'long':
      return data(of, state, { size: of.size + some });
    case 'gap':
      state.sequence += some;
      return undefined;
    case 'duplicate':
      return state.last;
    case 'overlap':
      state.sequence -= some;
      return data(of, state, {});
    case 'pure-ack':
      return data(of, state, { size: 0 });
    case 'fin':
      return data(of, state, { flags: 0x11 });
    case 'urgent':
      return data(of, state, { flags: 0x30 });
    case 'congestion':
      return data(of, state, { tos: state.tos | (some % 4), flags: some % 2 === 0 ? 0x90 : 0x50 });
    case 'corrupt':
      return data(of, state, { checksum: 'wrong' });
    case 'open-checksum':
      return data(of, state, { checksum: 'open' });
    case 'no-checksum':
      return data(of, state, { checksum: 'none' });
    case 'merged-before':
      return mergedBefore(of, data(of, state, { size: of.size * 2, checksum: 'open' }));
    case 'fragment':
      return data(of, state, { fragment: some % 2 === 0 ? 0x2000 : some });
    case 'options':
      return data(of, state, { options: 4 });
    case 'extension':
      return data(of, state, { extension: true });
    case 'cut':
      return data(of, state, { cut: some % 20 });
    case 'wrong-length':
      return data(of, state, { upperLength: some });
    case 'icmp':
      return data(of, state, { protocol: of.version === 4 ? 1 : 58 });
    case 'dropped':
      data(of, state, {});
      return null;
    case 'dscp':
      state.tos = (some << 2) & 0xff;
      return data(of, state, {});
    case 'dont-fragment':
      state.fragment ^= 0x4000;
      return data(of, state, {});
    case 'acknowledgement':
    case 'window':
    case 'option':
    case 'ttl':
    case 'label':
    case 'identification':
      state[what] = (state[what] + some) & 0xff;
      return data(of, state, {});
  }
}

interface Oddities {
  readonly size?: number;
  readonly flags?: number;
  readonly tos?: number;
  readonly checksum?: 'wrong' | 'open' | 'none';
  readonly fragment?: number;
  /** Bytes of IPv4 options. */
  readonly options?: number;
  readonly extension?: boolean;
  /** No more than so many bytes of what IP carries. */
  readonly cut?: number;
  /** What UDP says of its length. */
  readonly upperLength?: number;
  readonly protocol?: number;
}

/** The next packet of a flow. */
function data(of: Flow, state: State, odd: Oddities): Arrived {
  const size = odd.size ?? of.size;
  const own = of.isTcp ? of.words * 4 : 8;
  const whole = Buffer.alloc(own + size);
  whole.writeUInt16BE(49152, 0);
  whole.writeUInt16BE(of.port, 2);
  if (of.isTcp) {
    whole.writeUInt32BE(state.sequence >>> 0, 4);
    whole.writeUInt32BE(state.acknowledgement, 8);
    whole[12] = of.words << 4;
    whole[13] = odd.flags ?? 0x10;
    whole.writeUInt16BE(state.window, 14);
    whole.fill(state.option, 20, own);
  } else {
    whole.writeUInt16BE(odd.upperLength ?? whole.length, 4);
  }
  // The byte at a sequence number is always the same: what arrives twice is the same twice.
  whole.set(pattern(size, (state.sequence * 7) & 0xff), own);
  const upper = whole.subarray(0, odd.cut ?? whole.length);
  const protocol = odd.protocol ?? (of.isTcp ? 6 : 17);
  const field = of.isTcp ? 16 : 6;
  const checksum = odd.checksum ?? (of.isPartial ? 'open' : 'right');
  if (upper.length >= field + 2) putChecksum(of, upper, field, checksum);

  const packet = wrap(of, state, odd, protocol, upper);
  if (of.isTcp) state.sequence = (state.sequence + size) >>> 0;
  state.identification = (state.identification + of.step) & 0xffff;
  const deviceHeader = new Uint8Array(10);
  const isPlain = odd.cut === undefined && odd.fragment === undefined && !odd.extension;
  if (checksum === 'open' && isPlain && odd.protocol === undefined) {
    const start = (of.version === 4 ? 20 : 40) + (of.version === 4 ? (odd.options ?? 0) : 0);
    deviceHeader.set([1, 0, 0, 0, 0, 0, start, 0, field, 0]);
  }
  return { record: of.record, packet, deviceHeader };
}

function wrap(
  of: Flow,
  state: State,
  odd: Oddities,
  protocol: number,
  upper: Uint8Array,
): Uint8Array {
  if (of.version === 4) {
    const [source, destination] = ADDRESSES4[of.pair] ?? ADDRESSES4[0];
    return ipv4({
      ...{ source, destination, protocol, payload: upper },
      tos: odd.tos ?? state.tos,
      ttl: state.ttl,
      identification: state.identification,
      fragment: odd.fragment ?? state.fragment,
      options: new Uint8Array(odd.options ?? 0).fill(1),
    });
  }
  const [source, destination] = ADDRESSES6[of.pair] ?? ADDRESSES6[0];
  const isExtended = odd.extension === true || odd.fragment !== undefined;
  const extension = Uint8Array.of(protocol, 0, 1, 4, 0, 0, 0, 0);
  const packet = ipv6({
    ...{ source, destination, hopLimit: state.ttl },
    nextHeader: isExtended ? (odd.fragment === undefined ? 60 : 44) : protocol,
    trafficClass: odd.tos ?? state.tos,
    payload: isExtended ? Uint8Array.from([...extension, ...upper]) : upper,
  });
  packet.set([state.label >>> 8, state.label & 0xff], 2); // the flow label's lower 16 bits
  return packet;
}

function putChecksum(
  of: Flow,
  upper: Buffer,
  field: number,
  which: 'right' | 'wrong' | 'open' | 'none',
): void {
  upper.writeUInt16BE(0, field);
  if (which === 'none' && !of.isTcp) return;
  const pseudo = Buffer.concat([
    of.version === 4
      ? Buffer.from((ADDRESSES4[of.pair] ?? ADDRESSES4[0]).join('.').split('.').map(Number))
      : Buffer.from((ADDRESSES6[of.pair] ?? ADDRESSES6[0]).join(''), 'hex'),
    Buffer.from([0, of.isTcp ? 6 : 17, upper.length >>> 8, upper.length & 0xff]),
  ]);
  let value = internetChecksum(Buffer.concat([pseudo, upper]));
  if (which === 'open') value = ~internetChecksum(pseudo) & 0xffff;
  if (which === 'wrong') value ^= 0x0100;
  if (value === 0 && !of.isTcp) value = 0xffff;
  upper.writeUInt16BE(value, field);
}

/** A packet that the kernel merged on receipt: to be split again. */
function mergedBefore(of: Flow, { record, packet, deviceHeader }: Arrived): Arrived {
  const header = deviceHeader.slice();
  const start = of.version === 4 ? 20 : 40;
  const own = of.isTcp ? of.words * 4 : 8;
  const view = new DataView(header.buffer);
  view.setUint8(1, of.isTcp ? (of.version === 4 ? 1 : 4) : 5);
  view.setUint16(2, start + own, true);
  view.setUint16(4, of.size, true);
  return { record, packet, deviceHeader: header };
}
