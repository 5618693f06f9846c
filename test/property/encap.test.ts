import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { decap } from '../../src/packet/decap.js';
import { encap } from '../../src/packet/encap.js';
import { carries, isGre } from '../../src/packet/tunnel.js';
import { ethernet, inner, noise, tunnel, tunnelList } from '../support/arbitrary.js';
import { assertAgreement } from '../support/oracle.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});
after(() => {
  for (const plane of planes) plane.assertCanaries();
});

/** Remotes that stand for many hosts: none of them is one to answer as. */
const GROUPS = ['239.1.1.1', 'ff05::4'];

/** IPv6 packets about as long as every link must take them, alone and in a frame. */
const long = fc
  .record({ length: fc.integer({ min: 1260, max: 1300 }), isFrame: fc.boolean() })
  .map(({ length, isFrame }) => {
    const start = isFrame ? 14 : 0;
    const bytes = new Uint8Array(start + length);
    if (isFrame) bytes.set([0x86, 0xdd], 12);
    bytes.set([0x60, 0, 0, 0, (length - 40) >>> 8, (length - 40) & 0xff, 59, 64, 0xfd], start);
    bytes[start + 24] = 0xfd;
    return bytes;
  });

/** Records of the table, holes, and numbers past its end. */
const record = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 7, 16383, 16384, 0xffffffff) },
);

test('encap agrees with the reference: TOS, TTL, DF, identification, key, sequence, checksum', () => {
  const bytes = fc.oneof({ weight: 3, arbitrary: inner }, { weight: 1, arbitrary: ethernet });
  const packets = fc.array(fc.record({ bytes, tunnel: record }), {
    minLength: 1,
    maxLength: 16,
  });
  fc.assert(
    fc.property(tunnelList(6), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'encap', batch);
    }),
    { numRuns: 2000 },
  );
});

test('what a path is known to take bounds encap as the tunnel does, and IPv6 of 1280 bytes passes', () => {
  const bytes = fc.oneof(
    { weight: 3, arbitrary: inner },
    { weight: 1, arbitrary: ethernet },
    { weight: 2, arbitrary: long },
  );
  const packets = fc.array(fc.record({ bytes, tunnel: record }), { minLength: 1, maxLength: 16 });
  const pathMtu = fc.oneof(
    fc.integer({ min: 0, max: 100 }),
    fc.integer({ min: 1270, max: 1290 }),
    fc.constantFrom(0, 1, 68, 552, 1280, 1500, 0xffffffff),
  );
  const pathMtus = fc.array(pathMtu, { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(tunnelList(6), packets, pathMtus, (tunnels, batch, mtus) => {
      const known = mtus.slice(0, tunnels.length);
      assertAgreement(planes, tunnels, 'encap', batch, known);
    }),
    { numRuns: 2000 },
  );
});

test('encap survives any bytes a device may hand over', () => {
  const packets = fc.array(fc.record({ bytes: noise, tunnel: record }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(tunnelList(6), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'encap', batch);
    }),
    { numRuns: 300 },
  );
});

test('what encap sends, the far end takes out of its tunnel unchanged', () => {
  fc.assert(
    fc.property(tunnel, inner, ethernet, (given, ip, frame) => {
      const { mss, ...near } = given;
      const packet = carries(near.mode) === 'ethernet' ? frame : ip;
      const sent = encap(packet, near);
      fc.pre(sent.verdict === 'ok' && near.local !== 'any' && !GROUPS.includes(near.remote));
      const far = {
        ...near,
        ttlIn: 'keep',
        tosIn: 'keep',
        profile: 'rfc',
        local: near.remote,
        remote: near.local,
        link: 0,
        allow: 'any',
        addresses: [],
      } as const;
      const { keyOut } = isGre(near) ? near : { keyOut: undefined };
      const keyed = keyOut === undefined ? { ...far } : { ...far, keyIn: keyOut };
      if (keyOut === undefined && 'keyIn' in keyed) delete keyed.keyIn;
      const received = decap(sent.packet, [keyed]);
      // The packet itself may be one that nobody takes out: martians, a TTL of 1, our own address.
      if (received.verdict !== 'ok') assert.match(received.reason ?? '', /^(inner-|nesting)/);
      else assert.deepEqual(received.packet, packet);
    }),
    { numRuns: 2000 },
  );
});
