import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decap } from '../../src/packet/decap.js';
import { decode } from '../../src/packet/decode.js';
import { mutated, noise, outer, tunnelList } from '../support/arbitrary.js';

const anything = fc.oneof(outer, mutated, noise);

test('decode never throws, and what it shows fits into JSON', () => {
  fc.assert(
    fc.property(anything, (bytes) => {
      const decoded = decode(bytes);
      if (decoded === null) return;
      assert.equal(decoded.verdict === 'ok', decoded.reason === null);
      assert.deepEqual(JSON.parse(JSON.stringify(decoded)), decoded);
    }),
    { numRuns: 5000 },
  );
});

test('decode with tunnels gives the verdict of decap for every tunnel packet', () => {
  fc.assert(
    fc.property(anything, tunnelList(6), (bytes, tunnels) => {
      const decoded = decode(bytes, { tunnels });
      if (decoded === null) return;
      assert.equal(decoded.reason, decap(bytes, tunnels).reason);
    }),
    { numRuns: 3000 },
  );
});

test('a packet whose form is wrong is never forwarded, unless Linux does', () => {
  fc.assert(
    fc.property(anything, tunnelList(6), (bytes, tunnels) => {
      const strict = tunnels.map((tunnel) => tunnel && { ...tunnel, profile: 'rfc' as const });
      const decoded = decode(bytes);
      if (decoded !== null && decoded.verdict === 'drop') {
        assert.notEqual(decap(bytes, strict).verdict, 'ok');
      }
    }),
    { numRuns: 3000 },
  );
});

test('decode leaves the bytes it is given alone', () => {
  fc.assert(
    fc.property(anything, tunnelList(3), (bytes, tunnels) => {
      const before = bytes.slice();
      decode(bytes, { tunnels });
      assert.deepEqual(bytes, before);
    }),
    { numRuns: 500 },
  );
});
