// A datagram whose outer headers lie elsewhere, as a UDP socket hands it over, is decapsulated like a whole one.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { SLOT_HEADROOM, SLOT_STRIDE } from '../../asm/layout.js';
import { REASON_EARLY, REASON_LOCAL } from '../../asm/reason.js';
import { decap } from '../../src/packet/decap.js';
import { REASON } from '../../src/packet/reason.js';
import { createState } from '../../src/packet/state.js';
import { createTable } from '../../src/packet/table.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { Ring } from '../../src/ring/ring.js';
import { mutated, outer, tunnelList } from '../support/arbitrary.js';
import { internetChecksum } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

/** IP header without options, and UDP header. */
const headOf = (packet: Uint8Array): number => (packet[0] === 0x45 ? 28 : 48);
const LONGEST_HEAD = 48;

let planes: { readonly plane: Plane; readonly ring: Ring }[] = [];
before(() => {
  planes = createPlanes().map((plane) => {
    const [lane] = plane.plan.lanes;
    return { plane, ring: new Ring(plane.memory, lane.decap) };
  });
});

const datagram = fc
  .oneof({ weight: 3, arbitrary: outer }, { weight: 1, arbitrary: mutated })
  .filter((bytes) => {
    const isIpv4 = bytes[0] === 0x45 && bytes[9] === 17;
    const isIpv6 = (bytes[0] ?? 0) >>> 4 === 6 && bytes[6] === 17;
    // A packet has a second piece where there is something for it.
    return (isIpv4 || isIpv6) && bytes.length > headOf(bytes);
  });

/** A datagram as its socket saw it, where that left the checksum out which it has verified. */
function verified(packet: Uint8Array): Uint8Array {
  const bytes = Buffer.from(packet);
  if (bytes[0] === 0x45 || bytes.readUInt16BE(46) !== 0) return packet;
  const length = bytes.readUInt16BE(44);
  const udp = bytes.subarray(40, 40 + length);
  const pseudo = Buffer.concat([
    bytes.subarray(8, 40),
    Buffer.from([0, 0, length >>> 8, length & 0xff, 0, 0, 0, 17]),
  ]);
  bytes.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, udp])) || 0xffff, 46);
  return Uint8Array.from(bytes);
}

test('datagrams that share a slot, their headers apart, fare as the reference says', () => {
  const batches = fc.array(datagram, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(12), batches, (tunnels, packets) => {
      for (const { plane, ring } of planes) {
        plane.publish(tunnels);
        assertLikeReference(plane, ring, tunnels, packets);
      }
    }),
    { numRuns: 1000 },
  );
});

function assertLikeReference(
  plane: Plane,
  ring: Ring,
  tunnels: readonly (Tunnel | undefined)[],
  packets: readonly Uint8Array[],
): void {
  const bytes = new Uint8Array(plane.memory.buffer);
  const first = ring.filled;
  const slot = ring.packetAddress(first) - SLOT_HEADROOM;
  let end = slot + SLOT_HEADROOM;
  for (const [index, packet] of packets.entries()) {
    const own = headOf(packet);
    const head = slot + SLOT_STRIDE - (index + 1) * LONGEST_HEAD;
    bytes.set(packet.subarray(0, own), head);
    bytes.set(packet.subarray(own), end);
    ring.fillShared((first + index) >>> 0, first, head, own, 0);
    ring.setPayload((first + index) >>> 0, end, packet.length - own);
    end += packet.length - own;
  }
  ring.publish(packets.length);
  plane.codec.decap(ring.address);

  const table = createTable(
    tunnels.map((tunnel, index) => tunnel && { ...tunnel, name: `tunnel ${index}` }),
  );
  const state = createState();
  for (const [index, packet] of packets.entries()) {
    const expected = decap(verified(packet), table, state);
    const position = (first + index) >>> 0;
    const other = { ok: 0, drop: 0, early: REASON_EARLY, local: REASON_LOCAL }[expected.verdict];
    const reason = expected.reason === null ? other : REASON[expected.reason];
    assert.equal(ring.reason(position), reason, plane.codec.name);
    assert.equal(ring.tunnel(position), expected.record);
    if (expected.verdict !== 'ok' && expected.verdict !== 'local') continue;
    const address = ring.processedAddress(position);
    assert.ok(address >= slot);
    assert.equal(ring.payloadLength(position), 0);
    assert.deepEqual(bytes.slice(address, address + ring.length(position)), expected.packet);
    if (expected.verdict === 'local') continue;
    const header = ring.deviceHeader(position);
    assert.deepEqual(bytes.slice(header, header + 10), expected.deviceHeader);
  }
  plane.codec.settle(ring.address, 1);
}
