import assert from 'node:assert/strict';
import { loadBuild } from '../../src/codec/builds.js';
import { decapBatch } from '../../src/lane/decap.js';
import { encapBatch, generatedBatch } from '../../src/lane/encap.js';
import { openLane } from '../../src/lane/open.js';
import { encap } from '../../src/packet/encap.js';
import { isIpv4 } from '../../src/packet/ipv4.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { PathMtus } from '../../src/ring/path-mtus.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { MemoryTun } from '../../src/tun/memory.js';
import { readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { internetChecksum } from './packets.js';
import { PLAIN_GRE } from './tunnels.js';

const TUNNEL: Tunnel = {
  ...PLAIN_GRE,
  local: '192.0.2.1',
  remote: '198.51.100.2',
  mtu: 1400,
  addresses: [
    { address: '10.9.0.1', bits: 24 },
    { address: 'fd00:9::1', bits: 64 },
  ],
};

/** A lane in memory with one tunnel and its device: what it sends, and what it answers. `given`: where the tunnel differs. */
export function openAnsweringLane(given: Partial<Tunnel> = {}, build = 'scalar') {
  const tunnel = { ...TUNNEL, ...given } as Tunnel;
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish([tunnel]);
  const underlay = new MemoryUnderlay(memory);
  const sent: Uint8Array[] = [];
  underlay.onSent = (bytes) => sent.push(bytes);
  const device = new MemoryTun('gre1', memory);
  const learned: [number, number][] = [];
  const asked: string[] = [];
  let way: number | undefined;
  const lane = openLane({
    ...{ memory, plan: plan.lanes[0], codec: loadBuild(build), merge: 0, reorder: [], underlay },
    tunnels: [tunnel],
    devices: () => [[1, device]],
    events: {
      onFault: () => {},
      onMergeRefused: () => {},
      onPathMtu: (record, mtu) => learned.push([record, mtu]),
    },
    routeMtu: (remote) => {
      asked.push([...remote].join('.'));
      return way;
    },
  });
  const turn = (packet: Uint8Array): Uint8Array | undefined => {
    device.send(packet);
    encapBatch(lane, 1);
    while (generatedBatch(lane));
    return device.take();
  };
  /** `packet` comes out of the tunnel at our end. */
  const arrive = (packet: Uint8Array): void => {
    const far = { ...tunnel, local: '198.51.100.2', remote: '192.0.2.1', mtu: 1500, addresses: [] };
    const outer = encap(packet, far);
    assert.ok(outer.verdict === 'ok');
    underlay.inject(outer.packet);
    decapBatch(lane);
    while (generatedBatch(lane));
  };
  return {
    ...{ lane, tunnel, device, underlay, sent, learned, asked, turn, arrive, memory },
    setWay: (mtu: number) => {
      way = mtu;
    },
    pathMtus: new PathMtus(memory, plan.states),
    counters: () => readCounters(memory, plan),
  };
}

/** Type, code, and the word behind the checksum of an ICMP message, which is right. */
export function icmpOf(packet: Uint8Array | undefined): [string, number, number, number] {
  assert.ok(packet);
  const view = Buffer.from(packet);
  const isFour = view.readUInt8(0) >>> 4 === 4;
  if (isFour) {
    assert.ok(isIpv4(packet));
    assert.equal(internetChecksum(packet.subarray(20)), 0);
  }
  const start = isFour ? 20 : 40;
  const from = view.subarray(isFour ? 12 : 8, isFour ? 16 : 24).toString('hex');
  return [from, view.readUInt8(start), view.readUInt8(start + 1), view.readUInt32BE(start + 4)];
}
