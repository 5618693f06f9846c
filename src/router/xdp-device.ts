// One network device that tunnels leave by: a program on it that takes the packets of their peers, a socket of AF_XDP on
// each of its queues, and what lets the kernel segment superpackets on their way out.
//
//   1. openPathDevice   the programs; no frame goes anywhere else yet
//   2. plan             what the sockets need of the dataplane's memory
//   3. open             the sockets, over that memory
//   4. start            frames go to the sockets: the lanes work them
//   5. stopReceiving    frames pass to the kernel again, the sockets keep what they have
//   6. close            once no lane works them
import type { Logger } from 'pino';
import { isName } from '../config/host-name.js';
import { PROTOCOL_OF } from '../packet/outer-header.js';
import { isToGroup } from '../packet/table.js';
import type { Tunnel } from '../packet/tunnel.js';
import type { Reserve } from '../ring/plan.js';
import { planXsk, receiveRoom, type XskPlan } from '../ring/xsk-plan.js';
import type { Hop } from '../sys/adjacency.js';
import { receiveQueueCount } from '../sys/channels.js';
import { Failure } from '../sys/failure.js';
import {
  openSegmentation,
  type Segmentation,
} from '../underlay/packet-socket/segmentation-program.js';
import {
  openRedirect,
  type Peer,
  type Redirect,
  type RedirectOptions,
} from '../underlay/xdp/redirect-program.js';
import type { XdpDevice } from '../underlay/xdp/xdp.js';
import { Xsk } from '../underlay/xdp/xsk.js';
import type { RouterRecords } from './records.js';

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
/** Peers of tunnels that are added while the program is there; more come by the raw sockets. */
const LATER_PEERS = 256;

export interface PathDeviceOptions {
  /** Whether received packets come by AF_XDP; otherwise superpackets leave past the IP stack and nothing else. */
  readonly receive: boolean;
  /** Whether superpackets may be segmented by the kernel. */
  readonly segment: boolean;
  readonly log: Logger;
}

/** Puts the programs on a device. Throws a Failure, with nothing left behind, when it cannot have them. */
export function openPathDevice(
  hop: Hop,
  records: RouterRecords,
  options: PathDeviceOptions,
): PathDevice {
  return new PathDevice(hop, records, options);
}

export class PathDevice {
  readonly link: number;
  readonly name: string;
  readonly #queues: boolean;
  readonly #queueCount: number;
  readonly #frameSize: 2048 | 4096;
  readonly #log: Logger;
  readonly #redirect: Redirect | undefined;
  readonly #segmentation: Segmentation | undefined;
  /** By queue. */
  #sockets: readonly (Xsk | undefined)[] = [];

  constructor(hop: Hop, records: RouterRecords, { receive, segment, log }: PathDeviceOptions) {
    const { link, device: name, deviceMtu, queues } = hop;
    this.link = link;
    this.name = name;
    this.#queues = queues;
    this.#log = log;
    // A frame must hold an Ethernet frame of the device's MTU behind the room that the kernel keeps.
    const isLarge = deviceMtu + ETHERNET_ROOM > receiveRoom({ frameSize: 2048 });
    const frameSize = isLarge ? 4096 : 2048;
    this.#frameSize = frameSize;
    this.#queueCount = receive ? receiveQueueCount(name) : 0;
    const room = { queueCount: this.#queueCount, frameSize: receiveRoom({ frameSize }) };
    this.#redirect = receive
      ? redirectPeers({ link, device: name, ...room }, records, log)
      : undefined;
    this.#segmentation = segment ? trySegmentation(link, name, log) : undefined;
  }

  /** Reserves what the sockets need. */
  plan(reserve: Reserve): XskPlan[] {
    const receiveFrames = receiveFramesOf(this.#queueCount);
    const size = { receiveFrames, sendFrames: SEND_FRAMES, frameSize: this.#frameSize };
    return Array.from({ length: this.#queueCount }, () => planXsk(reserve, size));
  }

  /**
   * Opens the sockets. A queue that cannot have one stays without; returns false when some were to have one and none
   * has.
   */
  open(memory: WebAssembly.Memory, plans: readonly XskPlan[]): boolean {
    this.#sockets = plans.map((plan, queue) => this.#openSocket(memory, plan, queue));
    return plans.length === 0 || this.#sockets.some((socket) => socket !== undefined);
  }

  #openSocket(memory: WebAssembly.Memory, plan: XskPlan, queue: number): Xsk | undefined {
    const { link, name } = this;
    try {
      const copy = this.#redirect?.mode === 'generic';
      return new Xsk({ memory, plan, device: name, link, queue, copy });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#log.warn(
        { event: 'xdp-unavailable', device: name, queue },
        `${error.message}; raw sockets serve queue ${queue} of ${name}${error.hint ? ` (${error.hint})` : ''}`,
      );
      return undefined;
    }
  }

  /** Lets frames go to the sockets. */
  start(): void {
    for (const [queue, socket] of this.#sockets.entries()) {
      if (socket) this.#redirect?.setSocket(queue, socket.fd);
    }
  }

  /** The device as lane `lane` of `laneCount` has it: every laneCount-th queue is its. */
  of(lane: number, laneCount: number): XdpDevice {
    const sockets = this.#sockets.flatMap((socket, queue) =>
      socket && queue % laneCount === lane ? [socket.handle()] : [],
    );
    const { link, name } = this;
    return {
      link,
      name,
      queues: this.#queues,
      segments: this.#segmentation !== undefined,
      sockets,
    };
  }

  addPeer(peer: Peer): void {
    try {
      this.#redirect?.addPeer(peer);
    } catch (error) {
      const message = `packets of ${peer.source} come by raw sockets: ${String(error)}`;
      this.#log.warn({ event: 'xdp-unavailable', device: this.name }, message);
    }
  }

  removePeer(peer: Peer): void {
    this.#redirect?.removePeer(peer);
  }

  stopReceiving(): void {
    this.#redirect?.close();
  }

  /** Idempotent. */
  close(): void {
    this.#redirect?.close();
    this.#segmentation?.close();
    for (const socket of this.#sockets) socket?.close();
  }
}

/** Peers that the program has room for: where names come to stand for others, both are there for a moment. */
function peerRoom(records: RouterRecords): number {
  return records.length * 2 + LATER_PEERS;
}

/** Attaches the program that redirects the packets of all tunnels' peers. */
function redirectPeers(
  device: Omit<RedirectOptions, 'maxPeers'>,
  records: RouterRecords,
  log: Logger,
): Redirect {
  const redirect = openRedirect({ ...device, maxPeers: peerRoom(records) });
  if (redirect.mode === 'generic') {
    log.info(
      { event: 'xdp-generic', device: device.device },
      `${device.device}: its driver takes no XDP program (${redirect.genericCause}); the generic mode copies once more`,
    );
  }
  for (const peer of peersOf(records).values()) redirect.addPeer(peer);
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
export function peersOf(records: RouterRecords): Map<string, Peer> {
  return new Map(
    records.flatMap((record): [string, Peer][] => {
      const peer = record && peerOf(record.tunnel);
      return peer === undefined
        ? []
        : [[`${peer.source} ${peer.destination} ${peer.protocol}`, peer]];
    }),
  );
}
