// What a codec must have done with packets, by the reference: every byte, every field, every counter.
import assert from 'node:assert/strict';
import {
  DEVICE_HEADER_SIZE,
  ECN_PAIRS,
  LOCAL_ANSWER,
  LOCAL_KEEPALIVE,
  LOCAL_PROBE,
  LOCAL_REFLECT,
  SLOT_COUNT,
  SLOT_HEADROOM,
} from '../../asm/layout.js';
import { REASON_EARLY, REASON_LOCAL } from '../../asm/reason.js';
import { decap } from '../../src/packet/decap.js';
import { encapInto, recordOf } from '../../src/packet/encap.js';
import { reasonName as nameOf, REASON } from '../../src/packet/reason.js';
import { createTunnelState, type State, type TunnelState } from '../../src/packet/state.js';
import { createTable, type Table } from '../../src/packet/table.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { type EcnCounts, ecnIndex } from '../../src/ring/ecn-counts.js';
import type { Counters, RecordCounters } from '../../src/tunnel/counters.js';
import { type Direction, dirtyWindow, type Filled, type Plane, type Processed } from './plane.js';

/** The reference with its own memory of sequence numbers, and the counters it expects. */
export class Oracle {
  readonly #table: Table;
  readonly #state: State;
  /** By record: how often each odd pair of ECN fields was passed on. */
  readonly #odd = new Map<number, number[]>();
  /** Counter name -> count, for the packets seen so far. */
  readonly #expected = new Map<string, number>();

  /** `pathMtus`: what the path of each record is known to take; not known where it is left out. */
  constructor(tunnels: readonly (Tunnel | undefined)[], pathMtus: readonly number[] = []) {
    this.#state = stateByRecord(pathMtus, this.#odd);
    this.#table = createTable(tunnels);
  }

  /** What must have become of `packet`. */
  expect(direction: Direction, packet: Filled): Processed {
    const expected = direction === 'encap' ? this.#encap(packet) : this.#decap(packet);
    const row = `${expected.tunnel} ${direction}`;
    if (expected.reason !== 0) this.#count(`${row} ${reasonName(expected.reason)}`, 1);
    else {
      this.#count(`${row} packets`, 1);
      this.#count(`${row} bytes`, expected.innerLength);
    }
    return expected;
  }

  /** The odd pairs of ECN fields are counted at the tunnel they came out of. */
  assertEcn(counts: EcnCounts): void {
    const none = new Array<number>(ECN_PAIRS).fill(0);
    for (const index of this.#table.entries.keys()) {
      const record = index + 1;
      assert.deepEqual(
        counts.get(record),
        this.#odd.get(record) ?? none,
        `ECN of record ${record}`,
      );
    }
  }

  /** Every counter grew by what was expected, and no other. */
  assertCounters(before: Counters, after: Counters): void {
    const grown = flatten(after);
    for (const [name, count] of flatten(before)) grown.set(name, (grown.get(name) ?? 0) - count);
    const nonzero = (counters: Map<string, number>) =>
      Object.fromEntries([...counters].filter(([, count]) => count !== 0).sort());
    assert.deepEqual(nonzero(grown), nonzero(this.#expected));
  }

  #decap({ bytes, link }: Filled): Processed {
    const window = dirtyWindow(bytes);
    const result = decap(bytes, this.#table, this.#state, link);
    if (result.verdict === 'drop' || result.verdict === 'early') {
      const reason = result.verdict === 'early' ? REASON_EARLY : REASON[result.reason];
      return dropped(reason, result.record, window, bytes.length);
    }
    const offset = SLOT_HEADROOM + result.offset;
    if (result.verdict === 'local') {
      const { record: tunnel, packet } = result;
      const place = { offset, length: packet.length, innerLength: packet.length };
      const local = LOCAL[result.local];
      return { reason: REASON_LOCAL, tunnel, ...place, ...SINGLE, local, window };
    }
    window.set(result.packet, offset);
    const { deviceHeader } = result;
    const { length } = result.packet;
    const place = { offset, length, innerLength: length };
    return { reason: 0, tunnel: result.record, ...place, ...SINGLE, deviceHeader, window };
  }

  #encap({ bytes, tunnel: device = 0 }: Filled): Processed {
    const window = dirtyWindow(bytes);
    const record = recordOf(bytes, this.#table, device);
    const isKnown = record <= this.#table.entries.length;
    const entry = this.#table.entries[record - 1];
    const state = this.#state.of(entry?.tunnel ?? NOBODY, record);
    const result = encapInto(bytes, entry, state, undefined, this.#table);
    const tunnel = isKnown ? record : 0;
    if (result.verdict === 'drop') {
      return dropped(REASON[result.reason], tunnel, window, bytes.length);
    }
    const offset = SLOT_HEADROOM - result.outerLength;
    window.set(result.packet, offset);
    return {
      reason: 0,
      tunnel,
      offset,
      length: result.packet.length,
      innerLength: bytes.length,
      ...SINGLE,
      window,
    };
  }

  #count(name: string, amount: number): void {
    this.#expected.set(name, (this.#expected.get(name) ?? 0) + amount);
  }
}

/** A memory that tells random tunnels apart, which may share name and remote. */
function stateByRecord(pathMtus: readonly number[], odd: Map<number, number[]>): State {
  const states = new Map<number, TunnelState>();
  return {
    of(_tunnel, record) {
      const state = states.get(record) ?? createTunnelState(0, 0, pathMtus[record - 1]);
      state.noteEcn = (outer, inner) => {
        const counts = odd.get(record) ?? new Array<number>(ECN_PAIRS).fill(0);
        counts[ecnIndex(outer, inner)] = (counts[ecnIndex(outer, inner)] ?? 0) + 1;
        odd.set(record, counts);
      };
      states.set(record, state);
      return state;
    },
  };
}

const LOCAL = {
  keepalive: LOCAL_KEEPALIVE,
  answer: LOCAL_ANSWER,
  probe: LOCAL_PROBE,
  reflect: LOCAL_REFLECT,
} as const;

/** The reason's name, or what takes the place of one. */
function reasonName(reason: number): string | null {
  if (reason === REASON_EARLY) return 'early';
  return reason === REASON_LOCAL ? 'local' : nameOf(reason);
}

/** Stands where the host named a tunnel that is not there. */
const NOBODY: Tunnel = {
  name: 'nobody',
  mode: 'ipip',
  local: 'any',
  remote: 'any',
  ttl: 64,
  tos: 0,
  pmtudisc: true,
  mtu: 1480,
  link: 0,
  allow: [],
  addresses: [],
};

/** What a packet is that neither was nor will be several. */
const SINGLE = {
  packets: 1,
  isAlone: true,
  local: 0,
  deviceHeader: new Uint8Array(DEVICE_HEADER_SIZE),
};

/** A dropped packet stays where and what it was. */
function dropped(reason: number, tunnel: number, window: Uint8Array, length: number): Processed {
  const place = { offset: SLOT_HEADROOM, length, innerLength: length };
  return { reason, tunnel, ...place, ...SINGLE, window };
}

function flatten(counters: Counters): Map<string, number> {
  const flat = new Map<string, number>();
  const drops = (row: string, counts: RecordCounters['decapDrops']): void => {
    for (const [reason, count] of Object.entries(counts)) flat.set(`${row} ${reason}`, count);
  };
  for (const [index, record] of counters.records.entries()) {
    flat.set(`${index} decap packets`, record.rx.packets);
    flat.set(`${index} decap bytes`, record.rx.bytes);
    flat.set(`${index} decap local`, record.local);
    flat.set(`${index} encap packets`, record.tx.packets);
    flat.set(`${index} encap bytes`, record.tx.bytes);
    flat.set(`${index} decap early`, record.early);
    drops(`${index} decap`, record.decapDrops);
    drops(`${index} encap`, record.encapDrops);
  }
  return flat;
}

/** One packet is as the reference says. Dropped ones keep only their place and their reason. */
export function assertProcessed(actual: Processed, expected: Processed, name: string): void {
  if (isSame(actual, expected)) return;
  const show = ({ window, reason, deviceHeader, ...rest }: Processed) => ({
    reason: reasonName(reason) ?? 'forwarded',
    ...rest,
    deviceHeader: Buffer.from(deviceHeader).toString('hex'),
    window: Buffer.from(window).toString('hex'),
  });
  assert.deepEqual(show(actual), show(expected), `${name} and the reference disagree`);
}

/** The inner length of a dropped packet counts nowhere, and no device is told of it. */
function isSame(actual: Processed, expected: Processed): boolean {
  return (
    actual.reason === expected.reason &&
    actual.tunnel === expected.tunnel &&
    actual.offset === expected.offset &&
    actual.length === expected.length &&
    actual.packets === expected.packets &&
    actual.isAlone === expected.isAlone &&
    actual.local === expected.local &&
    (actual.reason !== 0 ||
      (actual.innerLength === expected.innerLength &&
        Buffer.compare(actual.deviceHeader, expected.deviceHeader) === 0)) &&
    Buffer.compare(actual.window, expected.window) === 0
  );
}

/** Takes packets through every plane, each in batches of a full ring, and compares all there is to compare. */
export function assertAgreement(
  planes: readonly Plane[],
  tunnels: readonly (Tunnel | undefined)[],
  direction: Direction,
  packets: readonly Filled[],
  pathMtus: readonly number[] = [],
): void {
  const oracle = new Oracle(tunnels, pathMtus);
  const expected = packets.map((packet) => oracle.expect(direction, packet));
  for (const plane of planes) {
    plane.publish(tunnels);
    for (const [index, mtu] of pathMtus.entries()) plane.pathMtus.set(index + 1, mtu);
    const before = plane.counters();
    for (let start = 0; start < packets.length; start += SLOT_COUNT) {
      const batch = packets.slice(start, start + SLOT_COUNT);
      for (const [index, processed] of plane.run(direction, batch).entries()) {
        const wanted = expected[start + index];
        assert.ok(wanted);
        assertProcessed(processed, wanted, plane.codec.name);
      }
    }
    oracle.assertCounters(before, plane.counters());
    oracle.assertEcn(plane.ecn);
  }
}
