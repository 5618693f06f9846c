import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  contains,
  formatIpv4,
  formatIpv6,
  network,
  parseAddress,
  parseIpv4,
  parseIpv6,
  parsePrefix,
  prefixContains,
  toBlock,
} from '../../src/packet/address.js';

const ipv6Bytes = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc
    .array(fc.constantFrom(0, 0, 0, 1, 0x0100, 0xffff), { minLength: 8, maxLength: 8 })
    .map((groups) => {
      const bytes = new Uint8Array(16);
      groups.forEach((group, index) => {
        bytes[index * 2] = group >>> 8;
        bytes[index * 2 + 1] = group;
      });
      return bytes;
    }),
);

test('IPv4 text comes back as it was', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (value) => {
      const text = formatIpv4(value);
      assert.ok(isIPv4(text));
      assert.equal(parseIpv4(text), value);
    }),
  );
});

test('IPv6 bytes come back from their text, and the URL parser of the platform writes the same', () => {
  fc.assert(
    fc.property(ipv6Bytes, (bytes) => {
      const text = formatIpv6(bytes);
      assert.ok(isIPv6(text));
      assert.deepEqual(parseIpv6(text), bytes);
      // URL serializes as RFC 5952, 4 asks, but never with dots (section 5).
      if (!text.includes('.')) assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`);
    }),
    { numRuns: 2000 },
  );
});

const fragments = fc.constantFrom(
  ...[
    '',
    ':',
    '::',
    '0',
    '1',
    'ffff',
    '10',
    '255',
    '256',
    '.',
    '1.2.3.4',
    'fe80',
    'g',
    '00001',
    '%',
  ],
);

test('what node:net takes for an address is one here, except zones, and nothing else is', () => {
  const text = fc.oneof(
    fc.array(fragments, { maxLength: 12 }).map((parts) => parts.join('')),
    fc.array(fragments, { maxLength: 9 }).map((parts) => parts.join(':')),
    fc.array(fragments, { maxLength: 5 }).map((parts) => parts.join('.')),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(text, (candidate) => {
      assert.equal(parseIpv4(candidate) !== null, isIPv4(candidate), candidate);
      const isPlain = isIPv6(candidate) && !candidate.includes('%');
      assert.equal(parseIpv6(candidate) !== null, isPlain, candidate);
    }),
    { numRuns: 20_000 },
  );
});

for (const text of [
  '010.0.0.1',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '1.2.3.4 ',
  ' 1.2.3.4',
  '0x7f.0.0.1',
  '1.2.3.-4',
  '+1.2.3.4',
  '1..2.3',
  '',
  'any',
  'localhost',
  'fe80::1%eth0',
  ':',
  ':::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '::1::',
  '1::2::3',
  '12345::',
  '::g',
  '::1.2.3',
  '::1.2.3.4:5',
  '1.2.3.4::',
  '::ffff:01.2.3.4',
  '[::1]',
  '１.２.３.４',
]) {
  test(`${JSON.stringify(text)} is no address`, () => {
    assert.equal(parseAddress(text), null);
    assert.equal(parsePrefix(text), null);
  });
}

for (const [text, canonical] of [
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
  ['::FFFF:102:304', '::ffff:1.2.3.4'],
  ['::1.2.3.4', '::102:304'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['2001:DB8::0001', '2001:db8::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // 4.2.3: the first of equal runs
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // 4.2.2: one group stays
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'], // 4.2.3: the longest run
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
] as const) {
  test(`${text} is written ${canonical} (RFC 5952)`, () => {
    const bytes = parseIpv6(text);
    assert.ok(bytes);
    assert.equal(formatIpv6(bytes), canonical);
  });
}

test('a prefix keeps its host bits; its network does not', () => {
  assert.deepEqual(parsePrefix('10.9.0.1/24'), { address: '10.9.0.1', bits: 24 });
  assert.deepEqual(network({ address: '10.9.0.1', bits: 24 }), { address: '10.9.0.0', bits: 24 });
  assert.deepEqual(parsePrefix('fd00:9::1'), { address: 'fd00:9::1', bits: 128 });
  assert.deepEqual(network({ address: 'fd00:9:0:0:1::1', bits: 65 }), {
    address: 'fd00:9::',
    bits: 65,
  });
});

for (const text of [
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '/8',
]) {
  test(`${JSON.stringify(text)} is no prefix`, () => {
    assert.equal(parsePrefix(text), null);
  });
}

test('a block contains exactly the addresses that agree with it in its bits', () => {
  const addresses = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ({ version: 4 as const, bytes })),
    ipv6Bytes.map((bytes) => ({ version: 6 as const, bytes })),
  );
  fc.assert(
    fc.property(addresses, fc.nat(128), fc.nat(127), ({ version, bytes }, wide, flipped) => {
      const width = version === 4 ? 32 : 128;
      const bits = wide % (width + 1);
      const block = { version, bytes, bits } as const;
      assert.ok(contains(block, bytes));
      const other = bytes.slice();
      const bit = flipped % width;
      other[bit >>> 3] = (other[bit >>> 3] ?? 0) ^ (0x80 >>> (bit & 7));
      assert.equal(contains(block, other), bit >= bits);
    }),
    { numRuns: 1000 },
  );
});

test('blocks hold addresses of their own family: ::/0 is not all of IPv4', () => {
  assert.equal(prefixContains({ address: '::', bits: 0 }, '10.0.0.1'), false);
  assert.equal(prefixContains({ address: '0.0.0.0', bits: 0 }, '::1'), false);
  assert.equal(prefixContains({ address: '10.0.0.0', bits: 8 }, '10.255.0.1'), true);
  assert.equal(toBlock({ address: '10.0.0.0', bits: 33 }), null);
  assert.deepEqual(toBlock({ address: '::ffff:10.1.0.0', bits: 112 }), {
    version: 4,
    bytes: Uint8Array.of(10, 1, 0, 0),
    bits: 16,
  });
});
