// What the XDP underlay needs of the main thread: programs on the devices, sockets on their queues, next hops.
//
//   1. openXdpPath    the devices that packets to the remotes leave by; a program on each, or the reason why not
//   2. plan           room in the dataplane's memory for the sockets of every lane, for the next hops, and for more devices
//   3. attach         sockets opened, next hops resolved
//   4. start          frames go to the sockets, once the lanes work them
//   5. onChange       next hops resolved again, whenever the network changed
//   6. follow         after other tunnels came: devices that they use now, and none that they do not
//
// Nothing here touches a packet. Programs and sockets are held by descriptors: also after kill -9 nothing stays.
import type { Logger } from 'pino';
import { isName } from '../config/host-name.js';
import { isToGroup } from '../packet/table.js';
import { carries, isGre, outerLength, type Tunnel, versionOf } from '../packet/tunnel.js';
import type { MemoryPlan, Reserve } from '../ring/plan.js';
import { type Adjacency, type Hop, resolveAdjacencies } from '../sys/adjacency.js';
import { hasIpsecPolicies, type Path } from '../sys/ip.js';
import { RouteWatch } from '../sys/netlink.js';
import { type NextHopPlan, NextHopTable, planNextHops } from '../tunnel/next-hops.js';
import { segmentationMark } from '../underlay/packet-socket/segmentation-program.js';
import type { XdpDevice } from '../underlay/xdp/xdp.js';
import { changedRecords, type RouterRecords, unsharedRecords } from './records.js';
import { openPathDevice, type PathDevice, type PathDeviceOptions, peersOf } from './xdp-device.js';
import { type TellLanes, warnOfRaw, XdpDevices } from './xdp-devices.js';

/** Changes come in bursts: next hops are resolved once, this long after the first. */
const SETTLE_MS = 20;
/** How often the kernel is told that next hops are in use; it asks again for those it has not heard of in 30 s. */
const KEEP_ALIVE_MS = 10_000;

export interface XdpPathOptions extends PathDeviceOptions {
  readonly records: RouterRecords;
  /** Whether superpackets of tunnels over UDP may be segmented by the kernel, too. */
  readonly segmentUdp: boolean;
}

/** Opens what the XDP underlay needs. Undefined when no device can have it; the log then says why. */
export async function openXdpPath(options: XdpPathOptions): Promise<XdpPath | undefined> {
  const { log } = options;
  if (await isBehindIpsec(log)) return undefined;
  const paths = unicastPaths(options.records).filter((path) => path !== undefined);
  const adjacencies = await resolveAdjacencies(paths);
  for (const adjacency of adjacencies) {
    if (!('link' in adjacency)) log.info({ event: 'xdp-unavailable' }, unavailable(adjacency));
  }
  const devices = hopsOf(adjacencies).flatMap((hop): PathDevice[] => {
    try {
      return [openPathDevice(hop, options.records, options)];
    } catch (error) {
      warnOfRaw(hop.device, error, log);
      return [];
    }
  });
  return devices.length === 0 ? undefined : new XdpPath(options, devices);
}

/** Whether frames would pass by IPsec policies, which the log then says. */
async function isBehindIpsec(log: Logger): Promise<boolean> {
  const isBehind = await hasIpsecPolicies();
  if (isBehind) {
    log.warn(
      { event: 'xdp-unavailable' },
      'there are IPsec policies (ip xfrm policy), and frames would pass them: packets go through the IP stack',
    );
  }
  return isBehind;
}

/** One hop of each device. */
function hopsOf(adjacencies: readonly Adjacency[]): Hop[] {
  const hops = adjacencies.filter((adjacency) => 'link' in adjacency);
  return [...new Map(hops.map((hop) => [hop.link, hop])).values()];
}

/** The path to the next hop of each record; undefined: to groups, to anyone, and to a name without an address. */
function unicastPaths(records: RouterRecords): (Path | undefined)[] {
  return records.map((record) => {
    if (record === undefined) return undefined;
    const { tunnel, dev } = record;
    const { remote } = tunnel;
    const hasNone = remote === 'any' || isName(remote) || isToGroup(tunnel);
    return hasNone ? undefined : { remote, dev };
  });
}

function unavailable({ kind, path }: Adjacency): string {
  return `no frames to ${path.remote} (${kind}): raw sockets send to it until there is a way`;
}

export class XdpPath {
  readonly #options: XdpPathOptions;
  #records: RouterRecords;
  /** Those that devices are there for. */
  #followed: RouterRecords;
  /** Those that are about to have another remote. */
  #changing: ReadonlySet<number> = new Set();
  readonly #devices: XdpDevices;
  readonly #watch = new RouteWatch();
  #nextHopPlan: NextHopPlan | undefined;
  #nextHops: NextHopTable | undefined;
  #adjacencies: readonly Adjacency[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: XdpPathOptions, devices: readonly PathDevice[]) {
    this.#options = options;
    this.#records = options.records;
    this.#followed = options.records;
    this.#devices = new XdpDevices(devices, options);
  }

  /** Whether received packets come by AF_XDP. */
  get receives(): boolean {
    return this.#options.receive;
  }

  /** Readable when `onChange` is to be called. */
  get watchFd(): number {
    return this.#watch.fd;
  }

  /** The last of all reservations. */
  plan(reserve: Reserve): void {
    this.#nextHopPlan = planNextHops(reserve);
    this.#devices.plan(reserve);
  }

  /** The plan that came of it, with room for more devices. */
  withSpare(plan: MemoryPlan): MemoryPlan {
    return this.#devices.withSpare(plan);
  }

  /**
   * Opens the sockets over `memory`, and resolves next hops. A queue that cannot have a socket stays without; returns
   * false when some were to have one and none has.
   */
  async attach(memory: WebAssembly.Memory): Promise<boolean> {
    if (this.#nextHopPlan) this.#nextHops = new NextHopTable(memory, this.#nextHopPlan);
    if (!this.#devices.open(memory)) return false;
    await this.#refresh();
    this.#timer = setInterval(() => this.#watch.keepAlive(this.#adjacencies), KEEP_ALIVE_MS);
    this.#timer.unref();
    return true;
  }

  /** Lets frames go to the sockets, once the lanes work them. */
  start(): void {
    this.#devices.start();
  }

  /** The devices as lane `lane` of `laneCount` begins with them. */
  devicesOf(lane: number, laneCount: number): XdpDevice[] {
    return this.#devices.of(lane, laneCount);
  }

  /**
   * Has AF_XDP on the devices that tunnels use by now, and on no other: after `change`, in turn with it. What cannot have
   * it goes by raw sockets, and the log says so. Rejects when a lane does not answer.
   */
  async follow(laneCount: number, tell: TellLanes): Promise<void> {
    // Other records have just been resolved.
    if (this.#followed === this.#records) await this.#refresh();
    this.#followed = this.#records;
    const hops = hopsOf(this.#adjacencies);
    // Without a way now, a tunnel may have it back by the device that it had.
    const isSure = this.#adjacencies.every(({ kind }) => kind !== 'no-route');
    if (isSure) await this.#devices.drop(hops, tell);
    const isNew = hops.some(({ link }) => this.#devices.numberOf(link) < 0);
    if (!isNew || (await isBehindIpsec(this.#options.log))) return;
    const following = { records: this.#records, laneCount, tell };
    if (await this.#devices.add(hops, following)) await this.#refresh();
  }

  /** Those of `records` whose superpackets the kernel can segment, with the length of their outer header. */
  segmentedRecords(records: RouterRecords): [number, number][] {
    return records.flatMap((record, index): [number, number][] => {
      if (record === undefined) return [];
      const { tunnel } = record;
      const length = outerLength(tunnel);
      return this.#isSegmented(tunnel) && segmentationMark(length) !== 0
        ? [[index + 1, length]]
        : [];
    });
  }

  /** Whether the outer header is one that the kernel can put in front of every segment. */
  #isSegmented(tunnel: Tunnel): boolean {
    const isOver6 = versionOf(tunnel) === 6;
    if (tunnel.mode === 'gre-udp') {
      // Their superpackets go without the UDP checksum that should be there (RFC 8086, 2.1.1): only where asked for.
      // Over IPv6 every receiver would drop them (RFC 8200, 8.1).
      return this.#options.segmentUdp && !isOver6;
    }
    if (isOver6 && tunnel.encapLimit !== undefined) return false; // an options header, which it would not see
    if (carries(tunnel.mode) === 'ethernet') return false; // the device hands over no superpackets
    return !isGre(tunnel) || !(tunnel.sequenceOut || tunnel.checksumOut);
  }

  /**
   * Takes other records, or others in them. `publish` makes them known to the lanes: from before it until
   * after it, the changed records have no next hop, so that no packet leaves for another host than it says.
   */
  async change(records: RouterRecords, publish: () => Promise<void>): Promise<void> {
    const before = peersOf(this.#records);
    const after = peersOf(records);
    this.#changing = new Set([
      ...changedRecords(this.#records, records),
      ...unsharedRecords(this.#records, records),
    ]);
    for (const record of this.#changing) this.#nextHops?.set(record, undefined);
    try {
      await publish();
      this.#records = records;
      this.#devices.changePeers(before, after);
    } finally {
      this.#changing = new Set();
      await this.#refresh();
    }
  }

  /** Follows what changed in the network. Resolves once next hops are as it is, and further changes may be told. */
  async onChange(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if (!this.#closed && this.#watch.drainChanges()) await this.#refresh();
  }

  /** Resolves all next hops again. */
  async #refresh(): Promise<void> {
    const records = this.#records;
    const paths = unicastPaths(records);
    const unicast = paths.filter((path) => path !== undefined);
    const adjacencies = await resolveAdjacencies(unicast);
    // Other remotes may have come meanwhile: then theirs are being resolved.
    if (this.#closed || records !== this.#records) return;
    this.#adjacencies = adjacencies;
    this.#watch.watch(this.#adjacencies);
    const byPath = new Map(unicast.map((path, index) => [path, this.#adjacencies[index]]));
    for (const [index, record] of records.entries()) {
      if (record === undefined) continue; // it had its next hop taken when it went
      const { tunnel } = record;
      const path = paths[index];
      const adjacency = path && byPath.get(path);
      // Without a local address the source is for the kernel to fill in, which it does for what passes its IP stack.
      const isChanging = this.#changing.has(index + 1);
      if (adjacency?.kind !== 'resolved' || tunnel.local === 'any' || isChanging) {
        this.#nextHops?.set(index + 1, undefined);
        continue;
      }
      const device = this.#devices.numberOf(adjacency.link);
      const { source, destination, deviceMtu } = adjacency;
      const nextHop = {
        ...{ version: versionOf(tunnel), device, source, destination },
        mtu: Math.min(adjacency.mtu, deviceMtu),
      };
      this.#nextHops?.set(index + 1, device < 0 ? undefined : nextHop);
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watch.close();
    this.#devices.close();
  }
}
