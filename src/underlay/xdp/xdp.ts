// The underlay over AF_XDP: received packets stay in the frames that the kernel wrote them to, which lie in
// the dataplane's memory; sent ones leave past the IP stack, behind an Ethernet header of our own.
//
//   receive   AF_XDP sockets, one for each queue of a device; and the raw sockets, which get what the program on
//             the device passes on: fragments, tagged frames, tunnels to any remote
//   send      by the next hop of the tunnel:
//               not known        raw socket: the kernel finds it, and asks for its Ethernet address
//               above its MTU    raw socket: the kernel refuses it, or sends fragments
//               superpacket      packet socket: the kernel segments it behind us
//               anything else    AF_XDP, where the lane has a socket on that device, else the raw socket; a packet
//                                socket where it is above a frame, or the device has a queue that superpackets wait in
//
// The raw sockets never close, so what AF_XDP cannot do is done all the same.
import {
  ADJACENCY_DEVICE,
  ADJACENCY_MTU,
  CONTROL_NEXT_HOPS,
  MERGE_TCP,
  MERGE_UDP,
} from '../../../asm/layout.js';
import { REASON_NO_ROUTE, REASON_NONE } from '../../../asm/reason.js';
import type { Ring } from '../../ring/ring.js';
import type { KernelDrops, Underlay } from '../contract.js';
import { addKernelDrops, xdpDrops } from '../kernel-drops.js';
import { PacketSender } from '../packet-socket/sender.js';
import type { RawSockets, RawUnderlay } from '../raw/raw.js';
import { SendRoom } from '../send-room.js';
import { kick, wakeReceive, type XskHandle } from './xsk.js';
import { openXdpModule, writeXskBlock, type XdpModule } from './xsk-rings.js';

/** A device as a lane has it. */
export interface XdpDevice {
  /** Index and name. */
  readonly link: number;
  readonly name: string;
  /** This lane's sockets on it: those of its queues. */
  readonly sockets: readonly XskHandle[];
  /** Whether superpackets may leave by it: segmentation-program.ts is attached. */
  readonly segments: boolean;
  /** Whether it queues packets, so that what does not pass its queue would overtake what does. */
  readonly queues: boolean;
}

export interface XdpUnderlayOptions {
  readonly memory: WebAssembly.Memory;
  /** Takes what the others do not. Closed with this underlay. */
  readonly raw: RawUnderlay;
  /** By number, as next hops name them. */
  readonly devices: ReadonlyMap<number, XdpDevice>;
  /** Length of the outer header by record, for tunnels whose superpackets the kernel can segment. */
  readonly outerLengths: ReadonlyMap<number, number>;
  /** Told once a device when its kernel could not segment a superpacket; they are split before from there on. */
  readonly onSuperpacketsRefused: (device: string) => void;
}

/** Ways out: the raw socket, then two a device. */
const RAW = 0;
const BY_XSK = 1;
const BY_PACKET = 2;

const ETHERNET_LENGTH = 14;

/** Kicks in a row that may end with "again" before the rest waits for the next batch. */
const KICK_TRIES = 4;

export class XdpUnderlay implements Underlay {
  readonly name = 'xdp';
  readonly #raw: RawUnderlay;
  readonly #memory: WebAssembly.Memory;
  readonly #module: XdpModule;
  readonly #words: Uint32Array;
  readonly #devices: (OpenDevice | undefined)[] = [];
  readonly #onSuperpacketsRefused: (device: string) => void;
  #sockets: readonly XskHandle[] = [];
  /** What the kernel dropped at sockets that are gone. */
  #goneDrops: KernelDrops = {};
  #outerLengths: ReadonlyMap<number, number>;
  readonly #nextHops: number;
  readonly #room = new SendRoom();
  #turn = 0;

  constructor(options: XdpUnderlayOptions) {
    const { memory, raw, devices, outerLengths } = options;
    this.#raw = raw;
    this.#memory = memory;
    this.#onSuperpacketsRefused = options.onSuperpacketsRefused;
    this.#module = openXdpModule(memory);
    this.#words = new Uint32Array(memory.buffer);
    this.#outerLengths = outerLengths;
    this.#nextHops = (this.#words[CONTROL_NEXT_HOPS >>> 2] as number) >>> 2;
    try {
      for (const [number, device] of devices) this.changeDevice(number, device);
    } catch (error) {
      for (const device of this.#devices) device?.sender.close();
      throw error;
    }
  }

  get fds(): readonly number[] {
    return [...this.#raw.fds, ...this.#sockets.map(({ fd }) => fd)];
  }

  /** As `RawUnderlay.change`. `outerLengths` as it was opened with. */
  change(sockets: RawSockets, outerLengths: ReadonlyMap<number, number>): number[] {
    for (const device of this.#devices) {
      if (device?.mayKeep) device.sender.change(outerLengths);
    }
    this.#outerLengths = outerLengths;
    return this.#raw.change(sockets);
  }

  /**
   * Works the sockets of another device from here on, or of none: between two batches. Those of the device that had the
   * number are the caller's to close. Throws a Failure when a socket cannot be had: the number has no device then.
   */
  changeDevice(number: number, device: XdpDevice | undefined): void {
    const before = this.#devices[number];
    this.#devices[number] = undefined;
    if (before !== undefined) {
      const drops = xdpDrops(before.sockets.map(({ fd }) => fd));
      this.#goneDrops = addKernelDrops([this.#goneDrops, drops]);
      before.sender.close();
    }
    if (device !== undefined) this.#devices[number] = this.#open(device);
    this.#sockets = this.#devices.flatMap((one) => one?.sockets ?? []);
  }

  keeps(record: number): number {
    if (!this.#outerLengths.has(record)) return 0;
    const device = this.#deviceOf(record);
    return device?.segments ? MERGE_TCP | MERGE_UDP : 0;
  }

  receive(ring: Ring, max: number): number {
    // Begins with another socket each time, so that a flood at one leaves room for the others.
    const count = this.#sockets.length + 1;
    const first = this.#turn++;
    let total = 0;
    for (let n = 0; n < count && total < max; n++) {
      const socket = this.#sockets[(first + n) % count];
      total += socket
        ? this.#receiveFrom(socket, ring, max - total)
        : this.#raw.receive(ring, max - total);
    }
    return total;
  }

  release(ring: Ring, from: number, to: number): void {
    for (const { fd, plan } of this.#sockets) {
      const count = this.#module.releaseSlots(plan.block, ring.address, from, to);
      if (count > 0 && this.#module.needsReceiveWakeup(plan.block) !== 0) wakeReceive(fd);
    }
  }

  send(ring: Ring, from: number, to: number): void {
    this.#room.begin();
    let position = from;
    while (position !== to) {
      const way = this.#wayOf(ring, position);
      let end = (position + 1) >>> 0;
      while (end !== to && this.#wayOf(ring, end) === way) end = (end + 1) >>> 0;
      this.#sendBy(way, ring, position, end);
      position = end;
    }
  }

  kernelDrops(): KernelDrops {
    const drops = xdpDrops(this.#sockets.map(({ fd }) => fd));
    return { ...this.#raw.kernelDrops(), ...addKernelDrops([this.#goneDrops, drops]) };
  }

  close(): void {
    for (const device of this.#devices) device?.sender.close();
    this.#raw.close();
  }

  #open(device: XdpDevice): OpenDevice {
    const memory = this.#memory;
    const { link, name, sockets, queues, segments } = device;
    for (const { plan, rings } of sockets) {
      writeXskBlock(memory, plan, rings, link);
      this.#module.initialise(plan.block, plan.receiveFrames);
    }
    const frameSize = sockets[0]?.plan.frameSize ?? ETHERNET_LENGTH;
    const sender = new PacketSender({
      ...{ memory, link, device: name },
      outerLengths: segments ? this.#outerLengths : new Map(),
      adjacency: (record) => this.#adjacency(record),
      onRefused: () => {
        if (!opened.segments) return;
        opened.segments = false;
        this.#onSuperpacketsRefused(name);
      },
    });
    const longest = frameSize - ETHERNET_LENGTH;
    const opened: OpenDevice = { sender, sockets, queues, segments, longest, mayKeep: segments };
    return opened;
  }

  #receiveFrom({ plan }: XskHandle, ring: Ring, max: number): number {
    const first = ring.filled;
    const room = Math.min(max, ring.reserve());
    const count = this.#module.receiveSlots(plan.block, ring.address, room);
    const end = plan.umem + plan.frameCount * plan.frameSize;
    for (let n = 0; n < count; n++) {
      ring.placeInFrame((first + n) >>> 0, plan.umem, end, plan.frameSize);
    }
    ring.publish(count);
    return count;
  }

  #adjacency(record: number): number {
    return Atomics.load(this.#words, this.#nextHops + record);
  }

  #deviceOf(record: number): OpenDevice | undefined {
    const adjacency = this.#adjacency(record);
    if (adjacency === 0) return undefined;
    return this.#devices[this.#words[(adjacency + ADJACENCY_DEVICE) >>> 2] as number];
  }

  /** How the packet at `position` leaves: RAW, or number of the device * 2 + BY_XSK or BY_PACKET. */
  #wayOf(ring: Ring, position: number): number {
    const adjacency = this.#adjacency(ring.tunnel(position));
    if (adjacency === 0) return RAW;
    const number = this.#words[(adjacency + ADJACENCY_DEVICE) >>> 2] as number;
    const device = this.#devices[number];
    if (device === undefined) return RAW;
    if (ring.packets(position) > 1) return number * 2 + BY_PACKET;
    if (device.sockets.length === 0) return RAW;
    const length = ring.length(position) + ring.payloadLength(position);
    if (length > (this.#words[(adjacency + ADJACENCY_MTU) >>> 2] as number)) return RAW;
    const isXsk = !device.queues && length <= device.longest;
    return number * 2 + (isXsk ? BY_XSK : BY_PACKET);
  }

  #sendBy(way: number, ring: Ring, from: number, to: number): void {
    const device = this.#devices[(way - 1) >> 1];
    const socket = device?.sockets[0];
    if (way === RAW || device === undefined) {
      this.#dropSuperpackets(ring, from, to);
      this.#raw.send(ring, from, to);
    } else if ((way - 1) % 2 === BY_PACKET - 1 || socket === undefined) {
      device.sender.send(ring, from, to);
    } else if (this.#module.transmitSlots(socket.plan.block, ring.address, from, to) > 0) {
      this.#kick(socket);
    }
  }

  /** The way that would have taken them whole was lost since they were read; the raw socket cannot split them. */
  #dropSuperpackets(ring: Ring, from: number, to: number): void {
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      if (ring.packets(position) === 1 || ring.reason(position) !== REASON_NONE) continue;
      ring.setReason(position, REASON_NO_ROUTE);
    }
  }

  /** Lets the kernel send what is in the transmit ring; what it does not take now goes with a later batch. */
  #kick(socket: XskHandle): void {
    for (let tries = 0; tries < KICK_TRIES; tries++) {
      if (kick(socket.fd) !== 'again') return;
      this.#module.complete(socket.plan.block);
      if (!this.#room.wait(socket.fd)) return;
    }
  }
}

interface OpenDevice extends Pick<XdpDevice, 'sockets' | 'queues'> {
  readonly sender: PacketSender;
  /** Longest packet that a frame has room for, 0 without a socket. */
  readonly longest: number;
  /** Whether superpackets were ever to leave by it. */
  readonly mayKeep: boolean;
  segments: boolean;
}
