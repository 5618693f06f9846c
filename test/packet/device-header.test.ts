// What a TUN device is told about packets whose checksum a kernel left to the network card.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decap } from '../../src/packet/index.js';
import { gre, ipv4, tcp, udp } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const TUNNEL = PLAIN_GRE;

const SOURCE = Uint8Array.of(10, 1, 1, 5);
const DESTINATION = Uint8Array.of(10, 2, 2, 9);

/** The device header of an inner packet, as flags, gso_type, hdr_len, gso_size, csum_start, csum_offset. */
function headerOf(protocol: number, payload: Uint8Array, fragment = 0x4000): number[] {
  const inner = ipv4({
    source: SOURCE.join('.'),
    destination: DESTINATION.join('.'),
    protocol,
    fragment,
    payload,
  });
  const outer = ipv4({
    source: TUNNEL.remote,
    destination: TUNNEL.local,
    protocol: 47,
    payload: gre({ payload: inner }),
  });
  const result = decap(outer, [TUNNEL]);
  assert.equal(result.verdict, 'ok');
  const view = new DataView(result.deviceHeader.buffer, result.deviceHeader.byteOffset);
  return [
    view.getUint8(0),
    view.getUint8(1),
    ...[2, 4, 6, 8].map((offset) => view.getUint16(offset, true)),
  ];
}

const upper = { source: SOURCE, destination: DESTINATION };

test('a finished checksum leaves the device header zero', () => {
  assert.deepEqual(headerOf(6, tcp({ ...upper, checksum: 0x1234 })), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(headerOf(17, udp({ ...upper, checksum: 0 })), [0, 0, 0, 0, 0, 0]);
});

test('TCP with a partial checksum is finished by the device', () => {
  const segment = tcp({ ...upper, checksum: 'partial', payload: new Uint8Array(100) });
  assert.deepEqual(headerOf(6, segment), [1, 0, 0, 0, 20, 16]);
});

test('TCP merged past the MTU is cut into segments that fit the tunnel', () => {
  const segment = tcp({ ...upper, checksum: 'partial', payload: new Uint8Array(3000) });
  assert.deepEqual(headerOf(6, segment), [1, 1, 40, 1436, 20, 16]);
});

test('UDP with a partial checksum is finished by the device, and never cut', () => {
  for (const size of [0, 100, 3000]) {
    const datagram = udp({ ...upper, checksum: 'partial', payload: new Uint8Array(size) });
    assert.deepEqual(headerOf(17, datagram), [1, 0, 0, 0, 20, 6], `${size} bytes`);
  }
});

test('a fragment is left alone: its checksum covers more than is there', () => {
  const segment = tcp({ ...upper, checksum: 'partial', payload: new Uint8Array(100) });
  assert.deepEqual(headerOf(6, segment, 0x2000), [0, 0, 0, 0, 0, 0]);
});
