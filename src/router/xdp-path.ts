// What the XDP underlay needs of the main thread: programs on the devices, sockets on their queues, next hops.
//
//   1. openXdpPath    the devices that packets to the remotes leave by; a program on each, or the reason why not
//   2. plan           room in the dataplane's memory for the sockets of every lane, and for the next hops
//   3. attach         sockets opened and named to the programs; next hops resolved
//   4. refresh        next hops resolved again, whenever the network changed
//
// Nothing here touches a packet. Programs and sockets are held by descriptors: also after kill -9 nothing stays.
import type { Logger } from 'pino';
import type { XdpDeviceStart } from '../lane/message.js';
import { overhead, type Tunnel } from '../packet/tunnel.js';
import type { Reserve } from '../ring/plan.js';
import { planXsk, receiveRoom, type XskPlan } from '../ring/xsk-plan.js';
import { receiveQueueCount } from '../sys/channels.js';
import { Failure } from '../sys/failure.js';
import { PROTOCOL } from '../tunnel/record.js';
import { type NextHopPlan, NextHopTable, planNextHops } from '../tunnel/next-hops.js';
import { openRedirect, type Peer, type Redirect } from '../underlay/redirect-program.js';
import { openSegmentation, type Segmentation } from '../underlay/segmentation-program.js';
import { Xsk } from '../underlay/xsk.js';
import { type Adjacency, resolveAdjacencies } from './adjacency.js';

/** Frames of a socket: half to receive into, half to send from. Two full batches of every flow that matters. */
const FRAME_COUNT = 4096;
const RING_COUNT = 2048;
/** Outer headers that the kernel can segment behind: IPv4, with GRE, with a key. */
const SEGMENTED: readonly number[] = [20, 24, 28];

interface Device {
  readonly link: number;
  readonly name: string;
  readonly queues: boolean;
  readonly queueCount: number;
  readonly frameSize: 2048 | 4096;
  readonly redirect: Redirect;
  readonly segmentation: Segmentation | undefined;
  /** By queue. */
  readonly plans: XskPlan[];
  readonly sockets: (Xsk | undefined)[];
}

/** Opens what the XDP underlay needs. Undefined when no device can have it; the log then says why. */
export async function openXdpPath(
  tunnels: readonly Tunnel[],
  paths: readonly { readonly remote: string; readonly dev?: string | undefined }[],
  log: Logger,
): Promise<XdpPath | undefined> {
  const adjacencies = await resolveAdjacencies(paths);
  const links = new Map<number, Adjacency>();
  for (const adjacency of adjacencies) if (adjacency) links.set(adjacency.link, adjacency);
  const devices: Device[] = [];
  for (const { link, device, mtu, queues } of links.values()) {
    try {
      devices.push(openDevice({ link, name: device, mtu, queues }, tunnels, log));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.warn({ event: 'xdp-unavailable', device }, `${error.message}; ${device} is served by raw sockets`);
    }
  }
  return devices.length === 0 ? undefined : new XdpPath(tunnels, paths, devices, log);
}

function openDevice(
  { link, name, mtu, queues }: { link: number; name: string; mtu: number; queues: boolean },
  tunnels: readonly Tunnel[],
  log: Logger,
): Device {
  const queueCount = receiveQueueCount(name);
  // The frame must hold an Ethernet frame of the device's MTU behind the room that the kernel keeps.
  const frameSize = mtu + 18 <= receiveRoom({ frameSize: 2048 }) ? 2048 : 4096;
  const redirect = openRedirect({
    ...{ link, device: name, queueCount },
    frameSize: receiveRoom({ frameSize }),
    maxPeers: Math.max(1, tunnels.length),
  });
  if (redirect.mode === 'generic') {
    log.info(
      { event: 'xdp-generic', device: name },
      `${name}: the driver takes no XDP program (${redirect.genericCause}); the generic mode copies once more`,
    );
  }
  for (const tunnel of tunnels) {
    const peer = peerOf(tunnel);
    if (peer !== undefined) redirect.addPeer(peer);
  }
  let segmentation: Segmentation | undefined;
  try {
    segmentation = openSegmentation({ link, device: name });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.info(
      { event: 'segmentation-unavailable', device: name },
      `${error.message}; superpackets are split before they are sent`,
    );
  }
  return { ...{ link, name, queues, queueCount, frameSize, redirect, segmentation }, plans: [], sockets: [] };
}

/** Whose packets the program takes for a tunnel; undefined for one that takes from anyone. */
function peerOf({ mode, local, remote }: Tunnel): Peer | undefined {
  if (local === 'any' || remote === 'any') return undefined;
  return { source: remote, destination: local, protocol: PROTOCOL[mode] };
}

export class XdpPath {
  readonly #tunnels: readonly Tunnel[];
  readonly #paths: readonly { readonly remote: string; readonly dev?: string | undefined }[];
  readonly #devices: readonly Device[];
  readonly #log: Logger;
  #nextHopPlan: NextHopPlan | undefined;
  #nextHops: NextHopTable | undefined;

  constructor(
    tunnels: readonly Tunnel[],
    paths: readonly { readonly remote: string; readonly dev?: string | undefined }[],
    devices: readonly Device[],
    log: Logger,
  ) {
    this.#tunnels = tunnels;
    this.#paths = paths;
    this.#devices = devices;
    this.#log = log;
  }

  plan(reserve: Reserve): void {
    this.#nextHopPlan = planNextHops(reserve);
    for (const { plans, queueCount, frameSize } of this.#devices) {
      for (let queue = 0; queue < queueCount; queue++) {
        plans.push(
          planXsk(reserve, { frameCount: FRAME_COUNT, frameSize, ringCount: RING_COUNT }),
        );
      }
    }
  }

  /** Opens the sockets over `memory` and names them to the programs. A queue that cannot have one stays without. */
  attach(memory: WebAssembly.Memory): void {
    if (this.#nextHopPlan) this.#nextHops = new NextHopTable(memory, this.#nextHopPlan);
    for (const { link, name, plans, sockets, redirect } of this.#devices) {
      for (const [queue, plan] of plans.entries()) {
        try {
          const copy = redirect.mode === 'generic';
          sockets[queue] = new Xsk({ memory, plan, device: name, link, queue, copy });
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#log.warn(
            { event: 'xdp-unavailable', device: name, queue },
            `${error.message}; queue ${queue} of ${name} is served by raw sockets`,
          );
        }
      }
    }
  }

  /** Lets frames go to the sockets, once the lanes work them. */
  start(): void {
    for (const { sockets, redirect } of this.#devices) {
      for (const [queue, socket] of sockets.entries()) {
        if (socket) redirect.setSocket(queue, socket.fd);
      }
    }
  }

  /** The devices as lane `lane` of `laneCount` has them: every laneCount-th queue is its. */
  devicesOf(lane: number, laneCount: number): XdpDeviceStart[] {
    return this.#devices.map(({ link, name, queues, sockets, segmentation }) => ({
      ...{ link, name, queues, segments: segmentation !== undefined },
      sockets: sockets.flatMap((socket, queue) =>
        socket && queue % laneCount === lane ? [socket.handle()] : [],
      ),
    }));
  }

  /** Records whose superpackets the kernel can segment, with the length of their outer header. */
  segmentedRecords(): [number, number][] {
    return this.#tunnels.flatMap((tunnel, index): [number, number][] => {
      const length = overhead(tunnel);
      const isNumbered = tunnel.mode === 'gre' && (tunnel.sequenceOut || tunnel.checksumOut);
      return isNumbered || !SEGMENTED.includes(length) ? [] : [[index + 1, length]];
    });
  }

  /** Resolves all next hops again. */
  async refresh(): Promise<void> {
    const adjacencies = await resolveAdjacencies(this.#paths);
    for (const [index, adjacency] of adjacencies.entries()) {
      const device = this.#devices.findIndex(({ link }) => link === adjacency?.link);
      const { source, destination } = adjacency ?? {};
      const isKnown = device >= 0 && source !== undefined && destination !== undefined;
      this.#nextHops?.set(index + 1, isKnown ? { device, source, destination } : undefined);
    }
  }

  close(): void {
    for (const { sockets, redirect, segmentation } of this.#devices) {
      redirect.close();
      segmentation?.close();
      for (const socket of sockets) socket?.close();
    }
  }
}
