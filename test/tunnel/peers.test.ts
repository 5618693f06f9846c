// One tunnel with many peers: what its device sends goes to the one peer that has the destination, and what comes is
// taken from a peer for what is behind it alone.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { formatIpv4 } from '../../src/packet/address.js';
import { encap } from '../../src/packet/encap.js';
import { reasonName } from '../../src/packet/reason.js';
import type { Peer, Tunnel } from '../../src/packet/tunnel.js';
import { gre, ipv4, ipv6 } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

const LOCAL = '192.0.2.1';

function hub(peers: readonly Peer[], options: Partial<Tunnel> = {}): Tunnel {
  return {
    ...{ name: 'hub', mode: 'gre', local: LOCAL, remote: 'any', ttl: 64, tos: 0, pmtudisc: true },
    ...{ mtu: 1476, link: 0, allow: [], addresses: [{ address: '10.9.0.1', bits: 16 }] },
    ...{ checksumOut: false, sequenceIn: false, sequenceOut: false },
    ...options,
    peers,
  } as Tunnel;
}

const route = (text: string) => {
  const [address = '', bits] = text.split('/');
  return { address, bits: Number(bits) };
};

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});

/** The record and outcome of an inner packet from the device of record 1, the same by every build. */
function sent(inner: Uint8Array): string {
  const told = planes.map((plane) => {
    const [{ tunnel, reason } = assert.fail()] = plane.run('encap', [{ bytes: inner, tunnel: 1 }]);
    return `${tunnel} ${reasonName(reason) ?? 'ok'}`;
  });
  assert.equal(new Set(told).size, 1, told.join(', '));
  return told[0] ?? '';
}

function received(outerSource: string, innerSource: string): string {
  const inner = ipv4({ source: innerSource, destination: '10.9.0.1', protocol: 1 });
  const payload = gre({ payload: inner });
  const bytes = ipv4({ source: outerSource, destination: LOCAL, protocol: 47, payload });
  const told = planes.map((plane) => {
    const [{ tunnel, reason } = assert.fail()] = plane.run('decap', [{ bytes }]);
    return `${tunnel} ${reasonName(reason) ?? 'ok'}`;
  });
  assert.equal(new Set(told).size, 1, told.join(', '));
  return told[0] ?? '';
}

const to4 = (destination: string): Uint8Array =>
  ipv4({ source: '10.9.0.1', destination, protocol: 1 });
const to6 = (destination: string): Uint8Array =>
  ipv6({ source: 'fd00000000000000000000000000000f', destination, nextHeader: 58 });

test('the longest prefix that holds the destination names the peer', () => {
  const tunnel = hub([
    {
      remote: '203.0.113.1',
      routes: [route('10.30.0.0/16'), route('fd00::/8'), route('0.0.0.0/0')],
    },
    {
      remote: '203.0.113.2',
      routes: [route('10.30.4.0/24'), route('fd00:30::/32'), route('::/0')],
    },
    { remote: '203.0.113.3', routes: [route('10.30.4.4/32'), route('fd00:30::5/128')] },
  ]);
  for (const plane of planes) plane.publish([tunnel, undefined]);
  // Peers are records 3, 4 and 5: behind both tunnels.
  assert.equal(sent(to4('10.30.0.1')), '3 ok');
  assert.equal(sent(to4('10.30.4.1')), '4 ok');
  assert.equal(sent(to4('10.30.4.4')), '5 ok');
  assert.equal(sent(to4('8.8.8.8')), '3 ok');
  assert.equal(sent(to6('fd000030000000000000000000000005')), '5 ok');
  assert.equal(sent(to6('fd000030000000000000000000000006')), '4 ok');
  assert.equal(sent(to6('fd000031000000000000000000000006')), '3 ok');
  assert.equal(sent(to6('20010db8000000000000000000000001')), '4 ok');
});

test('a destination behind no peer has no route, and one behind an unknown address waits for it', () => {
  const tunnel = hub([
    { remote: '203.0.113.1', routes: [route('10.30.0.0/16')] },
    { remote: null, routes: [route('10.31.0.0/16')] },
  ]);
  for (const plane of planes) plane.publish([tunnel]);
  assert.equal(sent(to4('10.32.0.1')), '1 no-route');
  assert.equal(sent(to4('224.0.0.5')), '1 no-route');
  assert.equal(sent(to6('fd000030000000000000000000000005')), '1 no-route');
  assert.equal(sent(to4('10.31.0.1')), '3 tunnel-down');
  assert.equal(sent(to4('203.0.113.1')), '1 no-route');
});

test('a peer speaks for what is behind it alone, and who is no peer has no tunnel', () => {
  const tunnel = hub([
    { remote: '203.0.113.1', routes: [route('10.30.0.0/16')] },
    { remote: '203.0.113.2', routes: [route('10.31.0.0/16')] },
  ]);
  for (const plane of planes) plane.publish([tunnel]);
  assert.equal(received('203.0.113.1', '10.30.0.1'), '2 ok');
  assert.equal(received('203.0.113.2', '10.31.0.1'), '3 ok');
  assert.equal(received('203.0.113.2', '10.30.0.1'), '3 inner-src-spoof');
  assert.equal(received('203.0.113.3', '10.30.0.1'), '0 no-tunnel');
  // Asked for by the config: nobody is checked.
  for (const plane of planes) plane.publish([{ ...tunnel, allow: 'any' }]);
  assert.equal(received('203.0.113.2', '10.30.0.1'), '3 ok');
});

test('every peer numbers its own packets', () => {
  const tunnel = hub(
    [
      { remote: '203.0.113.1', routes: [route('10.30.0.0/16')] },
      { remote: '203.0.113.2', routes: [route('10.31.0.0/16')] },
    ],
    { sequenceOut: true } as Partial<Tunnel>,
  );
  const destinations = ['10.30.0.1', '10.31.0.1', '10.31.0.2', '10.30.0.2'];
  for (const plane of planes) {
    plane.publish([tunnel]);
    const batch = destinations.map((destination) => ({ bytes: to4(destination), tunnel: 1 }));
    const numbers = plane
      .run('encap', batch)
      .map(({ window, offset }) =>
        new DataView(window.buffer, window.byteOffset + offset).getUint32(24),
      );
    assert.deepEqual(numbers, [0, 0, 1, 1], plane.codec.name);
  }
});

test('ten thousand peers of one tunnel are published and found', () => {
  const peers = Array.from({ length: 10_000 }, (_, index) => ({
    remote: formatIpv4(0xcb000000 + index),
    routes: [{ address: formatIpv4(0x0b000000 + (index << 8)), bits: 24 }],
  }));
  const tunnel = hub(peers);
  for (const plane of planes) {
    plane.publish([tunnel]);
    const start = performance.now();
    plane.table.publish([tunnel]);
    const elapsedMs = performance.now() - start;
    assert.ok(elapsedMs < 1000, `${elapsedMs} ms`);
  }
  for (const index of [0, 1, 255, 256, 4095, 9_999]) {
    const behind = formatIpv4(0x0b000000 + (index << 8) + 7);
    assert.equal(sent(to4(behind)), `${index + 2} ok`);
    assert.equal(received(formatIpv4(0xcb000000 + index), behind), `${index + 2} ok`);
  }
  assert.equal(sent(to4(formatIpv4(0x0b000000 + (10_000 << 8)))), '1 no-route');
});

test('the library finds the peer as the packet path does', () => {
  const tunnel = hub([{ remote: '203.0.113.1', routes: [route('10.30.0.0/16')] }]);
  const result = encap(to4('10.30.0.1'), tunnel);
  assert.ok(result.verdict === 'ok');
  assert.deepEqual([...result.packet.subarray(16, 20)], [203, 0, 113, 1]);
  assert.equal(encap(to4('10.31.0.1'), tunnel).reason, 'no-route');
});
