import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CONTROL_TABLE,
  FLAG_ALLOW_LINK_LOCAL,
  IMAGE_BUCKET_MASK,
  IMAGE_GENERATION,
  IMAGE_OWN_MASK,
  RECORD_FLAGS,
  RECORD_MTU,
  RECORD_OUTER,
  RECORD_OUTER_LENGTH,
  RECORD_SIZE,
  STATE_SIZE,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { formatIpv4 } from '../../src/packet/address.js';
import type { PeerRoute } from '../../src/packet/peers.js';
import { createTable, type Entry, type Table } from '../../src/packet/table.js';
import { overhead, type Tunnel } from '../../src/packet/tunnel.js';
import { sourcePortOf } from '../../src/packet/udp.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Failure } from '../../src/sys/failure.js';
import { decodeTable } from '../../src/tunnel/image.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { tunnelList } from '../support/arbitrary.js';
import { hex } from '../support/packets.js';

const GRE: Tunnel = {
  name: 'gre1',
  mode: 'gre',
  local: '192.0.2.1',
  remote: '198.51.100.2',
  keyIn: 1,
  keyOut: 0x0a0b0c0d,
  ttl: 64,
  tos: 0x10,
  pmtudisc: true,
  mtu: 1464,
  link: 0,
  allow: [{ address: '10.1.1.0', bits: 24 }],
  addresses: [{ address: '10.2.2.1', bits: 24 }],
  checksumOut: true,
  sequenceIn: true,
  sequenceOut: true,
};

const plan = planMemory(1);
const memory = createMemory(plan);
const table = new TunnelTable(memory, plan);
const view = new DataView(memory.buffer);

function live(): number {
  return view.getUint32(CONTROL_TABLE, true);
}

function record(index: number): number {
  const image = plan.images.find(({ header }) => header === live());
  assert.ok(image);
  return image.records + index * RECORD_SIZE;
}

/** A table without what an image does not hold: names, device addresses by tunnel, the form of text. */
function comparable({ entries, ownOuter, ownInner }: Table) {
  return {
    entries: entries.map((entry) => {
      if (entry === undefined) return undefined;
      const { mss, encapLimit, flowLabel, peers, ...rest } = entry.tunnel;
      const sourcePort = sourcePortOf(entry.tunnel);
      const tunnel = {
        ...rest,
        sourcePort,
        reorder: 'reorder' in rest && rest.reorder !== undefined,
      };
      const over6 = entry.version === 6 ? { encapLimit, flowLabel } : {};
      const kept = { ...tunnel, ...over6, name: '', addresses: [], allow: [], mtu: entry.mtu };
      return { ...entry, tunnel: kept, ...comparableRoutes(entry) };
    }),
    ownOuter: [...ownOuter].sort(),
    ownInner: [...ownInner].sort(),
  };
}

/** Routes in one order, and of two with the same network the first, which hides the other. */
function comparableRoutes({ routes }: Entry): object {
  if (routes === undefined) return {};
  const known = new Map<string, PeerRoute>();
  for (const route of routes) {
    const { version, bits, bytes } = route.block;
    const id = `${version} ${bits} ${bytes}`;
    if (!known.has(id))
      known.set(id, { record: route.record, block: { version, bits, bytes: bytes.slice() } });
  }
  return { routes: [...known].sort(([left], [right]) => (left < right ? -1 : 1)) };
}

test('an image read back is the table that was published, holes included', () => {
  fc.assert(
    fc.property(tunnelList(50), (tunnels) => {
      table.publish(tunnels);
      const decoded = comparable(decodeTable(memory, live()));
      assert.deepEqual(decoded, comparable(createTable(tunnels)));
    }),
    { numRuns: 500 },
  );
});

test('the outer header template holds all that no packet changes', () => {
  table.publish([GRE]);
  const template = new Uint8Array(memory.buffer, record(1) + RECORD_OUTER, overhead(GRE));
  assert.deepEqual(
    template.slice(),
    hex('4510 0000 0000 0000 402f 0000 c0000201 c6336402 b000 0000 0000 0000 0a0b0c0d 00000000'),
  );
  assert.equal(view.getUint32(record(1) + RECORD_OUTER_LENGTH, true), 36);
});

test('publish builds the other image and leaves the live one as it is', () => {
  table.publish([GRE]);
  const before = live();
  const copy = new Uint8Array(memory.buffer).slice(before, before + 64 * RECORD_SIZE);
  const generation = view.getUint32(before + IMAGE_GENERATION, true);
  table.publish([{ ...GRE, remote: '203.0.113.7' }]);
  assert.notEqual(live(), before);
  assert.equal(view.getUint32(live() + IMAGE_GENERATION, true), generation + 1);
  assert.deepEqual(new Uint8Array(memory.buffer).slice(before, before + 64 * RECORD_SIZE), copy);
});

test('a table that does not fit is refused, and the live one stays', () => {
  table.publish([GRE]);
  const before = live();
  const prefix = { address: '10.0.0.0', bits: 8 };
  for (const tunnels of [
    new Array<Tunnel>(TUNNEL_CAPACITY).fill(GRE),
    [{ ...GRE, allow: new Array<typeof prefix>(TUNNEL_CAPACITY * 8 + 1).fill(prefix) }],
    [
      {
        ...GRE,
        addresses: Array.from({ length: TUNNEL_CAPACITY * 4 }, (_, index) => ({
          address: formatIpv4(0x0a000000 + index),
          bits: 32,
        })),
      },
    ],
    [{ ...GRE, local: 'example.org' }],
    [{ ...GRE, remote: 'peer.example' }],
    [{ ...GRE, allow: [{ address: '10.0.0.0', bits: 33 }] }],
    [{ ...GRE, addresses: [{ address: 'gre1', bits: 24 }] }],
  ]) {
    assert.throws(
      () => table.publish(tunnels),
      (error) => error instanceof Failure && error.hint !== undefined,
    );
    assert.equal(live(), before);
  }
});

test('the largest table has hash sets at most half full', () => {
  table.publish(new Array<Tunnel>(TUNNEL_CAPACITY - 1).fill(GRE));
  assert.ok(view.getUint32(live() + IMAGE_BUCKET_MASK, true) + 1 >= (TUNNEL_CAPACITY - 1) * 2);
  table.publish([GRE]);
  assert.equal(view.getUint32(live() + IMAGE_OWN_MASK, true), 63);
});

test('ten thousand tunnels are published in well under a second', () => {
  const tunnels = Array.from(
    { length: 10_000 },
    (_, index): Tunnel => ({
      ...GRE,
      name: `gre${index}`,
      remote: formatIpv4(0x0a000000 + index),
      keyIn: index,
      addresses: [{ address: formatIpv4(0x0b000000 + index), bits: 32 }],
    }),
  );
  table.publish(tunnels);
  const start = performance.now();
  table.publish(tunnels);
  const elapsedMs = performance.now() - start;
  assert.ok(elapsedMs < 1000, `${elapsedMs} ms`);
});

test('an MTU that would overflow the outer length field is lowered', () => {
  table.publish([{ ...GRE, mtu: 65535 }]);
  assert.equal(view.getUint32(record(1) + RECORD_MTU, true), 65535 - 36);
});

test('169.254.0.0/16 passes inside where the tunnel has such an address or accepts such a block', () => {
  const isAllowed = (changes: Partial<Pick<Tunnel, 'allow' | 'addresses'>>): boolean => {
    table.publish([{ ...GRE, ...changes }]);
    return (view.getUint32(record(1) + RECORD_FLAGS, true) & FLAG_ALLOW_LINK_LOCAL) !== 0;
  };
  assert.equal(isAllowed({}), false);
  assert.equal(isAllowed({ addresses: [{ address: '169.254.6.2', bits: 30 }] }), true);
  assert.equal(isAllowed({ allow: [{ address: '169.254.6.0', bits: 29 }] }), true);
  assert.equal(isAllowed({ allow: [{ address: '169.0.0.0', bits: 8 }] }), false);
  assert.equal(isAllowed({ allow: 'any' }), false);
});

test('resetState forgets the numbers of one record and of no other', () => {
  const states = new Uint8Array(memory.buffer, plan.states, 4 * STATE_SIZE);
  states.fill(0xa5);
  table.resetState(2);
  assert.deepEqual(states.slice(2 * STATE_SIZE, 3 * STATE_SIZE), new Uint8Array(STATE_SIZE));
  assert.ok(states.slice(0, 2 * STATE_SIZE).every((byte) => byte === 0xa5));
  assert.ok(states.slice(3 * STATE_SIZE).every((byte) => byte === 0xa5));
  assert.throws(() => table.resetState(TUNNEL_CAPACITY), RangeError);
  states.fill(0);
});
