// Packets of a lane leave through packet sockets: what arrives at the other end of a virtual cable is what was
// sent, in its order, and what was not sent has its reason.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { DEVICE_HEADER_SIZE } from '../../../asm/layout.js';
import {
  REASON_ECN,
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TX_ENOBUFS,
  REASON_TX_ERROR,
} from '../../../asm/reason.js';
import { PacketSocket } from '../../../src/demo/packet-socket.js';
import { createMemory, planMemory } from '../../../src/ring/plan.js';
import { Ring } from '../../../src/ring/ring.js';
import { interfaceIndex } from '../../../src/sys/libc.js';
import { type NextHopPlan, NextHopTable, planNextHops } from '../../../src/tunnel/next-hops.js';
import {
  openSegmentation,
  type Segmentation,
} from '../../../src/underlay/packet-socket/segmentation-program.js';
import { PacketSender } from '../../../src/underlay/packet-socket/sender.js';
import { takeFrames } from '../../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { outerLength, type Superpacket, segments, superpacket } from '../../support/superpacket.js';

const namespace = enterOwnNamespace();
const missing = ['ethtool', 'tc'].filter((program) => spawnSync(program, ['-V']).error);
const skip = namespace || (missing.length > 0 ? `needs ${missing.join(', ')}` : false);
if (!skip) writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');

const SOURCE = Uint8Array.of(2, 0, 0, 0, 0, 1);
const DESTINATION = Uint8Array.of(2, 0, 0, 0, 0, 2);
const MTU = 1500;
/** Records by length of their outer header; that of 0 has a next hop and no superpackets, UNKNOWN none. */
const RECORDS: Readonly<Record<number, number>> = {
  0: 1,
  20: 2,
  24: 3,
  28: 4,
  40: 6,
  44: 7,
  48: 8,
};
const UNKNOWN = 5;
/** From here on they are over IPv6. */
const OVER6 = 6;

let nextHopPlan: NextHopPlan | undefined;
const plan = planMemory(1, (reserve) => {
  nextHopPlan = planNextHops(reserve);
});
assert.ok(nextHopPlan);
const { nextHops } = nextHopPlan;
const memory = createMemory(plan);
const bytes = new Uint8Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const table = new NextHopTable(memory, nextHopPlan);
for (const record of Object.values(RECORDS)) {
  const version = record >= OVER6 ? 6 : 4;
  table.set(record, { version, device: 0, source: SOURCE, destination: DESTINATION, mtu: MTU });
}
const ring = new Ring(memory, plan.lanes[0].encap);

let sender: PacketSender;
let segmentation: Segmentation;
let socket: PacketSocket;
let refusals = 0;

beforeEach(() => {
  if (skip) return;
  ip('link add u0 type veth peer name u1');
  for (const device of ['u0', 'u1']) ip(`link set ${device} up`);
  for (const device of ['u0', 'u1']) awaitUp(device);
  spawnSync('ethtool', ['-K', 'u0', 'tso', 'off', 'gso', 'off', 'tx-udp-segmentation', 'off']);
  spawnSync('ethtool', ['-K', 'u1', 'gro', 'off']);
  const device = { link: interfaceIndex('u0'), device: 'u0' };
  segmentation = openSegmentation(device);
  refusals = 0;
  sender = new PacketSender({
    ...{ ...device, memory },
    outerLengths: new Map(Object.entries(RECORDS).map(([length, n]) => [n, Number(length)])),
    adjacency: (record) => words[(nextHops >>> 2) + record] ?? 0,
    onRefused: () => {
      refusals++;
    },
  });
  socket = new PacketSocket('u1', 70_000);
});

/** Until then the kernel has no queue for it, and drops what is sent without a word. */
function awaitUp(device: string): void {
  for (let tries = 0; tries < 200; tries++) {
    if (JSON.parse(ip(`-j link show dev ${device}`))[0].operstate === 'UP') return;
  }
  assert.fail(`${device} is not up`);
}

afterEach(() => {
  if (skip) return;
  sender.close();
  segmentation.close();
  socket.close();
  spawnSync('ip', ['link', 'del', 'u0']);
});

/** A packet of `length` bytes that begins like IPv4 and ends with its number. */
function single(n: number, length = 100): Uint8Array {
  const packet = new Uint8Array(length).fill(n & 0xff);
  packet.set([0x45, 0, length >>> 8, length & 0xff]);
  new DataView(packet.buffer).setUint32(length - 4, n);
  return packet;
}

/** A packet in a slot: its bytes, its record, and where it is cut in two. */
interface Slot {
  readonly packet: Uint8Array;
  readonly record: number;
  readonly cut?: number;
  readonly whole?: Superpacket;
  readonly reason?: number;
}

const plain = (packet: Uint8Array): Slot => ({ packet, record: RECORDS[0] ?? 0 });
const whole = (packet: Superpacket): Slot => ({
  ...{ packet: superpacket(packet), whole: packet },
  record: RECORDS[outerLength(packet)] ?? 0,
});

/** Fills slots as if the codec had processed them and sends them. Returns the reasons. */
function send(slots: readonly Slot[]): number[] {
  const from = ring.filled;
  for (const [n, slot] of slots.entries()) fill((from + n) >>> 0, slot);
  const to = (from + slots.length) >>> 0;
  ring.restore(to, to, from);
  sender.send(ring, from, to);
  ring.restore(to, to, to);
  return slots.map((_, n) => ring.reason((from + n) >>> 0));
}

function fill(position: number, { packet, record, cut, whole: large, reason }: Slot): void {
  const address = ring.packetAddress(position);
  const length = cut ?? packet.length;
  bytes.set(packet.subarray(0, length), address);
  ring.fill(position, length, record, 0);
  if (cut !== undefined) {
    bytes.set(packet.subarray(cut), address + 20_000);
    ring.setPayload(position, address + 20_000, packet.length - cut);
  }
  if (large !== undefined) {
    ring.setPackets(position, Math.ceil(large.payloadLength / large.segmentSize));
    writeHeader(ring.deviceHeader(position), large);
  }
  ring.setReason(position, reason ?? REASON_NONE);
}

/** The device header as the codec leaves it: counted from the inner packet on. */
function writeHeader(at: number, { version, upper, segmentSize }: Superpacket): void {
  const start = version === 4 ? 20 : 40;
  const view = new DataView(memory.buffer, at, DEVICE_HEADER_SIZE);
  view.setUint8(0, 1); // NEEDS_CSUM
  view.setUint8(1, upper === 'udp' ? 5 : version === 4 ? 1 : 4);
  view.setUint16(2, start + (upper === 'tcp' ? 32 : 8), true);
  view.setUint16(4, segmentSize, true);
  view.setUint16(6, start, true);
  view.setUint16(8, upper === 'tcp' ? 16 : 6, true);
}

/** Packets that have arrived, their Ethernet header checked and taken off. */
function arrived(): Buffer[] {
  return takeFrames(socket, 50).map((frame) => {
    const type = (frame[14] ?? 0) >>> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00];
    assert.deepEqual([...frame.subarray(0, 14)], [...DESTINATION, ...SOURCE, ...type]);
    return Buffer.from(frame.subarray(14));
  });
}

const TCP: Superpacket = {
  ...{ outer: 'gre', version: 4, upper: 'tcp' },
  ...{ payloadLength: 20_000, segmentSize: 1380 },
};

test('single packets, in one piece and in two, arrive as they are and in order', { skip }, () => {
  for (let round = 0; round < 4; round++) {
    const packets = Array.from({ length: 100 }, (_, n) => single(n, 60 + ((n * 97) % 1441)));
    const slots = packets.map((packet, n) => ({
      ...plain(packet),
      ...(n % 3 === 0 ? { cut: 24 + (n % 30) } : {}),
    }));
    assert.deepEqual(send(slots), new Array(100).fill(REASON_NONE));
    assert.deepEqual(
      arrived(),
      packets.map((packet) => Buffer.from(packet)),
    );
  }
});

test('superpackets of every kind leave whole, as many packets, each byte for byte', {
  skip,
}, () => {
  const outers = [
    'ipip',
    'sit',
    'gre',
    'gre-key',
    'ip4ip6',
    'ip6ip6',
    'ip6gre',
    'ip6gre-key',
  ] as const;
  for (const outer of outers) {
    for (const upper of ['tcp', 'udp'] as const) {
      const version = outer === 'sit' || outer === 'ip6ip6' ? 6 : 4;
      const packet: Superpacket = { ...TCP, outer, upper, version };
      assert.deepEqual(send([whole(packet)]), [REASON_NONE]);
      assert.deepEqual(arrived(), segments(packet, 'partial'), `${upper} in ${outer}`);
    }
  }
  assert.equal(segmentation.failures(), 0);
});

test('a batch of single packets and superpackets keeps its order', { skip }, () => {
  const large: readonly Superpacket[] = [
    TCP,
    { ...TCP, outer: 'gre-key', payloadLength: 3000 },
    { ...TCP, outer: 'ipip', upper: 'udp', payloadLength: 9000 },
    { ...TCP, outer: 'ip6gre', version: 6, payloadLength: 5000 },
  ];
  const slots: Slot[] = [];
  const expected: Buffer[] = [];
  for (let n = 0; n < 60; n++) {
    const packet = large[(n * 7) % 5];
    if (packet === undefined) {
      slots.push(plain(single(n)));
      expected.push(Buffer.from(single(n)));
    } else {
      slots.push(whole(packet));
      expected.push(...segments(packet, 'partial'));
    }
  }
  assert.deepEqual(send(slots), new Array(60).fill(REASON_NONE));
  assert.deepEqual(arrived(), expected);
});

test('what has a reason stays, what has no next hop gets one, and the others go', { skip }, () => {
  const slots = [
    plain(single(1)),
    { ...plain(single(2)), reason: REASON_ECN },
    { packet: single(3), record: UNKNOWN },
    plain(single(4)),
  ];
  assert.deepEqual(send(slots), [REASON_NONE, REASON_ECN, REASON_NO_ROUTE, REASON_NONE]);
  assert.deepEqual(arrived(), [single(1), single(4)].map(Buffer.from));
});

test('what the way does not take is too-big: alone, and as a segment', { skip }, () => {
  // 24 of outer header, 52 of inner ones.
  const fits = { ...TCP, segmentSize: MTU - 24 - 52 };
  const long = { ...TCP, segmentSize: MTU - 24 - 52 + 1 };
  const slots = [plain(single(1, MTU + 1)), whole(long), plain(single(2, MTU)), whole(fits)];
  assert.deepEqual(send(slots), [REASON_TOO_BIG, REASON_TOO_BIG, REASON_NONE, REASON_NONE]);
  assert.deepEqual(arrived(), [Buffer.from(single(2, MTU)), ...segments(fits, 'partial')]);
});

test('through a device that is down, or gone, there is no route', { skip }, () => {
  ip('link set u0 down');
  const slots = [plain(single(1)), whole(TCP), plain(single(2))];
  const expected = [REASON_NO_ROUTE, REASON_NO_ROUTE, REASON_NO_ROUTE];
  assert.deepEqual(send(slots), expected);
  ip('link set u0 up');
  assert.deepEqual(send(slots), [REASON_NONE, REASON_NONE, REASON_NONE]);
  ip('link del u0');
  assert.deepEqual(send(slots), expected);
});

test('a superpacket that the kernel cannot segment is tx-error and told, and single packets go', {
  skip,
}, () => {
  segmentation.close();
  const slots = [plain(single(1)), whole(TCP), plain(single(2))];
  assert.deepEqual(send(slots), [REASON_NONE, REASON_TX_ERROR, REASON_NONE]);
  assert.deepEqual(arrived(), [single(1), single(2)].map(Buffer.from));
  assert.equal(refusals, 1);
});

for (const [name, qdisc] of [
  ['drops', 'tbf rate 1mbit burst 2kb limit 10kb'],
  // What waits there is charged to the socket, whose buffer is full before the queue is.
  ['holds everything', 'tbf rate 1mbit burst 2kb limit 100mb'],
] as const) {
  test(`a queue that ${name} costs a batch a few milliseconds, and the rest is tx-enobufs`, {
    skip,
  }, () => {
    assert.equal(spawnSync('tc', `qdisc add dev u0 root ${qdisc}`.split(' ')).status, 0);
    const batch = Array.from({ length: 250 }, (_, n) => plain(single(n, 1400)));
    let reasons: number[] = [];
    let longest = 0;
    for (let round = 0; round < 40 && !reasons.includes(REASON_TX_ENOBUFS); round++) {
      const start = performance.now();
      reasons = send(batch);
      longest = Math.max(longest, performance.now() - start);
    }
    const sent = reasons.filter((reason) => reason === REASON_NONE).length;
    const refused = reasons.filter((reason) => reason === REASON_TX_ENOBUFS).length;
    assert.ok(sent > 0 && refused > 0, `${sent} sent, ${refused} refused`);
    assert.equal(sent + refused, batch.length);
    assert.ok(longest < 1000, `${Math.round(longest)} ms`);
    // The queue lets one pass every 11 ms.
    for (let n = 0; n < 5; n++) {
      const frame = socket.next(1000);
      assert.ok(frame);
      assert.equal(Buffer.from(frame.bytes).readUInt32BE(frame.length - 4), n);
    }
  });
}
