// The odd packets of strictness-rows.ts in both profiles, in the reference and in both builds.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { decap } from '../../src/packet/decap.js';
import { encap } from '../../src/packet/encap.js';
import { reasonName } from '../../src/packet/reason.js';
import { createState } from '../../src/packet/state.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';
import { packetsOf, RECEIVE_ROWS, receiverOf, SEND_ROWS } from './strictness-rows.js';

const PROFILES = ['rfc', 'linux'] as const;

let planes: Plane[] = [];
before(() => {
  planes = createPlanes(['simd', 'scalar']);
});

function verdict(reason: string | null): string {
  return reason ?? 'accept';
}

for (const row of RECEIVE_ROWS) {
  for (const profile of PROFILES) {
    test(`${profile}: ${row.packet}: ${row[profile]}`, () => {
      const tunnel = receiverOf(row, profile);
      const packets = packetsOf(row);
      const state = createState();
      const found = packets.map((bytes) => verdict(decap(bytes, [tunnel], state).reason));
      assert.equal(found.at(-1), row[profile], found.join(' '));
      for (const plane of planes) {
        plane.publish([tunnel]);
        const processed = plane.run(
          'decap',
          packets.map((bytes) => ({ bytes })),
        );
        const reasons = processed.map(({ reason }) => verdict(reasonName(reason)));
        assert.deepEqual(reasons, found, plane.codec.name);
      }
    });
  }
}

for (const row of SEND_ROWS) {
  for (const profile of PROFILES) {
    test(`${profile}: ${row.packet}: ${row[profile]}`, () => {
      const tunnel = { ...row.tunnel, profile };
      assert.equal(verdict(encap(row.bytes, tunnel).reason), row[profile]);
      for (const plane of planes) {
        plane.publish([tunnel]);
        const [processed] = plane.run('encap', [{ bytes: row.bytes, tunnel: 1 }]);
        assert.equal(verdict(reasonName(processed?.reason ?? 0)), row[profile], plane.codec.name);
      }
    });
  }
}

test('profile linux does what Linux does, but where the row says why not', () => {
  for (const { packet, linux, kernel, unlike } of [...RECEIVE_ROWS, ...SEND_ROWS]) {
    const isSame = (linux === 'accept') === (kernel === 'accept');
    assert.equal(unlike === undefined, isSame, packet);
  }
});

test('no packet has two rows', () => {
  const names = [...RECEIVE_ROWS, ...SEND_ROWS].map(({ packet }) => packet);
  assert.equal(new Set(names).size, names.length);
});
