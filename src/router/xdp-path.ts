// What the XDP underlay needs of the main thread: programs on the devices, sockets on their queues, next hops.
//
//   1. openXdpPath    the devices that packets to the remotes leave by; a program on each, or the reason why not
//   2. plan           room in the dataplane's memory for the sockets of every lane, and for the next hops
//   3. attach         sockets opened, next hops resolved
//   4. start          frames go to the sockets, once the lanes work them
//   5. onChange       next hops resolved again, whenever the network changed
//
// Nothing here touches a packet. Programs and sockets are held by descriptors: also after kill -9 nothing stays.
import type { Logger } from 'pino';
import { isName } from '../config/host-name.js';
import { PROTOCOL_OF } from '../packet/outer-header.js';
import { isToGroup } from '../packet/table.js';
import { carries, isGre, outerLength, type Tunnel, versionOf } from '../packet/tunnel.js';
import type { Reserve } from '../ring/plan.js';
import { planXsk, receiveRoom, type XskPlan } from '../ring/xsk-plan.js';
import { type Adjacency, type Hop, resolveAdjacencies } from '../sys/adjacency.js';
import { receiveQueueCount } from '../sys/channels.js';
import { Failure } from '../sys/failure.js';
import { hasIpsecPolicies, type Path } from '../sys/ip.js';
import { RouteWatch } from '../sys/netlink.js';
import { type NextHopPlan, NextHopTable, planNextHops } from '../tunnel/next-hops.js';
import {
  openSegmentation,
  type Segmentation,
  segmentationMark,
} from '../underlay/packet-socket/segmentation-program.js';
import {
  openRedirect,
  type Peer,
  type Redirect,
  type RedirectOptions,
} from '../underlay/xdp/redirect-program.js';
import type { XdpDevice } from '../underlay/xdp/xdp.js';
import { Xsk } from '../underlay/xdp/xsk.js';
import { changedRecords, type RouterRecords, unsharedRecords } from './records.js';

/**
 * Frames to receive into, of all queues of a device together and of one at least: what a few TCP flows may have under
 * way, so that their windows end before the frames do.
 */
const RECEIVE_FRAMES = 8192;
const RECEIVE_FRAMES_MIN = 2048;
/** Frames to send from, of one queue: several batches. */
const SEND_FRAMES = 2048;
/** Ethernet header with a VLAN tag, which a device's MTU does not count. */
const ETHERNET_ROOM = 18;
/** Changes come in bursts: next hops are resolved once, this long after the first. */
const SETTLE_MS = 20;
/** Peers of tunnels that are added while the program is there; more come by the raw sockets. */
const LATER_PEERS = 256;
/** How often the kernel is told that next hops are in use; it asks again for those it has not heard of in 30 s. */
const KEEP_ALIVE_MS = 10_000;

interface Device {
  readonly link: number;
  readonly name: string;
  readonly queues: boolean;
  readonly frameSize: 2048 | 4096;
  readonly redirect: Redirect | undefined;
  readonly segmentation: Segmentation | undefined;
  readonly queueCount: number;
  /** By queue. */
  readonly plans: XskPlan[];
  readonly sockets: (Xsk | undefined)[];
}

export interface XdpPathOptions {
  readonly records: RouterRecords;
  /** Whether received packets come by AF_XDP; otherwise superpackets leave past the IP stack and nothing else. */
  readonly receive: boolean;
  /** Whether superpackets may be segmented by the kernel. */
  readonly segment: boolean;
  /** Whether those of tunnels over UDP may be, too. */
  readonly segmentUdp: boolean;
  readonly log: Logger;
}

/** Opens what the XDP underlay needs. Undefined when no device can have it; the log then says why. */
export async function openXdpPath(options: XdpPathOptions): Promise<XdpPath | undefined> {
  const { log } = options;
  if (await hasIpsecPolicies()) {
    log.warn(
      { event: 'xdp-unavailable' },
      'there are IPsec policies (ip xfrm policy), and frames would pass them: packets go through the IP stack',
    );
    return undefined;
  }
  const links = new Map<number, Hop>();
  const paths = unicastPaths(options.records).filter((path) => path !== undefined);
  for (const adjacency of await resolveAdjacencies(paths)) {
    if ('link' in adjacency) links.set(adjacency.link, adjacency);
    else log.info({ event: 'xdp-unavailable' }, unavailable(adjacency));
  }
  const devices: Device[] = [];
  for (const hop of links.values()) {
    try {
      devices.push(openDevice(hop, options));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.warn(
        { event: 'xdp-unavailable', device: hop.device },
        `${error.message}; raw sockets serve ${hop.device}${error.hint ? ` (${error.hint})` : ''}`,
      );
    }
  }
  return devices.length === 0 ? undefined : new XdpPath(options, devices);
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

function openDevice(hop: Hop, options: XdpPathOptions): Device {
  const { link, device: name, deviceMtu, queues } = hop;
  const { receive, segment, log } = options;
  // A frame must hold an Ethernet frame of the device's MTU behind the room that the kernel keeps.
  const isLarge = deviceMtu + ETHERNET_ROOM > receiveRoom({ frameSize: 2048 });
  const frameSize = isLarge ? 4096 : 2048;
  const queueCount = receive ? receiveQueueCount(name) : 0;
  const redirect = receive
    ? redirectPeers(
        { link, device: name, queueCount, frameSize: receiveRoom({ frameSize }) },
        options,
      )
    : undefined;
  const segmentation = segment ? trySegmentation(link, name, log) : undefined;
  const base = { link, name, queues, frameSize, redirect, segmentation, queueCount } as const;
  return { ...base, plans: [], sockets: [] };
}

/** Peers that the program has room for: where names come to stand for others, both are there for a moment. */
function peerRoom(records: RouterRecords): number {
  return records.length * 2 + LATER_PEERS;
}

/** Attaches the program that redirects the packets of all tunnels' peers. */
function redirectPeers(
  device: Omit<RedirectOptions, 'maxPeers'>,
  { records, log }: XdpPathOptions,
): Redirect {
  const redirect = openRedirect({ ...device, maxPeers: peerRoom(records) });
  if (redirect.mode === 'generic') {
    log.info(
      { event: 'xdp-generic', device: device.device },
      `${device.device}: its driver takes no XDP program (${redirect.genericCause}); the generic mode copies once more`,
    );
  }
  for (const record of records) {
    const peer = record && peerOf(record.tunnel);
    if (peer !== undefined) redirect.addPeer(peer);
  }
  return redirect;
}

function trySegmentation(link: number, device: string, log: Logger): Segmentation | undefined {
  try {
    return openSegmentation({ link, device });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.info(
      { event: 'segmentation-unavailable', device },
      `${error.message}; superpackets are split before they are sent`,
    );
    return undefined;
  }
}

/** A power of two, as the rings need it. */
function receiveFramesOf(queueCount: number): number {
  const share = 2 ** Math.floor(Math.log2(RECEIVE_FRAMES / queueCount));
  return Math.max(RECEIVE_FRAMES_MIN, share);
}

/** Whose packets the program takes for a tunnel; undefined for one that takes from anyone. */
function peerOf(tunnel: Tunnel): Peer | undefined {
  const { mode, local, remote } = tunnel;
  // What goes over UDP has sockets of the kernel, which merge and segment better than this could.
  if (mode === 'gre-udp' || local === 'any' || remote === 'any') return undefined;
  if (isToGroup(tunnel)) return undefined; // any member may send
  if (isName(remote)) return undefined;
  return { source: remote, destination: local, protocol: PROTOCOL_OF[mode] };
}

/** Those of all records, by what they say. */
function peersOf(records: RouterRecords): [string, Peer][] {
  return records.flatMap((record): [string, Peer][] => {
    const peer = record && peerOf(record.tunnel);
    return peer === undefined
      ? []
      : [[`${peer.source} ${peer.destination} ${peer.protocol}`, peer]];
  });
}

export class XdpPath {
  readonly #options: XdpPathOptions;
  #records: RouterRecords;
  /** Those that are about to have another remote. */
  #changing: ReadonlySet<number> = new Set();
  readonly #devices: readonly Device[];
  readonly #watch = new RouteWatch();
  #nextHopPlan: NextHopPlan | undefined;
  #nextHops: NextHopTable | undefined;
  #adjacencies: readonly Adjacency[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: XdpPathOptions, devices: readonly Device[]) {
    this.#options = options;
    this.#records = options.records;
    this.#devices = devices;
  }

  /** Whether received packets come by AF_XDP. */
  get receives(): boolean {
    return this.#options.receive;
  }

  /** Readable when `onChange` is to be called. */
  get watchFd(): number {
    return this.#watch.fd;
  }

  plan(reserve: Reserve): void {
    this.#nextHopPlan = planNextHops(reserve);
    for (const { plans, queueCount, frameSize } of this.#devices) {
      for (let queue = 0; queue < queueCount; queue++) {
        const receiveFrames = receiveFramesOf(queueCount);
        plans.push(planXsk(reserve, { receiveFrames, sendFrames: SEND_FRAMES, frameSize }));
      }
    }
  }

  /**
   * Opens the sockets over `memory`, and resolves next hops. A queue that cannot have a socket stays without; returns
   * false when some were to have one and none has.
   */
  async attach(memory: WebAssembly.Memory): Promise<boolean> {
    if (this.#nextHopPlan) this.#nextHops = new NextHopTable(memory, this.#nextHopPlan);
    for (const { link, name, plans, sockets, redirect } of this.#devices) {
      for (const [queue, plan] of plans.entries()) {
        try {
          const copy = redirect?.mode === 'generic';
          sockets[queue] = new Xsk({ memory, plan, device: name, link, queue, copy });
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#options.log.warn(
            { event: 'xdp-unavailable', device: name, queue },
            `${error.message}; raw sockets serve queue ${queue} of ${name}${error.hint ? ` (${error.hint})` : ''}`,
          );
        }
      }
    }
    const { receive } = this.#options;
    if (receive && !this.#devices.some(({ sockets }) => sockets.length > 0)) return false;
    await this.#refresh();
    this.#timer = setInterval(() => this.#watch.keepAlive(this.#adjacencies), KEEP_ALIVE_MS);
    this.#timer.unref();
    return true;
  }

  /** Lets frames go to the sockets, once the lanes work them. */
  start(): void {
    for (const { sockets, redirect } of this.#devices) {
      for (const [queue, socket] of sockets.entries()) {
        if (socket) redirect?.setSocket(queue, socket.fd);
      }
    }
  }

  /** The devices as lane `lane` of `laneCount` has them: every laneCount-th queue is its. */
  devicesOf(lane: number, laneCount: number): XdpDevice[] {
    return this.#devices.map(({ link, name, queues, sockets, segmentation }) => ({
      ...{ link, name, queues, segments: segmentation !== undefined },
      sockets: sockets.flatMap((socket, queue) =>
        socket && queue % laneCount === lane ? [socket.handle()] : [],
      ),
    }));
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
    const before = new Map(peersOf(this.#records));
    const after = new Map(peersOf(records));
    this.#changing = new Set([
      ...changedRecords(this.#records, records),
      ...unsharedRecords(this.#records, records),
    ]);
    for (const record of this.#changing) this.#nextHops?.set(record, undefined);
    try {
      await publish();
      this.#records = records;
      for (const { redirect } of this.#devices) {
        for (const [id, peer] of before) if (!after.has(id)) redirect?.removePeer(peer);
        for (const [id, peer] of after) if (!before.has(id)) this.#addPeer(redirect, peer);
      }
    } finally {
      this.#changing = new Set();
      await this.#refresh();
    }
  }

  #addPeer(redirect: Redirect | undefined, peer: Peer): void {
    try {
      redirect?.addPeer(peer);
    } catch (error) {
      const message = `packets of ${peer.source} come by raw sockets: ${String(error)}`;
      this.#options.log.warn({ event: 'xdp-unavailable' }, message);
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
      const device = this.#devices.findIndex(({ link }) => link === adjacency.link);
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
    for (const { sockets, redirect, segmentation } of this.#devices) {
      redirect?.close();
      segmentation?.close();
      for (const socket of sockets) socket?.close();
    }
  }
}
