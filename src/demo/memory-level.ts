// Level B: both routers and both hosts in this process, joined by queues. The codec, its memory, the ring
// and the lanes are those of a real router; only the ends are not the kernel's.
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type { Tunnel } from '../packet/tunnel.js';
import { createMemoryRouter, type MemoryRouter } from '../router/memory.js';
import { MemoryUnderlay } from '../underlay/memory.js';
import type { BulkResult } from './bulk.js';
import { MemoryHost } from './memory-host.js';
import {
  CAPTURE_COUNT,
  type DropTable,
  ECHO_SIZE,
  LARGE_ECHO_COUNT,
  type LevelOptions,
  type LevelResult,
  type ModeResult,
  newDrops,
  type OuterPacket,
  type PingResult,
  type ShownMode,
  sumDrops,
  summarize,
} from './result.js';

const MODES: readonly ShownMode[] = ['gre', 'ipip', 'sit'];
/** Fits the MTU of every mode: these hosts do not fragment. */
const LARGE_ECHO_SIZE = 1400;
const NUMBERED_LENGTH = 1400;
/** Numbered packets under way at a time: fewer than any queue holds, so none is dropped. */
const WINDOW = 256;
const TIMEOUT_MS = 1000;

type Side = 'A' | 'B';

/** Runs level B. */
export async function runMemoryLevel(options: LevelOptions): Promise<LevelResult> {
  const routerA = createMemoryRouter(MODES.map((mode) => tunnel(mode, 'A')));
  const routerB = createMemoryRouter(MODES.map((mode) => tunnel(mode, 'B')));
  MemoryUnderlay.join(routerA.underlay, routerB.underlay);
  options.onReady();
  try {
    const packets: OuterPacket[] = [];
    const modes: ModeResult[] = [];
    let before: DropTable = {};
    for (const mode of MODES) {
      capture([routerA, routerB], packets);
      const tried = await tryMode(mode, routerA, routerB, options);
      const now = sumDrops([await routerA.status(), await routerB.status()]);
      const result = { ...tried, drops: newDrops(before, now) };
      before = now;
      modes.push(result);
      options.onMode(result);
    }
    const { codec, underlay } = await routerA.status();
    return { codec, underlay, modes, packets };
  } finally {
    await Promise.all([routerA.stop(), routerB.stop()]);
  }
}

function hostAddress(mode: ShownMode, side: Side): string {
  const site = side === 'A' ? 1 : 2;
  return mode === 'sit' ? `fd00:${site}::2` : `10.${site}.${mode === 'gre' ? 1 : 2}.2`;
}

function tunnel(mode: ShownMode, side: Side): Tunnel {
  const outer = { A: '192.0.2.1', B: '192.0.2.2' };
  const other = side === 'A' ? 'B' : 'A';
  const base = {
    name: `${mode}1`,
    local: outer[side],
    remote: outer[other],
    ttl: 64,
    tos: 'inherit',
    pmtudisc: true,
    link: 0,
    allow: [{ address: hostAddress(mode, other), bits: mode === 'sit' ? 128 : 32 }],
    addresses: [],
  } as const;
  if (mode !== 'gre') return { ...base, mode, mtu: 1480 };
  return {
    ...base,
    mode,
    mtu: 1476,
    checksumOut: false,
    sequenceIn: false,
    sequenceOut: false,
  };
}

/** Keeps the next outer packets that either router sends. */
function capture(routers: readonly MemoryRouter[], packets: OuterPacket[]): void {
  let left = CAPTURE_COUNT;
  for (const { underlay } of routers) {
    underlay.onSent = (bytes) => {
      if (left-- > 0) packets.push({ timeMs: Date.now(), bytes, length: bytes.length });
    };
  }
}

async function tryMode(
  mode: ShownMode,
  routerA: MemoryRouter,
  routerB: MemoryRouter,
  options: LevelOptions,
): Promise<Omit<ModeResult, 'drops'>> {
  const [deviceA, deviceB] = [routerA, routerB].map(({ devices }) => devices.get(`${mode}1`));
  if (!deviceA || !deviceB) throw new RangeError(`no tunnel of mode ${mode}`);
  const [a, b] = [hostAddress(mode, 'A'), hostAddress(mode, 'B')];
  const hosts = [new MemoryHost(deviceA, a, b), new MemoryHost(deviceB, b, a)] as const;
  return {
    mode,
    pings: [
      await ping(hosts, options.echoCount, ECHO_SIZE),
      await ping(hosts, LARGE_ECHO_COUNT, LARGE_ECHO_SIZE),
    ],
    bulk: await sendNumbered(hosts, options.bulkSeconds),
  };
}

type Hosts = readonly [MemoryHost, MemoryHost];

async function ping([a, b]: Hosts, count: number, size: number): Promise<PingResult> {
  const roundTrips: number[] = [];
  a.lastReply = 0;
  for (let sequence = 1; sequence <= count; sequence++) {
    const start = performance.now();
    a.ping(sequence, size);
    while (a.lastReply !== sequence && performance.now() - start < TIMEOUT_MS) {
      await turn();
      b.work();
      a.work();
    }
    if (a.lastReply === sequence) roundTrips.push(performance.now() - start);
  }
  return { size, ...summarize(count, roundTrips) };
}

async function sendNumbered([a, b]: Hosts, seconds: number): Promise<BulkResult> {
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 1000;
  let sent = 0;
  let lastArrival = start;
  while (elapsed() < seconds || b.numbered.packets < sent) {
    while (elapsed() < seconds && sent - b.numbered.packets < WINDOW) {
      if (!a.sendNumbered(sent, NUMBERED_LENGTH)) break;
      sent++;
    }
    const before = b.numbered.packets;
    await turn();
    b.work();
    if (b.numbered.packets > before) lastArrival = performance.now();
    if (performance.now() - lastArrival > TIMEOUT_MS) break; // some are lost
  }
  const { packets, bytes, intact } = b.numbered;
  return { bytes, seconds: elapsed(), intact: intact && packets === sent };
}
