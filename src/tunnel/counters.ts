// Counters, seen from control: every lane writes its own, a reader adds them up.
import {
  BATCH_CLASSES,
  CONTROL_TABLE,
  COUNTER_DECAP_DROPS,
  COUNTER_ENCAP_DROPS,
  COUNTER_LAST_RX,
  COUNTER_ROW_SIZE,
  COUNTER_RX_BYTES,
  COUNTER_RX_PACKETS,
  COUNTER_TX_BYTES,
  COUNTER_TX_PACKETS,
  IMAGE_RECORD_COUNT,
  TOTAL_ANSWERS,
  TOTAL_ANSWERS_LIMITED,
  TOTAL_BATCHES,
  TOTAL_DEVICE_BATCHES,
  TOTAL_DEVICE_RECEIVED,
  TOTAL_ERRORS,
  TOTAL_ERRORS_LIMITED,
  TOTAL_GENERATED,
  TOTAL_UNDERLAY_BATCHES,
  TOTAL_UNDERLAY_RECEIVED,
  TOTALS_SIZE,
} from '../../asm/layout.js';
import {
  REASON_CAPACITY,
  REASON_CODEC_FAULT,
  REASON_COUNT,
  REASON_EARLY,
  REASON_LOCAL,
} from '../../asm/reason.js';
import { type Reason, reasonName } from '../packet/reason.js';
import type { MemoryPlan } from '../ring/plan.js';

/** Drops by reason; reasons that never occurred are left out. */
export type DropCounts = { readonly [reason in Reason]?: number };

export interface Traffic {
  readonly packets: number;
  /** Of the inner packets. */
  readonly bytes: number;
}

export interface RecordCounters {
  readonly rx: Traffic;
  readonly tx: Traffic;
  /** When the last packet came out of the tunnel, ms since 1970, or null. */
  readonly lastReceivedMs: number | null;
  /** Packets of the underlay that ended at the router itself. */
  readonly local: number;
  readonly decapDrops: DropCounts;
  readonly encapDrops: DropCounts;
  /** Received packets that had to wait for others before them; each is counted again as what became of it. */
  readonly early: number;
}

/** ICMP errors. */
export interface IcmpCounters {
  /** Told to senders of inner packets. */
  readonly answers: number;
  /** Not told to them, because there were too many. */
  readonly answersLimited: number;
  /** Of the underlay, about packets of tunnel protocols. */
  readonly errors: number;
  /** Those of them that had no effect, because there were too many. */
  readonly errorsLimited: number;
}

export interface Counters {
  /** Packets read from tunnel devices. */
  readonly deviceReceived: number;
  readonly underlayReceived: number;
  /** Packets of the router's own that went into the encap path. */
  readonly generated: number;
  readonly icmp: IcmpCounters;
  readonly batches: number;
  /** Batches read from tunnel devices, by class of size: see BATCH_CLASSES. */
  readonly deviceBatches: readonly number[];
  readonly underlayBatches: readonly number[];
  /** By record index; record 0 holds the packets that no tunnel took. */
  readonly records: readonly RecordCounters[];
}

/** Reads the counters of every record of the live table, summed over the lanes of `plan`. */
export function readCounters(memory: WebAssembly.Memory, plan: MemoryPlan): Counters {
  const words = new Uint32Array(memory.buffer);
  const image = Atomics.load(words, CONTROL_TABLE >>> 2);
  const recordCount = image === 0 ? 1 : (words[(image + IMAGE_RECORD_COUNT) >>> 2] ?? 1);
  const total = (field: number): number => {
    let sum = 0;
    for (const lane of plan.lanes) sum += loadCounter(words, lane.counters + field);
    return sum;
  };
  const classes = (field: number): number[] =>
    Array.from({ length: BATCH_CLASSES }, (_, size) => total(field + size * 8));
  return {
    deviceReceived: total(TOTAL_DEVICE_RECEIVED),
    underlayReceived: total(TOTAL_UNDERLAY_RECEIVED),
    generated: total(TOTAL_GENERATED),
    icmp: {
      answers: total(TOTAL_ANSWERS),
      answersLimited: total(TOTAL_ANSWERS_LIMITED),
      errors: total(TOTAL_ERRORS),
      errorsLimited: total(TOTAL_ERRORS_LIMITED),
    },
    batches: total(TOTAL_BATCHES),
    deviceBatches: classes(TOTAL_DEVICE_BATCHES),
    underlayBatches: classes(TOTAL_UNDERLAY_BATCHES),
    records: Array.from({ length: recordCount }, (_, record) =>
      readRow(words, rowsOf(plan, record)),
    ),
  };
}

/** Reads the counters of one record, summed over the lanes of `plan`. */
export function readRecord(
  memory: WebAssembly.Memory,
  plan: MemoryPlan,
  record: number,
): RecordCounters {
  return readRow(new Uint32Array(memory.buffer), rowsOf(plan, record));
}

/** Sets them to 0. Only for a record that no lane counts in: the live table does not hold it. */
export function clearRecord(memory: WebAssembly.Memory, plan: MemoryPlan, record: number): void {
  const words = new Uint32Array(memory.buffer);
  for (const row of rowsOf(plan, record)) {
    for (let word = row >>> 2; word < (row + COUNTER_ROW_SIZE) >>> 2; word++) {
      Atomics.store(words, word, 0);
    }
  }
}

function rowsOf(plan: MemoryPlan, record: number): number[] {
  return plan.lanes.map((lane) => lane.counters + TOTALS_SIZE + record * COUNTER_ROW_SIZE);
}

/** Counters of two records together. */
export function addCounters(left: RecordCounters, right: RecordCounters): RecordCounters {
  const add = (one: Traffic, other: Traffic): Traffic => ({
    packets: one.packets + other.packets,
    bytes: one.bytes + other.bytes,
  });
  const last = Math.max(left.lastReceivedMs ?? 0, right.lastReceivedMs ?? 0);
  return {
    rx: add(left.rx, right.rx),
    tx: add(left.tx, right.tx),
    lastReceivedMs: last === 0 ? null : last,
    early: left.early + right.early,
    local: left.local + right.local,
    decapDrops: addDrops(left.decapDrops, right.decapDrops),
    encapDrops: addDrops(left.encapDrops, right.encapDrops),
  };
}

/** Adds drops of two directions or two records together. */
export function addDrops(left: DropCounts, right: DropCounts): DropCounts {
  const sum: { [reason in Reason]?: number } = { ...left };
  for (const [reason, count] of dropEntries(right)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

/** The reasons that occurred, with their counts. */
export function dropEntries(drops: DropCounts): [Reason, number][] {
  const entries: [Reason, number][] = [];
  for (let number = 1; number < REASON_COUNT; number++) {
    const reason = reasonName(number);
    const count = reason === null ? undefined : drops[reason];
    if (reason !== null && count !== undefined) entries.push([reason, count]);
  }
  return entries;
}

function readRow(words: Uint32Array, rows: readonly number[]): RecordCounters {
  let lastReceivedMs = 0;
  const total = (field: number): number => {
    let sum = 0;
    for (const row of rows) sum += loadCounter(words, row + field);
    return sum;
  };
  for (const row of rows) {
    lastReceivedMs = Math.max(lastReceivedMs, loadCounter(words, row + COUNTER_LAST_RX));
  }
  return {
    rx: { packets: total(COUNTER_RX_PACKETS), bytes: total(COUNTER_RX_BYTES) },
    tx: { packets: total(COUNTER_TX_PACKETS), bytes: total(COUNTER_TX_BYTES) },
    lastReceivedMs: lastReceivedMs === 0 ? null : lastReceivedMs,
    local: total(COUNTER_DECAP_DROPS + REASON_LOCAL * 8),
    // What ended here was not dropped; nothing does on the other way.
    decapDrops: readDrops((reason) =>
      reason === REASON_LOCAL ? 0 : total(COUNTER_DECAP_DROPS + reason * 8),
    ),
    encapDrops: readDrops((reason) => total(COUNTER_ENCAP_DROPS + reason * 8)),
    early: total(COUNTER_DECAP_DROPS + REASON_EARLY * 8),
  };
}

function readDrops(count: (reason: number) => number): DropCounts {
  const drops: { [reason in Reason]?: number } = {};
  for (let number = 1; number < REASON_CAPACITY; number++) {
    if (number === REASON_EARLY) continue;
    const dropped = count(number);
    if (dropped === 0) continue;
    // A number without a name can only come from a user's own codec; its packets stay counted.
    const reason = reasonName(number < REASON_COUNT ? number : REASON_CODEC_FAULT);
    if (reason !== null) drops[reason] = (drops[reason] ?? 0) + dropped;
  }
  return drops;
}

/** One u64 counter while its lane may be counting: the high word is read on both sides of the low one. */
function loadCounter(words: Uint32Array, address: number): number {
  const low = address >>> 2;
  for (;;) {
    const before = Atomics.load(words, low + 1);
    const value = before * 0x1_0000_0000 + Atomics.load(words, low);
    if (Atomics.load(words, low + 1) === before) return value;
  }
}
