// A router: makes the devices a config names, publishes the tunnel table, and starts the lanes.
//
//   1. codec     load and verify the build
//   2. devices   make them; set MTU, addresses, link state, routes
//   3. table     publish it to shared memory
//   4. sinks     silence for the tunnel protocols that no tunnel receives
//   5. lanes     open the underlay last: nothing is taken before it can be handled
//
// Whatever fails on the way undoes what was done: devices, addresses and routes vanish with their descriptors.
import type { Logger } from 'pino';
import { type CodecBuild, loadBuild } from '../codec/builds.js';
import { verifyBuild } from '../codec/verify.js';
import type { Config, TunnelConfig } from '../config/config.js';
import type { LaneEvents } from '../lane/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import { InterfaceFlags, requireOwnAddresses, transmitDrops } from '../sys/interface.js';
import type { Underlay } from '../underlay/contract.js';
import { MemoryUnderlay } from '../underlay/memory.js';
import { type Absent, readAbsent } from './absent.js';
import { assembleFleet, followNames } from './assemble.js';
import {
  chooseLanes,
  chooseUnderlay,
  isThreaded,
  openXdp,
  protocolsOf,
  requirePlain,
  type UnderlayName,
  warnOfRaw,
} from './choices.js';
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
import { Dataplane } from './dataplane.js';
import { createDevices, removeDevices } from './devices.js';
import { type ConfigDiff, diffConfigs } from './diff.js';
import type { Fleet } from './fleet.js';
import { HostNames } from './host-names.js';
import type { Lanes } from './lanes.js';
import { applyNetwork, planNetwork, prepareDevices } from './network.js';
import { type Actuator, carryOut, planSteps } from './reconcile.js';
import { routerRecords } from './records.js';
import { type ReloadHooks, Reloads } from './reload.js';
import { readMetrics, readStatus, type StatusSources } from './status.js';
import type { XdpPath } from './xdp-path.js';

/** How long a lane may take over its last batch before its thread is ended by force. */
const STOP_LIMIT_MS = 500;

/** Starts the router of a config. Rejects with a Failure, and leaves nothing behind, when it cannot. */
export async function startRouter(
  config: Config,
  log: Logger,
  hooks: ReloadHooks = {},
): Promise<Router> {
  const build = loadBuild(config.router.codec);
  await verifyBuild(build);
  await requireLocals(config.tunnels);
  const names = new HostNames(config, { log });
  await names.ask();
  const fleet = await assembleFleet(config, (...name) => names.addressOf(...name));
  const underlay = chooseUnderlay(config, log);
  const laneCount = isThreaded(underlay) ? chooseLanes(config) : 1;
  const devices = await createDevices(fleet, laneCount, config.router.offload);
  let xdp: XdpPath | undefined;
  try {
    prepareDevices(config.tunnels);
    await applyNetwork(planNetwork({ fresh: fleet, kept: [], routeOwners: new Map() }));
    xdp = await openXdp(config, underlay, routerRecords(fleet), log);
    const dataplane = new Dataplane({ config, fleet, devices, laneCount, xdp, log });
    const router = new RunningRouter(config, dataplane, log, {
      underlay: underlay === 'xdp' && xdp === undefined ? 'raw' : underlay,
      ...{ laneCount, xdp, names, hooks },
    });
    await router.start(build);
    return router;
  } catch (error) {
    names.close();
    xdp?.close();
    await removeDevices([...devices.values()]);
    throw error;
  }
}

/** Every local address is one of this machine. */
function requireLocals(tunnels: readonly TunnelConfig[]): Promise<void> {
  return requireOwnAddresses(
    tunnels
      .filter(({ local }) => local !== 'any')
      .map(({ local, name, dev }) => ({ address: local, owner: `tunnel ${name}`, dev })),
  );
}

interface Choices {
  readonly underlay: UnderlayName;
  readonly laneCount: number;
  readonly xdp: XdpPath | undefined;
  readonly names: HostNames;
  readonly hooks: ReloadHooks;
}

class RunningRouter implements Router {
  readonly #dataplane: Dataplane;
  readonly #log: Logger;
  readonly #flags = new InterfaceFlags();
  readonly #lost = new Set<string>();
  readonly #startedMs = Date.now();
  #choices: Choices;
  readonly reloads: Reloads;
  readonly finished: Promise<Failure | null>;
  #finish: (failure: Failure | null) => void = () => {};
  #codec = '';
  #stopped: Promise<void> | undefined;

  constructor(config: Config, dataplane: Dataplane, log: Logger, choices: Choices) {
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#dataplane = dataplane;
    this.#log = log;
    this.#choices = choices;
    const { laneCount, hooks } = choices;
    this.reloads = new Reloads({
      ...{ config, log, ...hooks },
      diff: (before, after, absent) =>
        diffConfigs(before, after, { laneCount, lost: this.#lost, absent }),
      readAbsent: ({ tunnels }) => readAbsent(tunnels),
      apply: (before, after, diff, absent) => this.#apply(before, after, diff, absent),
    });
  }

  get laneThreads(): readonly number[] {
    return this.#dataplane.lanes?.threadIds ?? [];
  }

  /** Starts the lanes. What was opened for them is the caller's to close when it fails. */
  async start(build: CodecBuild): Promise<void> {
    const { xdp } = this.#choices;
    const dataplane = this.#dataplane;
    this.#codec = build.name;
    dataplane.onlookers.restore();
    try {
      if (xdp && !(await xdp.attach(dataplane.memory))) this.#withdrawXdp(xdp);
      if (this.#choices.underlay !== 'memory') dataplane.openSinks();
      const lanes = await this.#startLanes(build);
      await lanes.ready();
    } catch (error) {
      await dataplane.close();
      this.#flags.close();
      throw error;
    }
    this.#choices.xdp?.start();
    dataplane.onlookers.start();
    dataplane.liveness.start();
    this.#choices.names.watch(() => this.#followNames());
  }

  /**
   * Makes what the names of remotes stand for known to all that go by it. Devices stay as they are, and so does the MTU.
   * Never rejects; false: to be tried again.
   */
  async #followNames(): Promise<boolean> {
    const { names } = this.#choices;
    try {
      await this.reloads.inTurn(async () => {
        const addressOf = (tunnel: string, name: string) => names.addressOf(tunnel, name);
        const fleet = this.#dataplane.fleet.map((member) => followNames(member, addressOf));
        if (fleet.some((member, index) => member !== this.#dataplane.fleet[index])) {
          await this.#dataplane.switchTo(fleet);
          await this.#dataplane.followXdp();
        }
      });
      return true;
    } catch (error) {
      if (this.#stopped !== undefined) return true;
      this.#log.warn({ event: 'names' }, `remotes stay as they were: ${String(error)}`);
      return false;
    }
  }

  async #apply(
    before: Config,
    after: Config,
    { tunnels }: ConfigDiff,
    absent?: Absent,
  ): Promise<void> {
    const { names } = this.#choices;
    const dataplane = this.#dataplane;
    const touched = new Set(tunnels.map((one) => (one.kind === 'rename' ? one.to : one.name)));
    const rebuilt = new Set(tunnels.flatMap(({ kind, name }) => (kind === 'rebuild' ? name : [])));
    await requireLocals(after.tunnels.filter(({ name }) => touched.has(name)));
    try {
      await names.learn(after);
      const addressOf = (tunnel: string, name: string) => names.addressOf(tunnel, name);
      const isTouched = (name: string) => touched.has(name);
      const fleet = await assembleFleet(after, addressOf, dataplane.fleet, isTouched);
      this.#requireSockets(fleet);
      const codec = { before: before.router.codec, after: after.router.codec };
      const steps = planSteps({
        ...{ before: dataplane.fleet, after: fleet, rebuilt, absent },
        ...(codec.before === codec.after ? {} : { codec }),
      });
      await carryOut(steps, this.#actuator(), (step, error) => {
        this.#log.error({ event: 'reload' }, `${step.kind} could not be undone: ${String(error)}`);
      });
    } catch (error) {
      names.keep(before);
      throw error;
    }
    names.keep(after);
    for (const name of rebuilt) this.#lost.delete(name);
    await dataplane.followXdp();
  }

  #actuator(): Actuator {
    const dataplane = this.#dataplane;
    return {
      useCodec: (name) => this.useCodec(name),
      switchTo: (fleet) => dataplane.switchTo(fleet),
      makeDevices: (members) => dataplane.makeDevices(members),
      unmakeDevices: (members) => dataplane.unmakeDevices(members),
      changeNetwork: (change) => dataplane.changeNetwork(change),
    };
  }

  /** The npm package's sockets are opened with the start alone. */
  #requireSockets(fleet: Fleet): void {
    if (this.#choices.underlay !== 'raw-socket') return;
    const records = routerRecords(fleet);
    requirePlain(records);
    const open = new Set(protocolsOf(this.#dataplane.records));
    if (protocolsOf(records).every((protocol) => open.has(protocol))) return;
    throw new Failure(
      EXIT.config,
      'underlay = "raw-socket" opens its sockets when it starts, and has none for a tunnel of this mode',
      'restart the router, or choose underlay = "auto"',
    );
  }

  /** Goes on over raw sockets: no queue has a socket of AF_XDP. */
  #withdrawXdp(xdp: XdpPath): void {
    xdp.close();
    this.#dataplane.dropXdp();
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
    const answers = (await this.#dataplane.lanes?.kernelDrops()) ?? [];
    return answers.map((answer) => answer !== undefined);
  }

  async #sources(): Promise<StatusSources> {
    const dataplane = this.#dataplane;
    const { names, underlay, laneCount } = this.#choices;
    const kernelDrops = (await dataplane.lanes?.kernelDrops()) ?? [];
    const gone = dataplane.goneCounters();
    return {
      ...{ memory: dataplane.memory, plan: dataplane.plan, fleet: dataplane.fleet },
      ...(gone === undefined ? {} : { gone }),
      faultOf: (tunnel, name) => names.faultOf(tunnel, name),
      downReason: (name, record) => {
        if (this.#lost.has(name) || !this.#flags.isUp(name)) return 'device';
        return dataplane.liveness.down(record);
      },
      lastHeardMs: (record) => dataplane.board.lastHeardMs(record),
      livenessOf: (record) => dataplane.liveness.of(record),
      ...{ codec: this.#codec, underlay, lanes: laneCount },
      startedMs: this.#startedMs,
      lastReload: this.reloads.last,
      kernelDrops,
      queueDrops: transmitDrops(),
    };
  }

  async useCodec(name: string): Promise<string> {
    const build = loadBuild(name);
    await verifyBuild(build);
    await this.#dataplane.lanes?.useCodec(build);
    this.#codec = build.name;
    this.#log.info({ event: 'codec-swapped', codec: build.name }, `codec ${build.name} is live`);
    return build.name;
  }

  trace(request: TraceRequest): Trace {
    return this.#dataplane.onlookers.traces.open(request);
  }

  recorded(choice: RecordChoice): Recording {
    return this.#dataplane.onlookers.recordings.recorded(choice);
  }

  capture(request: CaptureRequest): Capture {
    return this.#dataplane.onlookers.recordings.capture(request);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#choices.names.close();
    await this.reloads.close();
    this.#dataplane.liveness.stop();
    await this.#dataplane.stop(STOP_LIMIT_MS);
    this.#flags.close();
    this.#finish(null);
  }

  async #startLanes(build: CodecBuild): Promise<Lanes> {
    const events = this.#events();
    if (isThreaded(this.#choices.underlay)) return this.#dataplane.startThreads(build, events);
    return this.#dataplane.startEvented(build, await this.#openEvented(), events);
  }

  async #openEvented(): Promise<Underlay> {
    const { memory, records } = this.#dataplane;
    if (this.#choices.underlay === 'memory') return new MemoryUnderlay(memory);
    requirePlain(records);
    const { RawSocketUnderlay } = await import('../underlay/raw-socket-package.js');
    return new RawSocketUnderlay(memory, protocolsOf(records));
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
        const name = this.#dataplane.member(record)?.config.name ?? `record ${record}`;
        if (this.#lost.has(name)) return; // every lane tells
        this.#lost.add(name);
        this.#log.error(
          { event: 'device-lost', tunnel: name },
          `the device ${name} was removed from under the router; grebe reload brings it back`,
        );
      },
      onMergeRefused: (device) => {
        this.#log.warn(
          { event: 'merge-refused', device },
          `the kernel refused a superpacket for ${device} (EINVAL), as some releases do; packets are written one by one from here on`,
        );
      },
      onPathMtu: (record, mtu) => this.#dataplane.learnedMtus.learned(record, mtu),
      onNetworkChanged: () => {
        const followed = this.#choices.xdp?.onChange().catch((error) => {
          this.#log.warn({ event: 'next-hops' }, `next hops stay as they were: ${String(error)}`);
        });
        void followed?.then(() => this.#dataplane.lanes?.watchNetwork());
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
