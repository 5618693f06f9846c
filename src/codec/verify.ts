// May a build go live? It is tried on a scratch memory first:
//
//   1. its ABI number
//   2. known checksums
//   3. known superpackets and unfinished checksums
//   4. known runs: what is merged for a device, and taken apart again
//   5. known packets, one batch a direction: bytes, verdicts, nothing written around them
//   6. the counters that settle and decap must have left behind
//
// The border (imports, exports, no data, no start function) was checked when the build was loaded.
import { Worker } from 'node:worker_threads';
import { ABI_VERSION, DEVICE_HEADER_SIZE, ECN_PAIRS } from '../../asm/layout.js';
import { REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import { REASON, reasonName } from '../packet/reason.js';
import { EcnCounts, ecnIndex } from '../ring/ecn-counts.js';
import type { Ring } from '../ring/ring.js';
import { EXIT, Failure } from '../sys/failure.js';
import { dropEntries, type RecordCounters, readCounters } from '../tunnel/counters.js';
import { abiOf, type CodecBuild, isPath, openCodec } from './builds.js';
import type { Codec } from './contract.js';
import { fromHex, toHex } from './hex.js';
import { KNOWN_CHECKSUMS, KNOWN_TUNNELS, type KnownAnswer } from './known-answers.js';
import { INNER_ANSWERS } from './known-decap-inner.js';
import { OUTER_ANSWERS } from './known-decap-outer.js';
import { ECN_ANSWERS } from './known-ecn.js';
import { ENCAP_ANSWERS as PLAIN_ANSWERS } from './known-encap.js';
import { FLOW_ANSWERS } from './known-flows.js';
import { FRAME_DECAP_ANSWERS, FRAME_ENCAP_ANSWERS } from './known-frames.js';
import { LOOP_ANSWERS } from './known-loops.js';
import { OPTION_DECAP_ANSWERS, OPTION_ENCAP_ANSWERS } from './known-options.js';
import { OVER6_DECAP_ANSWERS, OVER6_ENCAP_ANSWERS } from './known-over6.js';
import { UDP_DECAP_ANSWERS, UDP_ENCAP_ANSWERS } from './known-udp.js';
import { runFault } from './run-fault.js';
import { Scratch } from './scratch.js';
import { segmentFault } from './segment-fault.js';
import { warmUp } from './warm-up.js';
import { refusal } from './wasm.js';

type Direction = 'encap' | 'decap';

const ENCAP_ANSWERS = [
  ...PLAIN_ANSWERS,
  ...UDP_ENCAP_ANSWERS,
  ...OVER6_ENCAP_ANSWERS,
  ...FRAME_ENCAP_ANSWERS,
  ...OPTION_ENCAP_ANSWERS,
  ...LOOP_ANSWERS,
  ...FLOW_ANSWERS,
];
const DECAP_ANSWERS = [
  ...OUTER_ANSWERS,
  ...INNER_ANSWERS,
  ...UDP_DECAP_ANSWERS,
  ...OVER6_DECAP_ANSWERS,
  ...FRAME_DECAP_ANSWERS,
  ...OPTION_DECAP_ANSWERS,
  ...ECN_ANSWERS,
];

/** Every packet that a build is asked about. */
export const KNOWN_ANSWERS: readonly KnownAnswer[] = [...ENCAP_ANSWERS, ...DECAP_ANSWERS];

/** Wall clock handed to settle; any fixed time. */
const NOW_MS = 1_700_000_000_000;

/** How long a user's build may take over all of it; ours take 0.1 s. */
const TIME_LIMIT_MS = 5000;

/** Names of our own builds that were judged and found right. */
const passed = new Set<string>();

/**
 * Rejects with a Failure that names what is wrong when the build may not go live; else warms it up. A user's
 * own build is judged in a thread of its own: one that never returns must not hold up the router.
 */
export async function verifyBuild(build: CodecBuild): Promise<void> {
  if (build.module === undefined || !isPath(build.name)) {
    // Once a process: each try takes a memory of its own, which the collector is in no hurry to give back.
    if (passed.has(build.name)) return;
    judgeBuild(build);
    passed.add(build.name);
    return;
  }
  const worker = new Worker(new URL('./verify-thread.js', import.meta.url), { workerData: build });
  const timer = setTimeout(() => void worker.terminate(), TIME_LIMIT_MS);
  try {
    const failure = await new Promise<Failure | null>((resolve, reject) => {
      worker.once('message', (verdict: Verdict) => resolve(failureOf(verdict)));
      worker.once('error', reject);
      worker.once('exit', () => {
        resolve(refusal(build.name, `it did not come to an end in ${TIME_LIMIT_MS / 1000} s`));
      });
    });
    if (failure !== null) throw failure;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

/** What the thread says: null, or the Failure in parts that can be posted. */
export type Verdict = { readonly message: string; readonly hint: string | undefined } | null;

function failureOf(verdict: Verdict): Failure | null {
  return verdict && new Failure(EXIT.failed, verdict.message, verdict.hint);
}

/** `verifyBuild` in the calling thread; throws. */
export function judgeBuild(build: CodecBuild): void {
  const scratch = new Scratch(KNOWN_TUNNELS);
  const abi = abiOf(build, scratch.memory);
  if (abi !== ABI_VERSION) {
    throw refusal(build.name, `it was made for ABI ${abi}, this grebe has ABI ${ABI_VERSION}`);
  }
  const codec = openCodec(build, scratch.memory);
  const fault = answerFault(codec, scratch);
  if (fault !== null) throw refusal(build.name, fault);
  if (build.module !== undefined) warmUp(codec, scratch, sent(), dropped());
}

/** The first known answer that `codec`, opened over the memory of a fresh `scratch`, gets wrong; or null. */
export function answerFault(codec: Codec, scratch: Scratch): string | null {
  return (
    checksumFault(codec, scratch) ??
    segmentFault(codec, scratch) ??
    runFault(codec, scratch) ??
    batchFault(codec, scratch, 'encap', ENCAP_ANSWERS) ??
    batchFault(codec, scratch, 'decap', DECAP_ANSWERS) ??
    counterFault(scratch) ??
    ecnFault(scratch)
  );
}

function checksumFault(codec: Codec, scratch: Scratch): string | null {
  const address = scratch.encap.packetAddress(0);
  for (const known of KNOWN_CHECKSUMS) {
    const bytes = fromHex(known.bytes);
    scratch.bytes.set(bytes, address);
    const found = codec.checksum(address, bytes.length);
    if (found !== known.checksum) {
      return `the checksum of ${known.bytes || 'no bytes'} is ${known.checksum}, it says ${found}`;
    }
  }
  return null;
}

function batchFault(
  codec: Codec,
  scratch: Scratch,
  direction: Direction,
  answers: readonly KnownAnswer[],
): string | null {
  const ring = scratch[direction];
  const first = ring.filled;
  const packets = answers.map((answer) => ({
    bytes: fromHex(answer.packet),
    tunnel: direction === 'encap' ? answer.tunnel : 0,
  }));
  const count = scratch.fill(ring, packets);
  let returned: number;
  try {
    returned = codec[direction](ring.address);
  } catch (error) {
    return `${direction} trapped on the known packets: ${String(error)}`;
  }
  if (returned !== count || ring.processed !== ring.filled) {
    return `${direction} processed ${returned} of ${count} packets`;
  }
  for (const [index, answer] of answers.entries()) {
    const fault = packetFault(scratch, ring, (first + index) >>> 0, direction, answer);
    if (fault !== null) return `${direction}, ${answer.name}: ${fault}`;
  }
  codec.settle(ring.address, NOW_MS);
  return ring.drained === ring.filled ? null : `settle left packets of ${direction} uncounted`;
}

function dueReason({ drop, local }: KnownAnswer): number {
  if (local !== undefined) return REASON_LOCAL;
  return drop === undefined ? REASON_NONE : REASON[drop];
}

function packetFault(
  scratch: Scratch,
  ring: Ring,
  position: number,
  direction: Direction,
  answer: KnownAnswer,
): string | null {
  const expected = dueReason(answer);
  const found = ring.reason(position);
  if (found !== expected) return `verdict ${verdict(found)}, not ${verdict(expected)}`;
  const size = answer.packet.length / 2;
  const resultSize = (answer.result ?? '').length / 2;
  const headroom = direction === 'encap' ? Math.max(0, resultSize - size) : 0;
  if (!scratch.isIntact(ring, position, size, headroom)) return 'it wrote outside the packet';
  if (direction === 'decap' && ring.tunnel(position) !== answer.tunnel) {
    return `tunnel ${ring.tunnel(position)}, not ${answer.tunnel}`;
  }
  if (answer.result === undefined) return null;
  const packet = toHex(scratch.packet(ring, position));
  if (packet !== answer.result) return `packet ${packet}, not ${answer.result}`;
  if (direction === 'encap') return null;
  if (answer.local !== undefined) {
    const local = ring.local(position);
    return local === answer.local ? null : `it ends here as ${local}, not ${answer.local}`;
  }
  const device = toHex(scratch.deviceHeader(ring, position));
  const due = answer.device ?? '00'.repeat(DEVICE_HEADER_SIZE);
  return device === due ? null : `device header ${device}, not ${due}`;
}

/** Compares the counters with what the answers add up to. */
function counterFault(scratch: Scratch): string | null {
  const { records } = readCounters(scratch.memory, scratch.plan);
  for (const [index, record] of records.entries()) {
    const due = dueCounters(index);
    const found = foundCounters(record);
    for (const name of new Set([...due.keys(), ...found.keys()])) {
      const [is, expected] = [found.get(name) ?? 0, due.get(name) ?? 0];
      if (is !== expected)
        return `settle counted ${is} for ${name} of tunnel ${index}, not ${expected}`;
    }
  }
  return null;
}

function dueCounters(index: number): Map<string, number> {
  const due = new Map<string, number>();
  const add = (name: string, amount: number): void => {
    due.set(name, (due.get(name) ?? 0) + amount);
  };
  const rowOf = (tunnel: number): number => (tunnel > KNOWN_TUNNELS.length ? 0 : tunnel);
  for (const answer of ENCAP_ANSWERS.filter(({ tunnel }) => rowOf(tunnel) === index)) {
    if (answer.drop !== undefined) add(`encap ${answer.drop}`, 1);
    else {
      add('tx packets', 1);
      add('tx bytes', answer.packet.length / 2);
    }
  }
  for (const answer of DECAP_ANSWERS.filter(({ tunnel }) => tunnel === index)) {
    if (answer.drop !== undefined) add(`decap ${answer.drop}`, 1);
    else if (answer.local !== undefined) add('local', 1);
    else {
      add('rx packets', 1);
      add('rx bytes', (answer.result ?? '').length / 2);
      due.set('last rx', NOW_MS);
    }
  }
  return due;
}

/** Compares the odd pairs of ECN fields that decap counted with those of the answers. */
function ecnFault(scratch: Scratch): string | null {
  const counts = new EcnCounts(scratch.memory, scratch.plan.states);
  for (const index of KNOWN_TUNNELS.keys()) {
    const due = new Array<number>(ECN_PAIRS).fill(0);
    for (const { tunnel, odd } of DECAP_ANSWERS) {
      if (odd === undefined || tunnel !== index + 1) continue;
      const place = ecnIndex(odd.outer, odd.inner);
      due[place] = (due[place] ?? 0) + 1;
    }
    const found = counts.get(index + 1).join(' ');
    if (found !== due.join(' ')) {
      return `decap counted ${found} pairs of ECN for tunnel ${index + 1}, not ${due.join(' ')}`;
    }
  }
  return null;
}

function foundCounters(record: RecordCounters): Map<string, number> {
  const found = new Map<string, number>([
    ['tx packets', record.tx.packets],
    ['tx bytes', record.tx.bytes],
    ['rx packets', record.rx.packets],
    ['rx bytes', record.rx.bytes],
    ['last rx', record.lastReceivedMs ?? 0],
    ['local', record.local],
  ]);
  for (const [reason, count] of dropEntries(record.encapDrops)) found.set(`encap ${reason}`, count);
  for (const [reason, count] of dropEntries(record.decapDrops)) found.set(`decap ${reason}`, count);
  return found;
}

/** A packet that encap forwards. */
function sent(): { bytes: Uint8Array; tunnel: number } {
  const answer = ENCAP_ANSWERS.find(({ drop }) => drop === undefined);
  return { bytes: fromHex(answer?.packet ?? ''), tunnel: answer?.tunnel ?? 0 };
}

/** A packet that decap drops as late as it can. */
function dropped(): Uint8Array {
  return fromHex(DECAP_ANSWERS.find(({ drop }) => drop === 'inner-ttl')?.packet ?? '');
}

function verdict(reason: number): string {
  if (reason === REASON_LOCAL) return 'local';
  try {
    return reasonName(reason) ?? 'forwarded';
  } catch {
    return `of no name (${reason})`;
  }
}
