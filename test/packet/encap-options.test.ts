import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createState,
  decap,
  decode,
  type Encapped,
  encapGre,
  encapIpip,
  encapSit,
  type GreTunnel,
} from '../../src/packet/index.js';
import { hex, ipv4, ipv6 } from '../support/packets.js';

const INNER = ipv4({
  source: '10.1.1.5',
  destination: '10.2.2.9',
  tos: 0xb9,
  ttl: 9,
  fragment: 0x4000,
});
const INNER6 = ipv6({
  source: '20010db8000a00000000000000000005',
  destination: '20010db8000b00000000000000000009',
  trafficClass: 0x2e,
});
const ENDS = { local: '192.0.2.1', remote: '198.51.100.2' };

function packetOf(result: Encapped): Uint8Array {
  assert.equal(result.verdict, 'ok');
  return result.packet;
}

test('encapGre writes the header that RFC 2784 and 2890 draw', () => {
  const packet = packetOf(encapGre(INNER, { ...ENDS, key: 42, sequence: 7, checksum: true }));
  // 4500 + lengths by hand: 20 outer, 16 GRE, 20 inner; DSCP and ECN of the inner packet.
  assert.deepEqual(packet.slice(0, 10), hex('45b9 0038 0000 4000 402f'));
  assert.deepEqual(packet.slice(12, 24), hex('c0000201 c6336402 b000 0800'));
  assert.deepEqual(packet.slice(26, 36), hex('0000 0000002a 00000007'));
  assert.deepEqual(packet.slice(36), INNER);
  assert.equal(decode(packet)?.gre?.checksumValid, true);
});

test('encapIpip and encapSit put nothing but an IPv4 header in front', () => {
  assert.deepEqual(packetOf(encapIpip(INNER, ENDS)).slice(20), INNER);
  assert.deepEqual(packetOf(encapSit(INNER6, ENDS)).slice(20), INNER6);
  assert.equal(encapIpip(INNER6, ENDS).reason, 'unknown-protocol');
  assert.equal(encapSit(INNER, ENDS).reason, 'unknown-protocol');
});

test('DF is set, or follows the inner packet and leaves room for an identification', () => {
  const options = { ...ENDS, pmtudisc: false, identification: 0xbeef };
  assert.deepEqual(packetOf(encapSit(INNER6, options)).slice(4, 8), hex('beef 0000'));
  assert.deepEqual(packetOf(encapIpip(INNER, options)).slice(4, 8), hex('0000 4000'));
});

test('TTL and TOS are fixed or inherited; the ECN bits always follow the inner packet', () => {
  const packet = packetOf(encapGre(INNER, { ...ENDS, ttl: 'inherit', tos: 0x10 }));
  assert.equal(packet[8], 9);
  assert.equal(packet[1], 0x11);
});

test('a packet that cannot be carried gives a reason, a wrong option throws', () => {
  assert.equal(encapGre(new Uint8Array(0), ENDS).reason, 'inner-truncated');
  assert.equal(encapGre(INNER.subarray(0, 19), ENDS).reason, 'inner-truncated');
  assert.equal(encapGre(Uint8Array.of(...INNER, 0), ENDS).reason, 'inner-header');
  assert.equal(encapGre(new Uint8Array(40).fill(0x55), ENDS).reason, 'inner-version');
  assert.throws(() => encapGre(INNER, { ...ENDS, key: -1 }), RangeError);
  assert.throws(() => encapGre(INNER, { ...ENDS, key: 2 ** 32 }), RangeError);
  assert.throws(() => encapGre(INNER, { ...ENDS, ttl: 256 }), RangeError);
  assert.throws(() => encapGre(INNER, { ...ENDS, local: '010.0.0.1' }), RangeError);
});

test('the largest packet fits its length field, a larger one is too big', () => {
  const largest = ipv4({
    source: '10.1.1.5',
    destination: '10.2.2.9',
    payload: new Uint8Array(65535 - 24 - 20),
  });
  assert.equal(packetOf(encapGre(largest, ENDS)).length, 65535);
  assert.equal(encapGre(largest, { ...ENDS, key: 1 }).reason, 'too-big');
});

test('decap takes the packet out again and remembers sequence numbers in the state it is given', () => {
  const tunnel: GreTunnel = {
    name: 'gre1',
    mode: 'gre',
    local: '198.51.100.2',
    remote: '192.0.2.1',
    keyIn: 42,
    ttl: 64,
    tos: 'inherit',
    pmtudisc: true,
    mtu: 1472,
    link: 0,
    allow: [{ address: '10.1.1.0', bits: 24 }],
    addresses: [{ address: '10.2.2.1', bits: 24 }],
    checksumOut: false,
    sequenceIn: true,
    sequenceOut: false,
  };
  const packet = packetOf(encapGre(INNER, { ...ENDS, key: 42, sequence: 0 }));
  const state = createState();
  const first = decap(packet, [tunnel], state);
  assert.ok(first.verdict === 'ok');
  assert.equal(first.tunnel, tunnel);
  assert.deepEqual(first.packet, INNER);
  assert.equal(decap(packet, [tunnel], state).reason, 'gre-sequence');
  assert.equal(decap(packet, [tunnel]).reason, null);
});
