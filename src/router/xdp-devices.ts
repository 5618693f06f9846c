// The network devices that have AF_XDP, by the numbers that lanes and next hops know them by. They come and go with the
// tunnels that use them, while packets pass: what has no AF_XDP, or not yet, goes by the raw sockets.
//
//   a device comes   programs on it, sockets over spare room of the memory, lanes take them, frames go to them
//   a device goes    frames pass to the kernel again, lanes let go of its sockets, these are closed, the room is spare
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type MemoryPlan, type Reserve, spanOf, withSpare } from '../ring/plan.js';
import { type Area, Room, sizeOf } from '../ring/room.js';
import { MAP_ALIGNMENT } from '../ring/xsk-plan.js';
import type { Hop } from '../sys/adjacency.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Peer } from '../underlay/xdp/redirect-program.js';
import type { XdpDevice } from '../underlay/xdp/xdp.js';
import type { RouterRecords } from './records.js';
import { openPathDevice, type PathDevice, type PathDeviceOptions } from './xdp-device.js';

/**
 * Room for devices that no tunnel used at the start: twelve with one queue, seven with four, three with eight; half as
 * many where their MTU is above 1,774. Address space alone until a device has it.
 */
const SPARE_SIZE = 256 << 20;
/** How long lanes have for what sockets hold that get no more frames. */
const DRAIN_MS = 20;

/** What is different for a lane: another device of a number, or none any more. */
export interface XdpChange {
  readonly number: number;
  readonly device: XdpDevice | undefined;
}

/** Tells all lanes. Rejects with a Failure when one cannot. */
export type TellLanes = (of: (lane: number) => XdpChange) => Promise<void>;

/** Who is to know of a change, and what packets there are. */
export interface Following {
  readonly records: RouterRecords;
  readonly laneCount: number;
  readonly tell: TellLanes;
}

/** A device with its part of the memory. */
interface Placed {
  readonly device: PathDevice;
  readonly area: Area;
}

export class XdpDevices {
  readonly #options: PathDeviceOptions;
  /** Those of the start. */
  readonly #first: readonly PathDevice[];
  /** By number. */
  readonly #placed: (Placed | undefined)[] = [];
  #from = 0;
  #room: Room | undefined;
  #memory: WebAssembly.Memory | undefined;
  /** Links of those that are known to go without. */
  readonly #without = new Set<number>();

  constructor(first: readonly PathDevice[], options: PathDeviceOptions) {
    this.#first = first;
    this.#options = options;
  }

  /** Reserves what the devices of the start need: the last of all reservations. */
  plan(reserve: Reserve): void {
    const size = this.#first.reduce((sum, device) => sum + sizeOf((to) => device.plan(to)), 0);
    this.#from = reserve(size, MAP_ALIGNMENT);
  }

  /** The plan that came of it, with spare room for more. */
  withSpare(plan: MemoryPlan): MemoryPlan {
    const larger = this.#options.receive ? withSpare(plan, SPARE_SIZE) : plan;
    this.#room = new Room(this.#from, spanOf(larger));
    return larger;
  }

  /** Opens the sockets of the devices of the start. Returns false when some were to have one and none has. */
  open(memory: WebAssembly.Memory): boolean {
    this.#memory = memory;
    const opened = this.#first.map((device, number) => {
      const { placed, isOpen } = this.#place(device);
      this.#placed[number] = placed;
      return isOpen;
    });
    return opened.includes(true);
  }

  /** Lets frames go to the sockets. */
  start(): void {
    for (const placed of this.#placed) placed?.device.start();
  }

  /** The number of the device with index `link`, -1: it has no AF_XDP. */
  numberOf(link: number): number {
    return this.#placed.findIndex((placed) => placed?.device.link === link);
  }

  /** The devices as lane `lane` of `laneCount` begins with them. */
  of(lane: number, laneCount: number): XdpDevice[] {
    return this.#placed.flatMap((placed) => placed?.device.of(lane, laneCount) ?? []);
  }

  changePeers(before: ReadonlyMap<string, Peer>, after: ReadonlyMap<string, Peer>): void {
    for (const placed of this.#placed) {
      for (const [id, peer] of before) if (!after.has(id)) placed?.device.removePeer(peer);
      for (const [id, peer] of after) if (!before.has(id)) placed?.device.addPeer(peer);
    }
  }

  /** Lets go of the devices that are not among `hops`; no next hop names them. Rejects when a lane does not answer. */
  async drop(hops: readonly Hop[], tell: TellLanes): Promise<void> {
    const links = new Set(hops.map(({ link }) => link));
    for (const link of this.#without) if (!links.has(link)) this.#without.delete(link);
    for (const [number, placed] of this.#placed.entries()) {
      if (placed === undefined || links.has(placed.device.link)) continue;
      const { device, area } = placed;
      this.#placed[number] = undefined;
      device.stopReceiving();
      await pause(DRAIN_MS);
      await tell(() => ({ number, device: undefined }));
      device.close();
      this.#room?.giveBack(area);
      const message = `no tunnel goes by ${device.name} any more: it is without AF_XDP`;
      this.#options.log.info({ event: 'xdp-released', device: device.name }, message);
    }
  }

  /**
   * Has AF_XDP on those of `hops` that have none yet, where it can be had; where not, the log says why. Returns whether
   * there is one more. Rejects when a lane does not answer.
   */
  async add(hops: readonly Hop[], following: Following): Promise<boolean> {
    const { log } = this.#options;
    let isMore = false;
    for (const hop of hops.filter(({ link }) => this.numberOf(link) < 0)) {
      const { link, device: name } = hop;
      try {
        await this.#addOne(hop, following);
        isMore = true;
        this.#without.delete(link);
        log.info({ event: 'xdp-added', device: name }, `packets go by AF_XDP on ${name}, too`);
      } catch (error) {
        if (!this.#without.has(link)) warnOfRaw(name, error, log);
        this.#without.add(link);
      }
    }
    return isMore;
  }

  async #addOne(hop: Hop, { records, laneCount, tell }: Following): Promise<void> {
    const device = openPathDevice(hop, records, this.#options);
    const free = this.#placed.indexOf(undefined);
    const number = free < 0 ? this.#placed.length : free;
    let placed: Placed | undefined;
    try {
      const opened = this.#place(device);
      placed = opened.placed;
      if (!opened.isOpen)
        throw new Failure(EXIT.kernelRefused, `${device.name}: no queue has AF_XDP`);
      await tell((lane) => ({ number, device: device.of(lane, laneCount) }));
    } catch (error) {
      await tell(() => ({ number, device: undefined }));
      device.close();
      if (placed !== undefined) this.#room?.giveBack(placed.area);
      throw error;
    }
    this.#placed[number] = placed;
    device.start();
  }

  /** Throws a Failure when there is no room. */
  #place(device: PathDevice): { readonly placed: Placed; readonly isOpen: boolean } {
    const taken = this.#room?.take((reserve) => device.plan(reserve));
    if (taken === undefined || this.#memory === undefined) {
      throw new Failure(
        EXIT.failed,
        `the memory for AF_XDP has no room left for ${device.name}`,
        'a restart makes room for all devices that tunnels use then',
      );
    }
    const isOpen = device.open(this.#memory, taken.plan);
    return { placed: { device, area: taken.area }, isOpen };
  }

  close(): void {
    for (const device of this.#first) device.close();
    for (const placed of this.#placed) placed?.device.close();
  }
}

/** Says why a device goes without AF_XDP. Throws what is no Failure. */
export function warnOfRaw(device: string, error: unknown, log: Logger): void {
  if (!(error instanceof Failure)) throw error;
  log.warn(
    { event: 'xdp-unavailable', device },
    `${error.message}; raw sockets serve ${device}${error.hint ? ` (${error.hint})` : ''}`,
  );
}
