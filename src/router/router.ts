// A router: makes the devices a config names, publishes the tunnel table, and starts the lane.
//
//   1. codec     load and verify the build
//   2. devices   make them; set MTU, addresses, link state, routes
//   3. table     publish it to shared memory
//   4. lane      open the underlay last: nothing is taken before it can be handled
//
// Whatever fails on the way undoes what was done: devices, addresses and routes vanish with their descriptors.
import type { Logger } from 'pino';
import { MERGE_TCP } from '../../asm/layout.js';
import { type CodecBuild, loadBuild, openCodec } from '../codec/builds.js';
import { verifyBuild } from '../codec/verify.js';
import type { Config } from '../config/config.js';
import { EventedLane } from '../lane/evented.js';
import { Lane, type LaneEvents, type LaneHandle } from '../lane/lane.js';
import type { UdpTunnels } from '../lane/message.js';
import { LaneThread } from '../lane/thread.js';
import type { Tunnel } from '../packet/tunnel.js';
import { createMemory, type MemoryPlan, planMemory } from '../ring/plan.js';
import { EXIT, Failure } from '../sys/failure.js';
import { InterfaceFlags, requireOwnAddresses } from '../sys/interface.js';
import { addressOf } from '../sys/libc.js';
import { LinuxTun } from '../tun/linux.js';
import { DeviceVectors } from '../tun/vectors.js';
import { PROTOCOL } from '../tunnel/record.js';
import { TunnelTable } from '../tunnel/table.js';
import type { Underlay } from '../underlay/contract.js';
import { MemoryUnderlay } from '../underlay/memory.js';
import type { Router, RouterStatus } from './contract.js';
import {
  configureDevices,
  createDevices,
  type Device,
  removeDevices,
  resolveTunnels,
} from './devices.js';
import { readStatus } from './status.js';

/** How long a lane may take over its last batch before its thread is ended by force. */
const STOP_LIMIT_MS = 500;

/** Starts the router of a config. Rejects with a Failure, and leaves nothing behind, when it cannot. */
export async function startRouter(config: Config, log: Logger): Promise<Router> {
  const build = loadBuild(config.router.codec);
  await verifyBuild(build);
  requireOwnAddresses(
    config.tunnels
      .filter(({ local }) => local !== 'any')
      .map(({ local, name }) => ({ address: local, owner: `tunnel ${name}` })),
  );
  const tunnels = await resolveTunnels(config.tunnels);
  const devices = await createDevices(config.tunnels);
  try {
    await configureDevices(config.tunnels, tunnels);
    const router = new RunningRouter(config, tunnels, devices, build, log);
    await router.ready();
    return router;
  } catch (error) {
    await removeDevices(devices);
    throw error;
  }
}

class RunningRouter implements Router {
  readonly #tunnels: readonly Tunnel[];
  readonly #devices: readonly Device[];
  readonly #log: Logger;
  readonly #plan: MemoryPlan;
  readonly #memory: WebAssembly.Memory;
  readonly #flags = new InterfaceFlags();
  readonly #lost = new Set<string>();
  readonly #startedMs = Date.now();
  readonly #underlay: 'raw' | 'raw-socket' | 'memory';
  readonly #lane: Promise<LaneHandle>;
  readonly finished: Promise<Failure | null>;
  #finish: (failure: Failure | null) => void = () => {};
  #codec: string;
  #stopped: Promise<void> | undefined;

  constructor(
    config: Config,
    tunnels: readonly Tunnel[],
    devices: readonly Device[],
    build: CodecBuild,
    log: Logger,
  ) {
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#tunnels = tunnels;
    this.#devices = devices;
    this.#log = log;
    this.#codec = build.name;
    this.#plan = planMemory(1);
    this.#memory = createMemory(this.#plan);
    this.#underlay = chooseUnderlay(config, log);
    new TunnelTable(this.#memory, this.#plan).publish(tunnels);
    this.#lane = this.#startLane(build);
  }

  async ready(): Promise<void> {
    try {
      const lane = await this.#lane;
      await lane.ready();
    } catch (error) {
      this.#flags.close();
      throw error;
    }
  }

  status(): RouterStatus {
    return readStatus({
      memory: this.#memory,
      plan: this.#plan,
      tunnels: this.#tunnels,
      isUp: (name) => !this.#lost.has(name) && this.#flags.isUp(name),
      codec: this.#codec,
      underlay: this.#underlay,
      uptimeSeconds: (Date.now() - this.#startedMs) / 1000,
    });
  }

  async useCodec(name: string): Promise<string> {
    const build = loadBuild(name);
    await verifyBuild(build);
    const lane = await this.#lane;
    await lane.useCodec(build);
    this.#codec = build.name;
    this.#log.info({ event: 'codec-swapped', codec: build.name }, `codec ${build.name} is live`);
    return build.name;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const lane = await this.#lane;
    await lane.stop(STOP_LIMIT_MS);
    await removeDevices(this.#devices);
    this.#flags.close();
    this.#finish(null);
  }

  async #startLane(build: CodecBuild): Promise<LaneHandle> {
    const plain = this.#tunnels.filter(({ mode }) => mode !== 'gre-udp');
    const protocols = [...new Set(plain.map(({ mode }) => PROTOCOL[mode]))];
    const events: LaneEvents = {
      onFault: (codec, error) => {
        this.#codec = 'js';
        this.#log.error(
          { event: 'codec-fault', codec, error },
          `codec ${codec} trapped on a packet; the js build has taken over`,
        );
      },
      onDeviceLost: (record) => {
        const name = this.#tunnels[record - 1]?.name ?? `record ${record}`;
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
    if (this.#underlay === 'raw') return this.#startThread(build, protocols, events);
    return this.#startEvented(build, await this.#openEventedUnderlay(protocols), events);
  }

  #startThread(build: CodecBuild, protocols: number[], events: LaneEvents): LaneHandle {
    const bound = this.#devices.flatMap(({ config }, index) => {
      const link = this.#tunnels[index]?.link ?? 0;
      return config.dev === undefined || link === 0
        ? []
        : [{ record: index + 1, link, dev: config.dev }];
    });
    return new LaneThread(
      {
        memory: this.#memory,
        plan: this.#plan.lanes[0],
        codec: build,
        merge: MERGE_TCP,
        protocols,
        udp: udpTunnels(this.#tunnels),
        links: bound.map(({ link, dev }) => [link, dev] as const),
        linkOfRecord: bound.map(({ record, link }) => [record, link] as const),
        devices: this.#devices.map(({ config, fd }, index) => ({
          record: index + 1,
          name: config.name,
          fd,
        })),
      },
      events,
    );
  }

  #startEvented(build: CodecBuild, underlay: Underlay, events: LaneEvents): LaneHandle {
    const lane = new Lane({
      memory: this.#memory,
      plan: this.#plan.lanes[0],
      underlay,
      codec: openCodec(build, this.#memory),
      fallback: openCodec({ name: 'js' }, this.#memory),
      merge: MERGE_TCP,
      onMergeRefused: events.onMergeRefused,
      onFault: (codec, error) => events.onFault(codec, String(error)),
    });
    const base = addressOf(new Uint8Array(this.#memory.buffer));
    const vectors = new DeviceVectors(base, lane.encapRing);
    this.#devices.forEach(({ config, fd }, index) => {
      lane.devices[index + 1] = new LinuxTun(config.name, fd, vectors);
    });
    return new EventedLane(lane, this.#memory, events);
  }

  async #openEventedUnderlay(protocols: number[]): Promise<Underlay> {
    if (this.#underlay === 'memory') return new MemoryUnderlay(this.#memory);
    if (this.#tunnels.some(({ mode }) => mode === 'gre-udp')) {
      throw new Failure(
        EXIT.config,
        'underlay = "raw-socket" carries no mode = "gre-udp"',
        'choose underlay = "auto"',
      );
    }
    const { RawSocketUnderlay } = await import('../underlay/raw-socket.js');
    return new RawSocketUnderlay(this.#memory, protocols);
  }
}

/** What a lane needs to know of the tunnels over UDP. */
function udpTunnels(tunnels: readonly Tunnel[]): UdpTunnels {
  const records = tunnels.flatMap(({ mode }, index) => (mode === 'gre-udp' ? [index + 1] : []));
  const locals = new Set(tunnels.flatMap(({ mode, local }) => (mode === 'gre-udp' ? [local] : [])));
  return { locals: [...locals], records };
}

function chooseUnderlay(config: Config, log: Logger): 'raw' | 'raw-socket' | 'memory' {
  switch (config.router.underlay) {
    case 'auto':
    case 'raw':
      return 'raw';
    case 'raw-socket':
      return 'raw-socket';
    case 'memory':
      log.warn({ event: 'underlay' }, 'underlay memory is joined to nothing: no packet leaves');
      return 'memory';
  }
}
