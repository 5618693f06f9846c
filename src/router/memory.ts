import { loadBuild } from '../codec/builds.js';
import { Board } from '../lane/board.js';
import type { LaneEvents } from '../lane/contract.js';
import { EventedLane } from '../lane/evented.js';
import { openLane } from '../lane/open.js';
import { reorderLimits } from '../lane/reorder.js';
import { peerRanges, recordsOf } from '../packet/peers.js';
import type { Tunnel } from '../packet/tunnel.js';
import { createMemory, planMemory } from '../ring/plan.js';
import { recorderRecords } from '../ring/recorder.js';
import type { Failure } from '../sys/failure.js';
import { MemoryTun } from '../tun/memory.js';
import { TunnelTable } from '../tunnel/table.js';
import { MemoryUnderlay } from '../underlay/memory.js';
import type { Router } from './contract.js';
import { Recordings } from './recordings.js';
import { readMetrics, readStatus, type StatusSources } from './status.js';
import { Traces } from './trace.js';

/** A router without a kernel: the devices are there for the caller to send to and take from. */
export interface MemoryRouter extends Router {
  readonly devices: ReadonlyMap<string, MemoryTun>;
  readonly underlay: MemoryUnderlay;
}

/**
 * Makes a router in memory, with the same codec builds and the same two paths as a real one. Join two of
 * them with `MemoryUnderlay.join(a.underlay, b.underlay)`. `codec`: as in the config.
 */
export function createMemoryRouter(tunnels: readonly Tunnel[], codec = 'auto'): MemoryRouter {
  const recorder = { packets: 16, records: recorderRecords(recordsOf(tunnels).length) };
  const plan = planMemory(1, () => {}, recorder);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish(tunnels);

  const build = loadBuild(codec);
  let live = build.name;
  const underlay = new MemoryUnderlay(memory);
  const devices = tunnels.map(({ name }) => new MemoryTun(name, memory));
  let finish: (failure: Failure | null) => void = () => {};
  const finished = new Promise<Failure | null>((resolve) => {
    finish = resolve;
  });
  const events: LaneEvents = {
    onFault: () => {
      live = 'js';
    },
    onDeviceLost: () => {},
    onMergeRefused: () => {},
    onPathMtu: () => {},
    onNetworkChanged: () => {},
    onSegmentationRefused: () => {},
    onSuperpacketsRefused: () => {},
    onFailed: finish,
  };
  const board = new Board();
  const lane = openLane({
    ...{ memory, plan: plan.lanes[0], codec: build, underlay, events },
    peers: peerRanges(tunnels),
    merge: 0, // hosts in memory take packets as they are
    reorder: reorderLimits(recordsOf(tunnels).map(({ tunnel }) => tunnel)),
    tunnels,
    board: board.buffer,
    devices: () => devices.map((device, index) => [index + 1, device]),
  });
  const running = new EventedLane(lane, memory, events);
  const startedMs = Date.now();
  const sources = async (): Promise<StatusSources> => ({
    memory,
    plan,
    fleet: tunnels.map((tunnel, index) => ({ record: index + 1, tunnel })),
    downReason: () => undefined,
    lastHeardMs: (record) => board.lastHeardMs(record),
    codec: live,
    underlay: underlay.name,
    lanes: 1,
    startedMs,
    kernelDrops: [await running.kernelDrops()],
    queueDrops: new Map(),
  });
  const traces = new Traces(
    memory,
    plan,
    () => tunnels,
    () => new Map(),
  );
  const recordings = new Recordings(memory, plan, () => tunnels);
  return {
    devices: new Map(devices.map((device) => [device.name, device])),
    underlay,
    status: async () => readStatus(await sources()),
    metrics: async () => readMetrics(await sources()),
    lanesAnswering: async () => [true],
    async useCodec(name) {
      const next = loadBuild(name);
      const { verifyBuild } = await import('../codec/verify.js');
      await verifyBuild(next);
      await running.useCodec(next);
      live = next.name;
      return live;
    },
    trace: (request) => traces.open(request),
    recorded: (choice) => recordings.recorded(choice),
    capture: (request) => recordings.capture(request),
    async stop() {
      await running.stop();
      finish(null);
    },
    finished,
  };
}
