// ICMP errors, held against the bytes that scapy makes, and who must not get one (RFC 1122, 3.2.2; RFC 4443, 2.4).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IcmpError, icmpError } from '../../src/packet/icmp.js';
import { readInner } from '../../src/packet/inner.js';
import { hex, ipv4, ipv6 } from '../support/packets.js';

const INNER4 =
  '4500002c123440003f1115870a0100020a0200020fa00035001898976162636465666768696a6b6c6d6e6f70';
const INNER6 =
  '600000000017113ffd000001000000000000000000000002fd000002000000000000000000000002' +
  '0fa000350017b3076162636465666768696a6b6c6d6e6f';
const HEAD4 = '45c0004800000000400165e90a0900010a010002';
const HEAD6 = '6c00000000473a40fd000009000000000000000000000001fd000001000000000000000000000002';
const SOURCE4 = hex('0a090001');
const SOURCE6 = hex('fd000009000000000000000000000001');

const TOO_BIG = { kind: 'too-big', mtu: 1376 } as const;
const HOST = { kind: 'unreachable', what: 'host' } as const;
const TIME = { kind: 'time-exceeded' } as const;

const answer4 = (packet: Uint8Array, error: IcmpError): Uint8Array | null =>
  icmpError(readInner(packet, 4), error, SOURCE4);
const answer6 = (packet: Uint8Array, error: IcmpError): Uint8Array | null =>
  icmpError(readInner(packet, 6), error, SOURCE6);

for (const [error, head] of [
  [TOO_BIG, '03040bcc00000560'],
  [TIME, '0b00093000000000'],
  [HOST, '0301112f00000000'],
] as const) {
  test(`over IPv4, ${error.kind} is what scapy makes`, () => {
    assert.deepEqual(answer4(hex(INNER4), error), hex(HEAD4 + head + INNER4));
  });
}

for (const [error, head] of [
  [{ kind: 'too-big', mtu: 1360 }, '02008cf100000550'],
  [TIME, '0300914100000000'],
  [HOST, '0103933e00000000'],
  [{ kind: 'encap-limit', pointer: 44 }, '040090150000002c'],
] as const) {
  test(`over IPv6, ${error.kind} is what scapy makes`, () => {
    assert.deepEqual(answer6(hex(INNER6), error), hex(HEAD6 + head + INNER6));
  });
}

test('an answer quotes as much as fits 576 and 1280 bytes', () => {
  const long4 = ipv4({
    source: '10.1.0.2',
    destination: '10.2.0.2',
    payload: new Uint8Array(1400),
  });
  assert.deepEqual(answer4(long4, TOO_BIG)?.subarray(28), long4.subarray(0, 576 - 28));
  const addresses = { source: 'fd'.repeat(16), destination: 'fd'.repeat(16) };
  const long6 = ipv6({ ...addresses, nextHeader: 17, payload: new Uint8Array(1400) });
  assert.deepEqual(answer6(long6, TOO_BIG)?.subarray(48), long6.subarray(0, 1280 - 48));
});

const GOOD4 = {
  source: '10.1.0.2',
  destination: '10.2.0.2',
  protocol: 17,
  payload: new Uint8Array(8),
};
for (const [what, fields] of [
  ['from 0.0.0.0', { source: '0.0.0.0' }],
  ['from a group', { source: '239.1.1.1' }],
  ['from a loopback address', { source: '127.0.0.1' }],
  ['to a group', { destination: '239.1.1.1' }],
  ['to everyone', { destination: '255.255.255.255' }],
  ['a fragment behind the first', { fragment: 1 }],
  ...[3, 4, 5, 11, 12].map(
    (type) =>
      [
        `ICMP type ${type}`,
        { protocol: 1, payload: Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0) },
      ] as const,
  ),
] as const) {
  test(`over IPv4, nothing answers ${what}`, () => {
    assert.equal(answer4(ipv4({ ...GOOD4, ...fields }), TOO_BIG), null);
  });
}

test('over IPv4, an echo request and a first fragment are answered, an encapsulation limit is not', () => {
  const echo = { protocol: 1, payload: Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0) };
  assert.ok(answer4(ipv4({ ...GOOD4, ...echo }), TOO_BIG));
  assert.ok(answer4(ipv4({ ...GOOD4, fragment: 0x2000 }), TOO_BIG));
  assert.equal(answer4(ipv4(GOOD4), { kind: 'encap-limit', pointer: 40 }), null);
});

const GOOD6 = {
  source: `fd00${'0'.repeat(27)}1`,
  destination: `fd00${'0'.repeat(27)}2`,
  nextHeader: 17,
  payload: new Uint8Array(8),
};
for (const [what, fields] of [
  ['from ::', { source: '0'.repeat(32) }],
  ['from a group', { source: `ff02${'0'.repeat(27)}1` }],
  ['to a group', { destination: `ff02${'0'.repeat(27)}1` }],
  [
    'a fragment behind the first',
    { nextHeader: 44, payload: Uint8Array.of(17, 0, 0, 8, 0, 0, 0, 1) },
  ],
  ['an ICMPv6 error', { nextHeader: 58, payload: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }],
  ['a redirect', { nextHeader: 58, payload: Uint8Array.of(137, 0, 0, 0, 0, 0, 0, 0) }],
  [
    'an ICMPv6 error behind an options header',
    { nextHeader: 60, payload: Uint8Array.of(58, 0, 1, 4, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0) },
  ],
] as const) {
  test(`over IPv6, nothing answers ${what}`, () => {
    assert.equal(answer6(ipv6({ ...GOOD6, ...fields }), HOST), null);
  });
}

test('over IPv6, what is too big for a group is answered all the same', () => {
  const toGroup = ipv6({ ...GOOD6, destination: `ff05${'0'.repeat(27)}1` });
  assert.ok(answer6(toGroup, TOO_BIG));
});
