// What lanes keep of packets, for whoever asks: the recorder's last packets of each tunnel, and captures, one at a time.

import type { RecordSubject } from '../inspect/recorded-capture.js';
import { peerRanges, recordsOf } from '../packet/peers.js';
import { carries, type Tunnel } from '../packet/tunnel.js';
import { CaptureReader } from '../ring/capture-ring.js';
import type { MemoryPlan } from '../ring/plan.js';
import type { RecordedPacket } from '../ring/recorded.js';
import { RecorderReader } from '../ring/recorder.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Capture, CaptureRequest, RecordChoice, Recording } from './contract.js';

/** Tunnels by record: a hole is one that is not there. */
type Tunnels = readonly (Tunnel | undefined)[];

type SubjectOf = (record: number) => RecordSubject | undefined;

/** By name of a tunnel; null: of packets that are of none. */
export type DropCounts = ReadonlyMap<string | null, number>;

export class Recordings {
  readonly #memory: WebAssembly.Memory;
  readonly #plan: MemoryPlan;
  readonly #tunnels: () => Tunnels;
  readonly #lanes: readonly RecorderReader[];
  /** By record, from when on its packets are those of who has it: ms since 1970; absent: from the start. */
  readonly #sinceMs = new Map<number, number>();
  #subjects: { readonly tunnels: Tunnels; readonly of: SubjectOf } | undefined;
  #open: Capture | undefined;

  /** `tunnels`: as they are by now. */
  constructor(memory: WebAssembly.Memory, plan: MemoryPlan, tunnels: () => Tunnels) {
    this.#memory = memory;
    this.#plan = plan;
    this.#tunnels = tunnels;
    this.#lanes = plan.lanes.flatMap(({ recorder }) =>
      recorder === undefined ? [] : new RecorderReader(memory, recorder),
    );
  }

  /** The last packets. Throws a Failure for a tunnel that is not there, and where nothing is recorded. */
  recorded(choice: RecordChoice): Recording {
    if (this.#lanes.length === 0) {
      const fault = 'the router records nothing: [router] recorder has keep = 0';
      throw new Failure(EXIT.failed, fault, 'set keep = 16 and start it again');
    }
    const tunnels = this.#tunnels();
    return {
      subjectOf: subjectsOf(tunnels),
      batches: this.#batches(recordsOf(tunnels), deviceOf(tunnels, choice)),
    };
  }

  /** Packets ever dropped of each tunnel, those of its peers included, and with null of none; modulo 2^32. */
  dropCounts(): DropCounts {
    const tunnels = this.#tunnels();
    const counts = new Map<string | null, number>([[null, this.#dropped(0)]]);
    for (const [index, { device }] of recordsOf(tunnels).entries()) {
      const name = tunnels[device - 1]?.name;
      if (name === undefined) continue;
      counts.set(name, ((counts.get(name) ?? 0) + this.#dropped(index + 1)) >>> 0);
    }
    return counts;
  }

  /** What was recorded of a record until now is that of a tunnel or peer which is gone. */
  forget(record: number): void {
    this.#sinceMs.set(record, Date.now());
  }

  /**
   * Begins a capture. Throws a Failure for a tunnel that is not there, and while another capture is open.
   */
  capture({ tunnel, snap }: CaptureRequest): Capture {
    const tunnels = this.#tunnels();
    const record = tunnel === null ? undefined : recordOf(tunnels, tunnel);
    if (this.#open !== undefined) {
      const fault = 'packets are captured already';
      throw new Failure(EXIT.failed, fault, 'end the other grebe pcap first');
    }
    const peers = peerRanges(tunnels).find(({ device }) => device === record);
    const lanes = this.#plan.lanes.map((lane) => new CaptureReader(this.#memory, lane.capture));
    for (const lane of lanes) lane.start({ snap, record, peers });
    const subjectOf: SubjectOf = (one) => this.#subjectOf(one);
    const capture: Capture = {
      subjectOf,
      isEthernet: record !== undefined && subjectOf(record)?.isEthernet === true,
      read: (maxBytes) => readAll(lanes, maxBytes),
      close: () => {
        for (const lane of lanes) lane.stop();
        if (this.#open === capture) this.#open = undefined;
      },
    };
    this.#open = capture;
    return capture;
  }

  /** As the tunnels are by now. */
  #subjectOf(record: number): RecordSubject | undefined {
    const tunnels = this.#tunnels();
    if (this.#subjects?.tunnels !== tunnels) this.#subjects = { tunnels, of: subjectsOf(tunnels) };
    return this.#subjects.of(record);
  }

  #read(record: number): RecordedPacket[] {
    const sinceMs = this.#sinceMs.get(record) ?? 0;
    const packets = this.#lanes.flatMap((lane) => lane.read(record));
    return sinceMs === 0 ? packets : packets.filter(({ timeMs }) => timeMs >= sinceMs);
  }

  #dropped(record: number): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.dropped(record), 0) >>> 0;
  }

  /** By tunnel, each with the packets of its peers, in the order of time; those of none come first. */
  *#batches(
    owners: ReturnType<typeof recordsOf>,
    only: number | undefined,
  ): Generator<readonly RecordedPacket[]> {
    const recordsOfDevice = new Map<number, number[]>([[0, [0]]]);
    for (const [index, { device }] of owners.entries()) {
      recordsOfDevice.set(device, [...(recordsOfDevice.get(device) ?? []), index + 1]);
    }
    for (const [device, records] of recordsOfDevice) {
      if (only !== undefined && device !== only) continue;
      const packets = records.flatMap((record) => this.#read(record));
      packets.sort((a, b) => a.timeMs - b.timeMs);
      if (packets.length > 0) yield packets;
    }
  }
}

function readAll(lanes: readonly CaptureReader[], maxBytes: number): ReturnType<Capture['read']> {
  const read = lanes.map((lane) => lane.read(Math.ceil(maxBytes / lanes.length)));
  const packets = read.flatMap((each) => each.packets);
  if (lanes.length > 1) packets.sort((a, b) => a.timeMs - b.timeMs);
  const sum = (way: 'encap' | 'decap'): number =>
    read.reduce((all, { lost }) => all + lost[way], 0);
  return { packets, lost: { encap: sum('encap'), decap: sum('decap') } };
}

/** The record that is asked for, 0 for packets of no tunnel; undefined: all. */
function deviceOf(tunnels: Tunnels, choice: RecordChoice): number | undefined {
  if (choice === 'all') return undefined;
  return choice === 'none' ? 0 : recordOf(tunnels, choice.tunnel);
}

function recordOf(tunnels: Tunnels, name: string): number {
  const index = tunnels.findIndex((tunnel) => tunnel?.name === name);
  if (index >= 0) return index + 1;
  const names = tunnels.flatMap((tunnel) => tunnel?.name ?? []);
  throw new Failure(
    EXIT.noInput,
    `there is no tunnel ${JSON.stringify(name)}`,
    names.length === 0 ? 'the router has none' : `tunnels: ${names.slice(0, 20).join(', ')}`,
  );
}

function subjectsOf(tunnels: Tunnels): SubjectOf {
  const owners = recordsOf(tunnels);
  return (record) => {
    const owner = owners[record - 1];
    const tunnel = owner === undefined ? undefined : tunnels[owner.device - 1];
    return tunnel && { name: tunnel.name, isEthernet: carries(tunnel.mode) === 'ethernet' };
  };
}
