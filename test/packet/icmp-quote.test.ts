// ICMP errors about outer packets, as scapy makes them, and what else may come under their name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  errorTunnel,
  type QuotedError,
  readIcmp,
  readIcmpError,
} from '../../src/packet/icmp-quote.js';
import { createTable } from '../../src/packet/table.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { hex, internetChecksum } from '../support/packets.js';
import { PLAIN_GRE, PLAIN_IPIP } from '../support/tunnels.js';

const INNER =
  '4500002c123440003f1115870a0100020a0200020fa00035001898976162636465666768696a6b6c6d6e6f70';
/** GRE with key 7 from 192.0.2.1 to 198.51.100.2: too big for 1400 bytes, says 203.0.113.1. */
const TOO_BIG =
  '450000640001000040017c95cb007101c00002010304e3ac00000578' +
  `45000048000140003c2f524fc0000201c63364022000080000000007${INNER}`;
/** GRE-in-UDP: port unreachable. */
const PORT =
  '450000680001000040017c91cb007101c00002010303e97d00000000' +
  `4500004c0001400040114e69c0000201c6336402c35012920038499400000800${INNER}`;
/** The same over IPv6, behind an encapsulation limit. */
const TOO_BIG6 =
  '60000000006c3a4020010db800030000000000000000000220010db8000100000000000000000001' +
  '0200589a00000578' +
  '60000000003c3c4020010db800010000000000000000000120010db8000200000000000000000002' +
  `2f000401040101002000080000000007${INNER}`;

function read(packet: Uint8Array): ReturnType<typeof readIcmpError> {
  const message = readIcmp(packet);
  return message && readIcmpError(message);
}

function readWhole(packet: string): QuotedError {
  const error = read(hex(packet));
  assert.ok(error !== null && error !== 'icmp-malformed');
  return error;
}

/** `packet` with `bytes` of its quote, told by a router that quotes no more. */
function cut(packet: string, bytes: number): Uint8Array {
  const cut = hex(packet).slice(0, 28 + bytes);
  return withChecksums(cut);
}

function withChecksums(packet: Uint8Array): Uint8Array {
  const buffer = Buffer.from(packet);
  buffer.writeUInt16BE(buffer.length, 2);
  buffer.writeUInt16BE(0, 10);
  buffer.writeUInt16BE(internetChecksum(buffer.subarray(0, 20)), 10);
  buffer.writeUInt16BE(0, 22);
  buffer.writeUInt16BE(internetChecksum(buffer.subarray(20)), 22);
  return Uint8Array.from(buffer);
}

test('frag-needed tells the MTU and quotes the packet', () => {
  const { told, quote } = readWhole(TOO_BIG);
  assert.deepEqual(told, { kind: 'too-big', mtu: 1400 });
  assert.equal(quote.protocol, 47);
  assert.equal(quote.key, 7);
  assert.deepEqual(quote.source, hex('c0000201'));
  assert.deepEqual(quote.destination, hex('c6336402'));
  assert.deepEqual(quote.inner, hex(INNER));
});

test('over IPv6 the options header in front of GRE is walked', () => {
  const { told, quote } = readWhole(TOO_BIG6);
  assert.deepEqual(told, { kind: 'too-big', mtu: 1400 });
  assert.equal(quote.key, 7);
  assert.deepEqual(quote.inner, hex(INNER));
});

test('of UDP only what goes to the port of GRE-in-UDP is ours', () => {
  const { told, quote } = readWhole(PORT);
  assert.deepEqual(told, { kind: 'unreachable', what: 'port' });
  assert.equal(quote.key, null);
  assert.deepEqual(quote.inner, hex(INNER));
  const other = hex(PORT);
  other[28 + 23] = 53; // destination port
  assert.equal(read(withChecksums(other)), null);
});

test('a quote of 8 bytes has the key, one of 4 has not, and nothing is read behind either', () => {
  const with8 = read(cut(TOO_BIG, 28));
  assert.ok(with8 !== null && with8 !== 'icmp-malformed');
  assert.equal(with8.quote.key, 7);
  assert.equal(with8.quote.inner.length, 0);
  const with4 = read(cut(TOO_BIG, 24));
  assert.ok(with4 !== null && with4 !== 'icmp-malformed');
  assert.equal(with4.quote.key, undefined);
});

test('a quote that no packet of ours looks like is malformed', () => {
  assert.equal(read(cut(TOO_BIG, 19)), 'icmp-malformed');
  const spoil = (offset: number, value: number): Uint8Array => {
    const packet = hex(TOO_BIG);
    packet[28 + offset] = value;
    return withChecksums(packet);
  };
  assert.equal(read(spoil(0, 0x65)), 'icmp-malformed'); // another version
  assert.equal(read(spoil(0, 0x44)), 'icmp-malformed'); // a header of 16 bytes
  assert.equal(read(spoil(7, 1)), 'icmp-malformed'); // a fragment behind the first
  assert.equal(read(spoil(20, 0x40)), 'icmp-malformed'); // routing
  assert.equal(read(spoil(21, 1)), 'icmp-malformed'); // PPTP
  assert.equal(read(spoil(12, 193)), 'icmp-malformed'); // another sender than the error is for
  assert.equal(read(spoil(9, 6)), null); // TCP: not ours
});

test('an error whose checksum is wrong, and no error, are nothing', () => {
  const wrong = hex(TOO_BIG);
  wrong[40] = 99;
  assert.equal(read(wrong), null);
  const echo = hex(TOO_BIG);
  echo[20] = 8;
  assert.equal(read(withChecksums(echo)), null);
});

test('a router that tells no MTU is taken for one of the next lower plateau', () => {
  const packet = hex(TOO_BIG);
  packet.set([0, 0], 26);
  packet.set([0x05, 0xdc], 28 + 2); // 1500 bytes long
  const error = read(withChecksums(packet));
  assert.ok(error !== null && error !== 'icmp-malformed');
  assert.deepEqual(error.told, { kind: 'too-big', mtu: 1492 });
});

test('what is behind a quote of told length is an extension, not the packet (RFC 4884)', () => {
  const packet = new Uint8Array(28 + 128 + 8).fill(0xee);
  packet.set(hex(TOO_BIG));
  packet.fill(0, 28 + 72, 28 + 128);
  packet[25] = 32; // words
  packet.set([0x00, 0x90], 28 + 2); // the packet had 144 bytes
  const error = read(withChecksums(packet));
  assert.ok(error !== null && error !== 'icmp-malformed');
  assert.equal(error.quote.inner.length, 128 - 28);
});

const BASE = { ...PLAIN_GRE, local: '192.0.2.1', remote: '198.51.100.2' };
const KEYED: Tunnel = { ...BASE, keyIn: 9, keyOut: 7 };

test('the tunnel of an error is found by addresses and the key it sends', () => {
  const find = (tunnels: readonly (Tunnel | undefined)[], packet: Uint8Array): number => {
    const error = read(packet);
    assert.ok(error !== null && error !== 'icmp-malformed');
    return errorTunnel(createTable(tunnels), error.quote);
  };
  const whole = hex(TOO_BIG);
  const other: Tunnel = { ...BASE, keyIn: 8, keyOut: 8 };
  assert.equal(find([undefined, BASE, other, KEYED], whole), 4);
  assert.equal(find([BASE, other], whole), 0);
  assert.equal(find([{ ...KEYED, remote: '198.51.100.3' }], whole), 0);
  assert.equal(find([{ ...KEYED, local: 'any' }], whole), 1);
  assert.equal(find([{ ...KEYED, remote: 'any' }], whole), 0);
  assert.equal(find([{ ...PLAIN_IPIP, local: '192.0.2.1', remote: '198.51.100.2' }], whole), 0);
  // Without its key: by the addresses, when they are those of one tunnel.
  assert.equal(find([KEYED], cut(TOO_BIG, 24)), 1);
  assert.equal(find([KEYED, other], cut(TOO_BIG, 24)), 0);
});

test('nothing that comes makes it throw', () => {
  const changed = fc
    .tuple(
      fc.constantFrom(TOO_BIG, PORT, TOO_BIG6),
      fc.array(fc.tuple(fc.nat(140), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      fc.nat(140),
    )
    .map(([packet, changes, length]) => {
      const bytes = hex(packet);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, Math.max(40, length));
    });
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      read(bytes);
      const version = (bytes[0] ?? 0) >>> 4 === 6 ? 6 : 4;
      const destination = version === 4 ? hex('c0000201') : bytes.subarray(24, 40);
      const message = {
        version,
        destination,
        bytes: bytes.subarray(version === 4 ? 20 : 40),
      } as const;
      const error = readIcmpError(message);
      if (error === null || error === 'icmp-malformed') return;
      assert.ok(error.quote.inner.length <= bytes.length);
      errorTunnel(createTable([KEYED]), error.quote);
    }),
    { numRuns: 3000 },
  );
});
