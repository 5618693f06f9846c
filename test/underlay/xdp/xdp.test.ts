// Which way the XDP underlay sends what: over a virtual cable, with its raw sockets behind it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { MERGE_TCP, MERGE_UDP } from '../../../asm/layout.js';
import { REASON_ECN, REASON_NO_ROUTE, REASON_NONE, REASON_TX_ERROR } from '../../../asm/reason.js';
import { PacketSocket } from '../../../src/demo/packet-socket.js';
import { createMemory, planMemory } from '../../../src/ring/plan.js';
import { Ring } from '../../../src/ring/ring.js';
import { planXsk, type XskPlan } from '../../../src/ring/xsk-plan.js';
import { interfaceIndex } from '../../../src/sys/libc.js';
import { type NextHopPlan, NextHopTable, planNextHops } from '../../../src/tunnel/next-hops.js';
import { RawUnderlay } from '../../../src/underlay/raw/raw.js';
import { XdpUnderlay } from '../../../src/underlay/xdp/xdp.js';
import { Xsk } from '../../../src/underlay/xdp/xsk.js';
import { readXskCounters } from '../../../src/underlay/xdp/xsk-rings.js';
import { takeFrames } from '../../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { ipv4 } from '../../support/packets.js';

const skip = enterOwnNamespace();
const RECORD = 3;
const NEXT_HOP = {
  version: 4,
  ...{ device: 0, source: Uint8Array.of(2, 0, 0, 0, 0, 1), mtu: 4000 },
  destination: Uint8Array.of(2, 0, 0, 0, 0, 2),
} as const;

const plans: XskPlan[] = [];
const nextHopPlans: NextHopPlan[] = [];
const plan = planMemory(1, (reserve) => {
  nextHopPlans.push(planNextHops(reserve));
  plans.push(planXsk(reserve, { receiveFrames: 64, sendFrames: 64, frameSize: 2048 }));
});
const memory = createMemory(plan);
const bytes = new Uint8Array(memory.buffer);
const ring = new Ring(memory, plan.lanes[0].encap);
const [xskPlan, nextHopPlan] = [plans[0] as XskPlan, nextHopPlans[0] as NextHopPlan];
const nextHops = new NextHopTable(memory, nextHopPlan);
const refused: string[] = [];

let xsk: Xsk;
let underlay: XdpUnderlay;
let socket: PacketSocket;

before(() => {
  if (skip) return;
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  ip('link add u0 mtu 9000 type veth peer name u1 mtu 9000');
  for (const device of ['u0', 'u1']) ip(`link set ${device} up`);
  ip('address add 192.0.2.1/24 dev u0');
  ip('neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev u0');
  spawnSync('ethtool', ['-K', 'u0', 'tso', 'off', 'gso', 'off']);
  const device = { link: interfaceIndex('u0'), name: 'u0' };
  xsk = new Xsk({ memory, plan: xskPlan, device: 'u0', link: device.link, queue: 0 });
  const links = new Map<number, string>();
  underlay = new XdpUnderlay({
    memory,
    raw: new RawUnderlay(memory, {
      ...{ protocols: [{ version: 4, protocol: 47 }], versions: [4], groups: [] },
      ...{ links, linkOf: () => 0 },
      ...{ lane: 0, laneCount: 1 },
    }),
    devices: new Map([[0, { ...device, sockets: [xsk.handle()], segments: true, queues: false }]]),
    outerLengths: new Map([[RECORD, 24]]),
    onSuperpacketsRefused: (name) => refused.push(name),
  });
  socket = new PacketSocket('u1', 10_000);
});

after(() => {
  if (skip) return;
  underlay.close();
  xsk.close();
  socket.close();
});

/** GRE packets of these lengths, `count` packets on the wire each. Returns the reasons after `send`. */
function send(lengths: readonly number[], count = 1, reason = REASON_NONE): number[] {
  const from = ring.filled;
  for (const [n, length] of lengths.entries()) {
    const position = (from + n) >>> 0;
    const payload = new Uint8Array(length - 20).fill(n + 1);
    const ends = { source: '192.0.2.1', destination: '192.0.2.2', protocol: 47 };
    bytes.set(ipv4({ ...ends, payload, identification: n + 1 }), ring.packetAddress(position));
    ring.fill(position, length, RECORD, 0);
    ring.setReason(position, reason);
    if (count === 1) continue;
    ring.setPackets(position, count);
    const header = [1, 1, 40, 0, 200, 0, 20, 0, 16, 0]; // NEEDS_CSUM, TCPv4, hdr_len 40, gso_size 200
    bytes.set(header, ring.deviceHeader(position));
  }
  const to = (from + lengths.length) >>> 0;
  ring.restore(to, to, from);
  underlay.send(ring, from, to);
  ring.restore(to, to, to);
  return lengths.map((_, n) => ring.reason((from + n) >>> 0));
}

/** Lengths of the IP packets that have arrived. */
function arrived(): number[] {
  const ipFrames = takeFrames(socket, 30).filter((frame) => frame[12] === 8 && frame[13] === 0);
  return ipFrames.map((frame) => frame.length - 14);
}

const sentByXsk = (): number => readXskCounters(memory, xskPlan).sent.frames;

test('without a next hop packets go by the raw socket, but no superpacket', { skip }, () => {
  nextHops.set(RECORD, undefined);
  const before = sentByXsk();
  assert.deepEqual(send([100, 8000, 300]), [REASON_NONE, REASON_NONE, REASON_NONE]);
  assert.deepEqual(arrived(), [100, 8000, 300]);
  assert.equal(sentByXsk(), before);
  assert.equal(underlay.keeps(RECORD), 0);
  assert.deepEqual(send([500, 700], 2), [REASON_NO_ROUTE, REASON_NO_ROUTE]);
  assert.deepEqual(send([500], 2, REASON_ECN), [REASON_ECN], 'the first reason stays');
  assert.deepEqual(arrived(), []);
});

test('with one they go by AF_XDP, above a frame by the packet socket, above the MTU by the raw one', {
  skip,
}, () => {
  nextHops.set(RECORD, NEXT_HOP);
  const before = sentByXsk();
  const lengths = [100, 2034, 2035, 3999, 4000, 4001, 9000, 60];
  assert.deepEqual(send(lengths), new Array(lengths.length).fill(REASON_NONE));
  assert.deepEqual(arrived(), lengths, 'in order, whichever way each took');
  assert.equal(sentByXsk() - before, 3, 'those of 100, 2034 and 60 bytes');
  // Without DF, as here, what the raw one's device does not take goes in fragments.
  assert.deepEqual(send([9001, 80]), [REASON_NONE, REASON_NONE]);
  assert.deepEqual(arrived(), [8996, 25, 80]);
});

test('a next hop by a device that the lane does not have is one for the raw socket', {
  skip,
}, () => {
  nextHops.set(RECORD, { ...NEXT_HOP, device: 1 });
  const before = sentByXsk();
  assert.deepEqual(send([100, 200]), [REASON_NONE, REASON_NONE]);
  assert.deepEqual(arrived(), [100, 200]);
  assert.equal(sentByXsk(), before);
  assert.equal(underlay.keeps(RECORD), 0);
});

test('superpackets are kept whole until the kernel could not segment one, which is told once', {
  skip,
}, () => {
  nextHops.set(RECORD, NEXT_HOP);
  assert.equal(underlay.keeps(RECORD), MERGE_TCP | MERGE_UDP);
  assert.equal(underlay.keeps(RECORD + 1), 0);
  // No program is attached that could make them ready for it.
  const reasons = send([3000, 3000], 14);
  assert.deepEqual(reasons, [REASON_TX_ERROR, REASON_TX_ERROR]);
  assert.deepEqual(refused, ['u0']);
  assert.equal(underlay.keeps(RECORD), 0);
  assert.deepEqual(send([100]), [REASON_NONE]);
  assert.deepEqual(arrived(), [100]);
});
