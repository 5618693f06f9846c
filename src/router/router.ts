// A router: makes the devices a config names, publishes the tunnel table, and starts the lane.
//
//   1. codec     load and verify the build
//   2. devices   make them; set MTU, addresses, link state, routes
//   3. table     publish it to shared memory
//   4. sinks     silence for the tunnel protocols that no tunnel receives
//   5. lane      open the underlay last: nothing is taken before it can be handled
//
// Whatever fails on the way undoes what was done: devices, addresses and routes vanish with their descriptors.
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import { MERGE_TCP, MERGE_UDP } from '../../asm/layout.js';
import { type CodecBuild, loadBuild } from '../codec/builds.js';
import { verifyBuild } from '../codec/verify.js';
import type { Config } from '../config/config.js';
import { tunnelOf } from '../config/tunnel.js';
import { Board } from '../lane/board.js';
import type { LaneEvents } from '../lane/lane.js';
import type { LaneDevice } from '../lane/message.js';
import { reorderLimits } from '../lane/reorder.js';
import { peerRanges } from '../packet/peers.js';
import { type Tunnel, versionOf } from '../packet/tunnel.js';
import { sourcePortOf } from '../packet/udp.js';
import { EcnCounts } from '../ring/ecn-counts.js';
import { PathMtus } from '../ring/path-mtus.js';
import { createMemory, type MemoryPlan, planMemory } from '../ring/plan.js';
import { recorderRecords } from '../ring/recorder.js';
import { Sequences } from '../ring/sequences.js';
import { EXIT, Failure } from '../sys/failure.js';
import { InterfaceFlags, requireOwnAddresses, transmitDrops } from '../sys/interface.js';
import { isKernelAtLeast } from '../sys/kernel.js';
import { stateFolder } from '../sys/state-folder.js';
import { setCarrier } from '../tun/linux.js';
import { TunnelTable } from '../tunnel/table.js';
import type { Underlay } from '../underlay/contract.js';
import { MemoryUnderlay } from '../underlay/memory.js';
import { ProtocolSinks } from '../underlay/protocol-sinks.js';
import type {
  Capture,
  CaptureRequest,
  RecordChoice,
  Recording,
  Router,
  RouterMetrics,
  RouterStatus,
  Trace,
  TraceRequest,
} from './contract.js';
import { deviceMtu } from './device-mtu.js';
import {
  configureDevices,
  createDevices,
  type Device,
  removeDevices,
  resolveTunnels,
} from './devices.js';
import { type Dumps, openDumps } from './dumps.js';
import { EcnWatch } from './ecn-watch.js';
import { endpointsOf } from './endpoints.js';
import { HostNames } from './host-names.js';
import { Lanes, type OwnStart, type SharedStart } from './lanes.js';
import { Liveness } from './liveness.js';
import { LearnedMtus } from './path-mtus.js';
import { Recordings } from './recordings.js';
import {
  changedRecords,
  changedTunnels,
  type RouterRecord,
  routerRecords,
  tableTunnels,
} from './records.js';
import { SequenceStore } from './sequence-store.js';
import { readMetrics, readStatus, type StatusSources } from './status.js';
import { Traces } from './trace.js';
import { openXdpPath, type XdpPath } from './xdp-path.js';

/** How long a lane may take over its last batch before its thread is ended by force. */
const STOP_LIMIT_MS = 500;

/** More lanes than this gain nothing that was ever measured. */
const AUTO_LANES_MAX = 4;

/** Starts the router of a config. Rejects with a Failure, and leaves nothing behind, when it cannot. */
export async function startRouter(config: Config, log: Logger): Promise<Router> {
  const build = loadBuild(config.router.codec);
  await verifyBuild(build);
  await requireOwnAddresses(
    config.tunnels
      .filter(({ local }) => local !== 'any')
      .map(({ local, name, dev }) => ({ address: local, owner: `tunnel ${name}`, dev })),
  );
  const names = new HostNames(config, { log });
  await names.ask();
  const tunnels = await resolveTunnels(config.tunnels, (...name) => names.addressOf(...name));
  const underlay = chooseUnderlay(config, log);
  const laneCount = isThreaded(underlay) ? chooseLanes(config) : 1;
  const devices = await createDevices(config.tunnels, laneCount, config.router.offload);
  let xdp: XdpPath | undefined;
  try {
    await configureDevices(config.tunnels, tunnels);
    xdp = await openXdp(config, underlay, routerRecords(config.tunnels, tunnels), log);
    const router = new RunningRouter(config, tunnels, devices, log, {
      underlay: underlay === 'xdp' && xdp === undefined ? 'raw' : underlay,
      laneCount,
      xdp,
      names,
    });
    await router.start(build);
    return router;
  } catch (error) {
    names.close();
    xdp?.close();
    await removeDevices(devices);
    throw error;
  }
}

type UnderlayName = Underlay['name'];

function chooseUnderlay(config: Config, log: Logger): UnderlayName {
  const { underlay } = config.router;
  if (underlay === 'memory') {
    log.warn({ event: 'underlay' }, 'underlay memory is joined to nothing: no packet leaves');
  }
  return underlay === 'auto' ? 'raw' : underlay;
}

/** Whether lanes are threads that wait for descriptors; otherwise there is one, on the event loop. */
function isThreaded(underlay: UnderlayName): boolean {
  return underlay === 'raw' || underlay === 'xdp';
}

function chooseLanes({ router: { lanes } }: Config): number {
  return lanes === 'auto' ? Math.min(availableParallelism(), AUTO_LANES_MAX) : lanes;
}

/**
 * What packets need that leave or come past the IP stack. Undefined where none are to, and, the reason being logged,
 * when no device can have it.
 */
async function openXdp(
  config: Config,
  underlay: UnderlayName,
  records: readonly RouterRecord[],
  log: Logger,
): Promise<XdpPath | undefined> {
  const { gso } = config.router.offload;
  const receive = underlay === 'xdp';
  if (!receive && (underlay !== 'raw' || gso !== true)) return undefined;
  const options = {
    records,
    receive,
    segment: gso !== false,
    segmentUdp: gso === true,
    log,
  };
  const xdp = await openXdpPath(options);
  if (xdp === undefined && receive) warnOfRaw(log);
  return xdp;
}

function warnOfRaw(log: Logger): void {
  log.warn({ event: 'underlay' }, 'no device has AF_XDP for these tunnels: underlay raw instead');
}

interface Choices {
  readonly underlay: UnderlayName;
  readonly laneCount: number;
  readonly xdp: XdpPath | undefined;
  readonly names: HostNames;
}

class RunningRouter implements Router {
  readonly #config: Config;
  /** As the config has them, with what is known of host names. */
  #tunnels: readonly Tunnel[];
  #records: readonly RouterRecord[];
  readonly #table: TunnelTable;
  readonly #devices: readonly Device[];
  readonly #log: Logger;
  readonly #plan: MemoryPlan;
  readonly #memory: WebAssembly.Memory;
  readonly #traces: Traces;
  readonly #recordings: Recordings;
  readonly #dumps: Dumps | undefined;
  readonly #flags = new InterfaceFlags();
  readonly #learnedMtus: LearnedMtus;
  readonly #sequences: SequenceStore;
  readonly #ecnWatch: EcnWatch;
  readonly #lost = new Set<string>();
  readonly #board = new Board();
  readonly #liveness: Liveness;
  readonly #startedMs = Date.now();
  #choices: Choices;
  #lanes: Lanes | undefined;
  #sinks: ProtocolSinks | undefined;
  readonly finished: Promise<Failure | null>;
  #finish: (failure: Failure | null) => void = () => {};
  #codec = '';
  #stopped: Promise<void> | undefined;

  constructor(
    config: Config,
    tunnels: readonly Tunnel[],
    devices: readonly Device[],
    log: Logger,
    choices: Choices,
  ) {
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#config = config;
    this.#tunnels = tunnels;
    this.#records = routerRecords(config.tunnels, tunnels);
    this.#devices = devices;
    this.#log = log;
    this.#choices = choices;
    const { keep: packets } = config.router.recorder;
    const recorder = { packets, records: recorderRecords(this.#records.length) };
    this.#plan = planMemory(choices.laneCount, (reserve) => choices.xdp?.plan(reserve), recorder);
    this.#memory = createMemory(this.#plan);
    this.#table = new TunnelTable(this.#memory, this.#plan);
    this.#table.publish(tableTunnels(tunnels));
    this.#traces = new Traces(
      this.#memory,
      this.#plan,
      () => this.#tunnels,
      new Map(this.#bound().map(({ link, dev }) => [link, dev])),
    );
    this.#recordings = new Recordings(this.#memory, this.#plan, () => this.#tunnels);
    this.#dumps = openDumps(config.router.recorder, this.#recordings, log);
    this.#sequences = new SequenceStore({
      folder: stateFolder(),
      sequences: new Sequences(this.#memory, this.#plan.states),
      records: () => this.#records,
      log,
    });
    const pathMtus = new PathMtus(this.#memory, this.#plan.states);
    const deviceMtus = tunnels.map((tunnel, index) => {
      const own = config.tunnels[index];
      return own === undefined ? tunnel.mtu : deviceMtu(own, tunnel);
    });
    this.#learnedMtus = new LearnedMtus({ tunnels, deviceMtus, pathMtus, log });
    this.#ecnWatch = new EcnWatch({
      names: this.#records.map(({ tunnel: { name } }) => name),
      counts: new EcnCounts(this.#memory, this.#plan.states),
      log,
    });
    this.#liveness = new Liveness({
      ...{ configs: config.tunnels, tunnels, board: this.#board, log },
      current: (record) => this.#tunnels[record - 1],
      emit: (record, packet) => {
        // Numbered packets leave by the lane that sends all of them.
        this.#lanes?.emit(devices[record - 1]?.reader ?? 0, record, packet);
      },
      setCarrier: (record, isUp) => this.#setCarrier(record, isUp),
      onDown: (name) => this.#dumps?.tunnelDown(name),
    });
  }

  #setCarrier(record: number, isUp: boolean): void {
    const device = this.#devices[record - 1];
    const [fd] = device?.fds ?? [];
    if (device === undefined || fd === undefined || setCarrier(fd, isUp)) return;
    const { name } = device.config;
    this.#log.debug({ event: 'carrier', tunnel: name }, `the carrier of ${name} stays as it is`);
  }

  /** Starts the lanes. What was opened for them is the caller's to close when it fails. */
  async start(build: CodecBuild): Promise<void> {
    const { xdp } = this.#choices;
    this.#codec = build.name;
    this.#sequences.restore();
    try {
      if (xdp && !(await xdp.attach(this.#memory))) this.#withdrawXdp(xdp);
      this.#sinks = this.#openSinks();
      this.#lanes = await this.#startLanes(build);
      await this.#lanes.ready();
    } catch (error) {
      this.#sequences.close();
      this.#sinks?.close();
      this.#learnedMtus.close();
      this.#flags.close();
      throw error;
    }
    this.#choices.xdp?.start();
    this.#dumps?.start();
    this.#liveness.start();
    this.#ecnWatch.start();
    this.#choices.names.watch(() => this.#followNames());
  }

  /**
   * Makes what the names of remotes stand for known to all that go by it. Devices stay as they are, and so does the MTU.
   * Never rejects; false: to be tried again.
   */
  async #followNames(): Promise<boolean> {
    const { names, xdp } = this.#choices;
    const configs = this.#config.tunnels;
    const tunnels = this.#tunnels.map((tunnel, index) => {
      const config = configs[index];
      const addressOf = (name: string) => names.addressOf(tunnel.name, name);
      if (config === undefined) return tunnel;
      const probe = tunnel.probe && { probeIdentifier: tunnel.probe.identifier };
      const sourcePort = sourcePortOf(tunnel); // stays what it was
      const known = { link: tunnel.link, addressOf, ...probe, ...(sourcePort && { sourcePort }) };
      return { ...tunnelOf(config, known), mtu: tunnel.mtu };
    });
    const records = routerRecords(configs, tunnels);
    const changed = changedRecords(this.#records, records);
    if (changed.size === 0 || this.#stopped !== undefined) return true;
    const inTable = tableTunnels(tunnels);
    const publish = () => this.#table.publishWhenSafe(inTable, changed);
    try {
      await (xdp === undefined ? publish() : xdp.change(records, publish));
    } catch (error) {
      this.#log.warn({ event: 'names' }, `remotes stay as they were: ${String(error)}`);
      return false;
    }
    this.#tunnels = tunnels;
    this.#records = records;
    // Behind the answer of the lanes none of them tells of an old way any more.
    await this.#lanes?.changeTunnels(changedTunnels(inTable, changed));
    for (const record of changed) this.#learnedMtus.moved(record);
    return true;
  }

  /** Goes on over raw sockets: no queue has a socket of AF_XDP. */
  #withdrawXdp(xdp: XdpPath): void {
    xdp.close();
    this.#choices = { ...this.#choices, underlay: 'raw', xdp: undefined };
    warnOfRaw(this.#log);
  }

  async status(): Promise<RouterStatus> {
    return readStatus(await this.#sources());
  }

  async metrics(): Promise<RouterMetrics> {
    return readMetrics(await this.#sources());
  }

  async lanesAnswering(): Promise<readonly boolean[]> {
    const answers = (await this.#lanes?.kernelDrops()) ?? [];
    return answers.map((answer) => answer !== undefined);
  }

  async #sources(): Promise<StatusSources> {
    const kernelDrops = (await this.#lanes?.kernelDrops()) ?? [];
    return {
      memory: this.#memory,
      plan: this.#plan,
      tunnels: this.#tunnels,
      configs: this.#config.tunnels,
      faultOf: (tunnel, name) => this.#choices.names.faultOf(tunnel, name),
      downReason: (name, record) => {
        if (this.#lost.has(name) || !this.#flags.isUp(name)) return 'device';
        return this.#liveness.down(record);
      },
      lastHeardMs: (record) => this.#board.lastHeardMs(record),
      livenessOf: (record) => this.#liveness.of(record),
      codec: this.#codec,
      underlay: this.#choices.underlay,
      lanes: this.#choices.laneCount,
      startedMs: this.#startedMs,
      kernelDrops,
      queueDrops: transmitDrops(),
    };
  }

  async useCodec(name: string): Promise<string> {
    const build = loadBuild(name);
    await verifyBuild(build);
    await this.#lanes?.useCodec(build);
    this.#codec = build.name;
    this.#log.info({ event: 'codec-swapped', codec: build.name }, `codec ${build.name} is live`);
    return build.name;
  }

  trace(request: TraceRequest): Trace {
    return this.#traces.open(request);
  }

  recorded(choice: RecordChoice): Recording {
    return this.#recordings.recorded(choice);
  }

  capture(request: CaptureRequest): Capture {
    return this.#recordings.capture(request);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#liveness.stop();
    this.#ecnWatch.stop();
    this.#choices.names.close();
    await this.#lanes?.stop(STOP_LIMIT_MS);
    this.#sequences.close();
    this.#sinks?.close();
    this.#choices.xdp?.close();
    await removeDevices(this.#devices);
    this.#learnedMtus.close();
    this.#flags.close();
    await this.#dumps?.stop();
    this.#finish(null);
  }

  #openSinks(): ProtocolSinks | undefined {
    if (this.#choices.underlay === 'memory') return undefined;
    return new ProtocolSinks(endpointsOf(this.#records.map(({ tunnel }) => tunnel)).protocols);
  }

  async #startLanes(build: CodecBuild): Promise<Lanes> {
    const { underlay } = this.#choices;
    const shared = this.#sharedStart(build);
    const events = this.#events();
    if (isThreaded(underlay)) {
      return Lanes.startThreads(this.#plan, shared, (lane) => this.#ownStart(lane), events);
    }
    const opened = await this.#openEvented();
    return Lanes.startEvented(this.#plan, shared, this.#ownStart(0), opened, events);
  }

  #sharedStart(build: CodecBuild): SharedStart {
    const { offload, busypoll } = this.#config.router;
    const bound = this.#bound();
    return {
      memory: this.#memory,
      codec: build,
      merge: (offload.gro ? MERGE_TCP : 0) | (this.#mergesUdp() ? MERGE_UDP : 0),
      reorder: reorderLimits(this.#records.map(({ tunnel }) => tunnel)),
      ...endpointsOf(this.#records.map(({ tunnel }) => tunnel)),
      peers: peerRanges(this.#tunnels),
      tunnels: tableTunnels(this.#tunnels),
      links: bound.map(({ link, dev }) => [link, dev] as const),
      linkOfRecord: bound.map(({ record, link }) => [record, link] as const),
      board: this.#board.buffer,
      busyPoll: busypoll,
    };
  }

  /** Records that are bound to a device. */
  #bound(): { readonly record: number; readonly link: number; readonly dev: string }[] {
    return this.#records.flatMap(({ tunnel: { link }, dev }, index) => {
      return dev === undefined || link === 0 ? [] : [{ record: index + 1, link, dev }];
    });
  }

  /**
   * Whether UDP is merged for the devices. With raw sockets it gained nothing; kernels before 6.9 lose UDP superpackets
   * that they route into VXLAN.
   */
  #mergesUdp(): boolean {
    const { ugro } = this.#config.router.offload;
    return ugro ?? (this.#choices.underlay === 'xdp' && isKernelAtLeast(6, 9));
  }

  #ownStart(lane: number): OwnStart {
    const { xdp, laneCount } = this.#choices;
    return {
      devices: this.#devices.flatMap(({ config, fds, reader }, index): LaneDevice[] => {
        const fd = fds[lane];
        const isRead = reader === undefined || reader === lane;
        return fd === undefined ? [] : [{ record: index + 1, name: config.name, fd, isRead }];
      }),
      xdp: xdp && {
        devices: xdp.devicesOf(lane, laneCount),
        outerLengths: xdp.segmentedRecords(),
      },
      watchFd: lane === 0 ? xdp?.watchFd : undefined,
    };
  }

  async #openEvented(): Promise<Underlay> {
    if (this.#choices.underlay === 'memory') return new MemoryUnderlay(this.#memory);
    const { protocols, groups, udp } = endpointsOf(this.#records.map(({ tunnel }) => tunnel));
    const isOver6 = this.#tunnels.some((tunnel) => versionOf(tunnel) === 6);
    const isRefused = isOver6 || udp.records.length > 0 || groups.length > 0;
    if (isRefused) {
      throw new Failure(
        EXIT.config,
        'underlay = "raw-socket" carries no tunnel over IPv6 or UDP, nor one to a multicast group',
        'choose underlay = "auto"',
      );
    }
    const { RawSocketUnderlay } = await import('../underlay/raw-socket.js');
    const numbers = protocols.map(({ protocol }) => protocol);
    return new RawSocketUnderlay(this.#memory, numbers);
  }

  #events(): LaneEvents {
    return {
      onFault: (codec, error) => {
        this.#codec = 'js';
        this.#log.error(
          { event: 'codec-fault', codec, error },
          `codec ${codec} trapped on a packet; the js build has taken over`,
        );
      },
      onDeviceLost: (record) => {
        const name = this.#tunnels[record - 1]?.name ?? `record ${record}`;
        if (this.#lost.has(name)) return; // every lane tells
        this.#lost.add(name);
        this.#log.error(
          { event: 'device-lost', tunnel: name },
          `the device ${name} was removed from under the router; restart the router to have it back`,
        );
      },
      onMergeRefused: (device) => {
        this.#log.warn(
          { event: 'merge-refused', device },
          `the kernel refused a superpacket for ${device} (EINVAL), as some releases do; packets are written one by one from here on`,
        );
      },
      onPathMtu: (record, mtu) => this.#learnedMtus.learned(record, mtu),
      onNetworkChanged: () => {
        const followed = this.#choices.xdp?.onChange().catch((error) => {
          this.#log.warn({ event: 'next-hops' }, `next hops stay as they were: ${String(error)}`);
        });
        void followed?.then(() => this.#lanes?.watchAgain());
      },
      onSuperpacketsRefused: (device) => {
        this.#log.warn(
          { event: 'superpackets-refused', device },
          `the kernel cannot segment superpackets on their way out of ${device} (ENOMEM); they are split before from here on`,
        );
      },
      onSegmentationRefused: () => {
        this.#log.warn(
          { event: 'segmentation-refused' },
          'the kernel cannot segment UDP on the way to a peer (EIO: the device fills in no checksums); datagrams are sent one by one from here on',
        );
      },
      onFailed: (failure) => {
        this.#log.fatal({ event: 'lane-failed' }, failure.message);
        this.#finish(failure);
      },
    };
  }
}
