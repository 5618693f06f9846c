// One end of a cable between two AF_XDP sockets: a socket, a lane's rings, and packets that know their number.
import assert from 'node:assert/strict';
import { XDP_FREE_COUNT } from '../../asm/xdp-layout.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';
import { planXsk, receiveRoom, type XskPlan } from '../../src/ring/xsk-plan.js';
import { interfaceIndex } from '../../src/sys/libc.js';
import { type NextHopPlan, NextHopTable, planNextHops } from '../../src/tunnel/next-hops.js';
import { openRedirect, type Redirect } from '../../src/underlay/xdp/redirect-program.js';
import { Xsk } from '../../src/underlay/xdp/xsk.js';
import { openXdpModule, writeXskBlock, type XdpModule } from '../../src/underlay/xdp/xsk-rings.js';
import { ipv4 } from './packets.js';

export const SIZE = { receiveFrames: 128, sendFrames: 128, frameSize: 2048 } as const;
export const RECEIVE_FRAMES = SIZE.receiveFrames;
export const SEND_FRAMES = SIZE.sendFrames;
/** Room that nobody may write to, in front of the areas of each socket and behind the last. */
export const CANARY_SIZE = 65536;
export const CANARY = 0xa5;
export const RECORD = 7;
export const ETHERNET_LENGTH = 14;
const SOURCE = Uint8Array.of(2, 0, 0, 0, 0, 1);
const DESTINATION = Uint8Array.of(2, 0, 0, 0, 0, 2);

export const plans: XskPlan[] = [];
export const canaries: number[] = [];
let nextHopPlan: NextHopPlan | undefined;
export const memoryPlan = planMemory(2, (reserve) => {
  nextHopPlan = planNextHops(reserve);
  for (let n = 0; n < 2; n++) {
    canaries.push(reserve(CANARY_SIZE, 65536));
    plans.push(planXsk(reserve, SIZE));
  }
  canaries.push(reserve(CANARY_SIZE, 1));
});
export const memory = createMemory(memoryPlan);
export const bytes = new Uint8Array(memory.buffer);
export const words = new Uint32Array(memory.buffer);
export const view = new DataView(memory.buffer);
assert.ok(nextHopPlan);
const nextHops = new NextHopTable(memory, nextHopPlan);
nextHops.set(RECORD, {
  ...{ version: 4, device: 0, mtu: 1500 },
  ...{ source: SOURCE, destination: DESTINATION },
});

/** One end of the cable: a socket and a lane's rings. */
export class End {
  readonly module: XdpModule;
  readonly xsk: Xsk;
  readonly link: number;
  readonly encap: Ring;
  readonly decap: Ring;
  readonly #redirect: Redirect;

  constructor(
    readonly plan: XskPlan,
    lane: number,
    device: string,
  ) {
    this.link = interfaceIndex(device);
    const queue = { queueCount: 1, frameSize: receiveRoom(SIZE), maxPeers: 4 };
    this.#redirect = openRedirect({ link: this.link, device, ...queue });
    this.xsk = new Xsk({ memory, plan: this.plan, device, link: this.link, queue: 0 });
    this.#redirect.setSocket(0, this.xsk.fd);
    this.#redirect.addPeer({ source: '192.0.2.1', destination: '192.0.2.2', protocol: 47 });
    this.module = openXdpModule(memory);
    writeXskBlock(memory, this.plan, this.xsk.rings, this.link);
    assert.equal(this.module.initialise(this.plan.block, RECEIVE_FRAMES), RECEIVE_FRAMES);
    const rings = memoryPlan.lanes[lane];
    assert.ok(rings);
    this.encap = new Ring(memory, rings.encap);
    this.decap = new Ring(memory, rings.decap);
    // So that positions pass 2^32 on the way.
    for (const ring of [this.encap, this.decap]) {
      ring.restore(0xffff_ff00, 0xffff_ff00, 0xffff_ff00);
    }
  }

  /** Fills `count` slots as if the codec had processed them: packets number `first` and on. */
  fill(first: number, count: number): { readonly from: number; readonly to: number } {
    const from = this.encap.filled;
    for (let n = 0; n < count; n++) fillPacket(this.encap, (from + n) >>> 0, first + n);
    const to = (from + count) >>> 0;
    this.encap.restore(to, to, from);
    return { from, to };
  }

  transmit({ from, to }: { readonly from: number; readonly to: number }): number {
    const count = this.module.transmitSlots(this.plan.block, this.encap.address, from, to);
    this.encap.restore(to, to, to);
    return count;
  }

  /** Describes what was received in slots. Returns the position of the first, and how many. */
  receive(max: number): { readonly from: number; readonly count: number } {
    const { decap, plan: own } = this;
    const from = decap.filled;
    const count = this.module.receiveSlots(own.block, decap.address, max);
    const end = own.umem + own.frameCount * own.frameSize;
    for (let n = 0; n < count; n++) {
      decap.placeInFrame((from + n) >>> 0, own.umem, end, own.frameSize);
    }
    const to = (from + count) >>> 0;
    decap.restore(to, to, to);
    return { from, count };
  }

  release(from: number, count: number): number {
    const to = (from + count) >>> 0;
    return this.module.releaseSlots(this.plan.block, this.decap.address, from, to);
  }

  kick(): void {
    while (this.xsk.kick() === 'again');
  }

  close(): void {
    this.#redirect.close();
    this.xsk.close();
  }
}

export const HEADER = ipv4({ source: '192.0.2.1', destination: '192.0.2.2', protocol: 47 });
const LENGTH_MIN = HEADER.length + 8;
const LENGTH_MAX = 1500;
/** Length of packet number n: all there are, in an order that repeats late. */
export const lengthOf = (n: number): number =>
  LENGTH_MIN + ((n * 7919) % (LENGTH_MAX - LENGTH_MIN + 1));
/** Bytes behind header and number of a packet: a slice of this, from another place for each. */
const PATTERN = Uint8Array.from({ length: 4096 }, (_, n) => (n * 131 + (n >>> 8)) & 0xff);

/** Every third packet lies in two pieces, the second anywhere in the slot. */
export function fillPacket(ring: Ring, position: number, n: number): void {
  const length = lengthOf(n);
  const address = ring.packetAddress(position);
  const second = n % 3 === 0 ? Math.floor((length - LENGTH_MIN) / (1 + (n % 5))) : 0;
  bytes.set(HEADER, address);
  view.setFloat64(address + HEADER.length, n, true);
  const start = n % 2048;
  const first = length - LENGTH_MIN - second;
  bytes.set(PATTERN.subarray(start, start + first), address + LENGTH_MIN);
  ring.fill(position, length - second, RECORD, 0);
  if (second === 0) return;
  const payload = address + 4096 + (n % 777);
  bytes.set(PATTERN.subarray(start + first, start + first + second), payload);
  ring.setPayload(position, payload, second);
}

export function assertPacket(ring: Ring, position: number, n: number): void {
  const address = ring.processedAddress(position);
  assert.ok(address >= 0, 'it lies in its frame');
  const length = ring.length(position);
  assert.equal(length, lengthOf(n));
  const frame = Buffer.from(memory.buffer, address - ETHERNET_LENGTH, ETHERNET_LENGTH + length);
  const ethernet = Buffer.from([...DESTINATION, ...SOURCE, 8, 0]);
  assert.equal(frame.compare(ethernet, 0, ETHERNET_LENGTH, 0, ETHERNET_LENGTH), 0);
  const packet = frame.subarray(ETHERNET_LENGTH);
  assert.equal(packet.compare(HEADER, 0, HEADER.length, 0, HEADER.length), 0);
  assert.equal(packet.readDoubleLE(HEADER.length), n, 'in order, none lost, none twice');
  const rest = length - LENGTH_MIN;
  const start = n % 2048;
  assert.equal(packet.compare(PATTERN, start, start + rest, LENGTH_MIN, length), 0);
}

/** Everything that waits, checked and given back. Returns how many. */
export function receiveAll(end: End, first: number): number {
  let n = first;
  for (;;) {
    const { from, count } = end.receive(50);
    if (count === 0) return n - first;
    for (let slot = 0; slot < count; slot++) assertPacket(end.decap, (from + slot) >>> 0, n++);
    assert.equal(end.release(from, count), count);
  }
}

/** Frames on the free stack, by number. */
export function freeFrames({ plan: { block, free, umem, frameSize } }: End): number[] {
  const count = words[(block + XDP_FREE_COUNT) >>> 2] ?? 0;
  return Array.from(words.subarray(free >>> 2, (free >>> 2) + count), (at) => {
    return (at - umem) / frameSize;
  });
}
