// What peers are asked, byte for byte, and that a peer by the book gives it back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decap } from '../../src/packet/decap.js';
import { encap } from '../../src/packet/encap.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { keepalivePacket, probePacket, probeSource } from '../../src/router/questions.js';
import { gre, hex, internetChecksum, ipv4, ipv6 } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const QUESTION = hex('00000007 0123456789abcdef');
const GRE = 47;

test('a keepalive is a packet from the peer to us, with a GRE header of protocol type 0 in it', () => {
  const packet = keepalivePacket(PLAIN_GRE, QUESTION);
  const expected = ipv4({
    source: PLAIN_GRE.remote,
    destination: PLAIN_GRE.local,
    ...{ protocol: GRE, ttl: 255, tos: 0xc0 },
    payload: gre({ protocol: 0, payload: QUESTION }),
  });
  assert.deepEqual(packet, expected);
});

test('its GRE header has the key and the checksum by which we know the packets of the tunnel', () => {
  const tunnel = { ...PLAIN_GRE, keyIn: 42, keyOut: 7, checksumIn: true };
  const payload = gre({ protocol: 0, key: 42, checksum: true, payload: QUESTION });
  assert.deepEqual(keepalivePacket(tunnel, QUESTION)?.subarray(20), payload);
});

test('over IPv6 it is the same with an IPv6 header', () => {
  const ends = { local: '2001:db8::1', remote: '2001:db8::2' };
  const packet = keepalivePacket({ ...PLAIN_GRE, ...ends, mode: 'ip6gre' }, QUESTION);
  const expected = ipv6({
    source: '20010db8000000000000000000000002',
    destination: '20010db8000000000000000000000001',
    ...{ nextHeader: GRE, hopLimit: 255, trafficClass: 0xc0 },
    payload: gre({ protocol: 0, payload: QUESTION }),
  });
  assert.deepEqual(packet, expected);
});

test('a peer with the same tunnel finds a keepalive in it, and what it sends back is an answer', () => {
  for (const keys of [{}, { keyIn: 42, keyOut: 7, checksumIn: true, checksumOut: true }]) {
    const ours: Tunnel = { ...PLAIN_GRE, ...keys, keepalive: true };
    const theirs: Tunnel = {
      ...{ ...PLAIN_GRE, local: ours.remote, remote: ours.local },
      ...(keys.keyIn === undefined ? {} : { keyIn: 7, keyOut: 42 }),
    };
    const question = keepalivePacket(ours, QUESTION);
    assert.ok(question);
    const sent = encap(question, ours);
    assert.ok(sent.verdict === 'ok');
    const asked = decap(sent.packet, [theirs]);
    assert.ok(asked.verdict === 'local');
    assert.equal(asked.local, 'keepalive');
    assert.deepEqual(asked.packet, question);
    const answered = decap(asked.packet, [ours]);
    assert.ok(answered.verdict === 'local');
    assert.equal(answered.local, 'answer');
    assert.deepEqual(answered.packet, QUESTION);
  }
});

const ADDRESSES = [
  { address: '10.8.0.1', bits: 24 },
  { address: '10.9.0.1', bits: 24 },
  { address: 'fd00:9::1', bits: 64 },
];

test('a probe is an echo request from the address in whose network the target is', () => {
  const probe = { target: '10.9.0.2', identifier: 0x1234 };
  const packet = probePacket({ ...PLAIN_GRE, addresses: ADDRESSES, probe }, QUESTION, 0x10007);
  const icmp = Buffer.concat([hex('0800 0000 1234 0007'), QUESTION]);
  icmp.writeUInt16BE(internetChecksum(icmp), 2);
  const expected = ipv4({
    ...{ source: '10.9.0.1', destination: '10.9.0.2' },
    ...{ protocol: 1, ttl: 255, tos: 0xc0, payload: icmp },
  });
  assert.deepEqual(packet, expected);
});

test('a probe over IPv6 has the checksum that covers its addresses', () => {
  const probe = { target: 'fd00:9::2', identifier: 0x1234 };
  const packet = probePacket({ ...PLAIN_GRE, addresses: ADDRESSES, probe }, QUESTION, 7);
  assert.ok(packet);
  assert.deepEqual(packet.subarray(6, 8), hex('3aff'));
  assert.deepEqual(packet.subarray(40, 42), hex('8000'));
  const pseudo = Buffer.concat([packet.subarray(8, 40), hex('00000014 0000003a')]);
  assert.equal(internetChecksum(Buffer.concat([pseudo, packet.subarray(40)])), 0);
});

test('a probe of a size has it as an inner packet, is not to be fragmented, and is right', () => {
  for (const [target, header, protocol] of [
    ['10.9.0.2', 20, 1],
    ['fd00:9::2', 40, 58],
  ] as const) {
    const tunnel: Tunnel = {
      ...{ ...PLAIN_GRE, addresses: ADDRESSES, probe: { target, identifier: 0x1234 } },
    };
    const packet = probePacket(tunnel, QUESTION, 7, 1280);
    assert.equal(packet?.length, 1280);
    assert.deepEqual(packet?.subarray(header + 8, header + 20), QUESTION);
    if (header === 20) assert.deepEqual(packet?.subarray(6, 8), hex('4000'));
    const sent = encap(packet ?? new Uint8Array(), tunnel);
    assert.equal(sent.verdict, 'ok');
    const pseudo =
      header === 20
        ? []
        : [packet?.subarray(8, 40) ?? [], hex(`000004d8 000000${protocol.toString(16)}`)];
    const icmp = Buffer.concat([...pseudo, packet?.subarray(header) ?? []] as Uint8Array[]);
    assert.equal(internetChecksum(icmp), 0);
  }
});

test('without an address of the family nothing is asked', () => {
  const probe = { target: 'fd00:9::2', identifier: 1 };
  const addresses = ADDRESSES.slice(0, 2);
  assert.equal(probePacket({ ...PLAIN_GRE, addresses, probe }, QUESTION, 1), null);
  assert.equal(probeSource({ ...PLAIN_GRE, addresses: ADDRESSES }, '10.77.0.1'), '10.8.0.1');
});
