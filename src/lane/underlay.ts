// The outer side of a lane, put together of what its tunnels need, and anew when they change.
//
//   raw or XDP   tunnels with a plain outer header; opened with the first of them
//   UDP          tunnels over UDP; opened with the first, closed with the last
//
// A socket that is open stays so as long as a tunnel needs it: what waits in it is not lost.
import type { Ring } from '../ring/ring.js';
import { close } from '../sys/libc.js';
import { CombinedUnderlay } from '../underlay/combined.js';
import type { KernelDrops, Underlay } from '../underlay/contract.js';
import { RawUnderlay } from '../underlay/raw/raw.js';
import { UdpUnderlay } from '../underlay/udp/udp.js';
import { type XdpDevice, XdpUnderlay } from '../underlay/xdp/xdp.js';
import type { LaneSockets, LaneStart } from './message.js';

export interface LaneUnderlayEvents {
  readonly onSuperpacketsRefused: (device: string) => void;
  readonly onSegmentationRefused: () => void;
}

type Start = Pick<LaneStart, 'memory' | 'lane' | 'laneCount' | 'xdp'> &
  Omit<LaneSockets, 'outerLengths'>;
type Plain = RawUnderlay | XdpUnderlay;

export class LaneUnderlay implements Underlay {
  readonly #start: Start;
  readonly #events: LaneUnderlayEvents;
  /** Device names by index, and the device of each record that is bound to one. */
  readonly links = new Map<number, string>();
  readonly #linkOfRecord = new Map<number, number>();
  #plain: Plain | undefined;
  #udp: UdpUnderlay | undefined;
  /** Of AF_XDP, by number. */
  readonly #devices: Map<number, XdpDevice>;
  /** What it was put together for. */
  #combined: Pick<LaneSockets, 'udp' | 'outerLengths'>;
  #current: Underlay;

  /** Opens the sockets. Throws a Failure when one cannot be had. */
  constructor(start: Start, events: LaneUnderlayEvents) {
    this.#start = start;
    this.#events = events;
    this.#devices = new Map(start.xdp?.devices.entries());
    const sockets = { ...start, outerLengths: start.xdp?.outerLengths ?? [] };
    this.#combined = sockets;
    try {
      this.#change(sockets);
      this.#current = this.#combine(sockets);
    } catch (error) {
      this.#plain?.close();
      this.#udp?.close();
      throw error;
    }
  }

  get name(): Underlay['name'] {
    return this.#current.name;
  }

  get fds(): readonly number[] {
    return this.#current.fds;
  }

  linkOf = (record: number): number => this.#linkOfRecord.get(record) ?? 0;

  /**
   * Has the sockets for other tunnels from here on. Returns the descriptors that are to be closed once nobody waits for
   * them. Throws a Failure when one cannot be had: to be called again then, with what it had before.
   */
  change(sockets: LaneSockets): number[] {
    const closing = this.#change(sockets);
    this.#combined = sockets;
    this.#current = this.#combine(sockets);
    return closing;
  }

  /**
   * Has another device of AF_XDP, or none any more, by a number. Its sockets are the router's. Throws a Failure when one of
   * ours cannot be had: there is none of that number then.
   */
  changeXdp(number: number, device: XdpDevice | undefined): void {
    this.#devices.delete(number);
    try {
      if (this.#plain instanceof XdpUnderlay) this.#plain.changeDevice(number, device);
      if (device !== undefined) this.#devices.set(number, device);
    } finally {
      this.#current = this.#combine(this.#combined);
    }
  }

  #change(sockets: LaneSockets): number[] {
    renew(this.links, sockets.links);
    renew(this.#linkOfRecord, sockets.linkOfRecord);
    return [...this.#changePlain(sockets), ...this.#changeUdp(sockets)];
  }

  #changePlain(sockets: LaneSockets): number[] {
    const { protocols, versions, udp } = sockets;
    const outerLengths = new Map(sockets.outerLengths);
    const groups = this.#ofOneLane(sockets.groups);
    const wanted = { protocols, versions, groups, links: this.links };
    if (this.#plain instanceof RawUnderlay) return this.#plain.change(wanted);
    if (this.#plain !== undefined) return this.#plain.change(wanted, outerLengths);
    const isAllUdp = protocols.length === 0 && this.#udpRecords(udp, outerLengths).size > 0;
    if (isAllUdp && this.#udpRecords(udp, outerLengths).size === udp.records.length) return [];
    const { memory, lane, laneCount, xdp } = this.#start;
    const { linkOf } = this;
    const raw = new RawUnderlay(memory, { ...wanted, linkOf, lane, laneCount });
    if (xdp === undefined) {
      this.#plain = raw;
    } else {
      const { onSuperpacketsRefused } = this.#events;
      const devices = this.#devices;
      this.#plain = new XdpUnderlay({ memory, raw, devices, outerLengths, onSuperpacketsRefused });
    }
    return [];
  }

  #changeUdp({ udp }: LaneSockets): number[] {
    if (udp.records.length === 0) {
      const closing = this.#udp?.change({ locals: [], groups: [], links: this.links }) ?? [];
      this.#udp = undefined;
      return closing;
    }
    const wanted = { locals: udp.locals, groups: this.#ofOneLane(udp.groups), links: this.links };
    if (this.#udp !== undefined) return this.#udp.change(wanted);
    const { memory, laneCount } = this.#start;
    const { onSegmentationRefused } = this.#events;
    const { linkOf } = this;
    const isShared = laneCount > 1;
    this.#udp = new UdpUnderlay(memory, { ...wanted, linkOf, isShared, onSegmentationRefused });
    return [];
  }

  /** What comes for a group comes once for the machine, and twice to two UDP sockets. */
  #ofOneLane(groups: LaneSockets['groups']): LaneSockets['groups'] {
    return this.#start.lane === 0 ? groups : [];
  }

  /** Where the kernel can segment behind a plain packet, all of the tunnel's leave as such: a flow keeps to one way. */
  #udpRecords(udp: LaneSockets['udp'], segmented: ReadonlyMap<number, number>): Set<number> {
    const isPlain = (record: number): boolean =>
      segmented.has(record) || udp.headed.includes(record);
    return new Set(udp.records.filter((record) => !isPlain(record)));
  }

  #combine({ udp, outerLengths }: Pick<LaneSockets, 'udp' | 'outerLengths'>): Underlay {
    if (this.#plain === undefined || this.#udp === undefined) {
      const only = this.#plain ?? this.#udp;
      if (only === undefined) throw new Error('a lane without an underlay');
      return only;
    }
    const records = this.#udpRecords(udp, new Map(outerLengths));
    return new CombinedUnderlay(this.#plain, this.#udp, (record) => records.has(record));
  }

  receive(ring: Ring, max: number): number {
    return this.#current.receive(ring, max);
  }

  release(ring: Ring, from: number, to: number): void {
    this.#current.release?.(ring, from, to);
  }

  keeps(record: number): number {
    return this.#current.keeps?.(record) ?? 0;
  }

  send(ring: Ring, from: number, to: number): void {
    this.#current.send(ring, from, to);
  }

  kernelDrops(): KernelDrops {
    return this.#current.kernelDrops?.() ?? {};
  }

  close(): void {
    this.#plain?.close();
    this.#udp?.close();
  }
}

/** Closes sockets that were opened for tunnels that are gone. */
export function closeSockets(fds: readonly number[]): void {
  for (const fd of fds) close(fd);
}

function renew<T>(map: Map<number, T>, entries: readonly (readonly [number, T])[]): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}
