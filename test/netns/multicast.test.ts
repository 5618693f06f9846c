// GRE carries what is addressed to many: streams, and the hellos of routing protocols.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  eventually,
  lacking,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets, joinGroup, seeFrames, streamToGroup } from '../support/packet-task.js';
import { hex, ipv4 } from '../support/packets.js';

const GROUP = '239.1.2.3';
const PORT = 5004;
const COUNT = 50;
const OSPF = 89;

const tunnels = (side: Side): string =>
  tunnelTable('gre1', side, 'mode = "gre"', `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`);

test('a multicast stream passes GRE whole and in order', { skip: lacking() }, async () => {
  await withLab('stream', { tunnels }, async ({ namespaces, rA, rB }) => {
    const lines = await joinGroup(namespaces, rB, GROUP, PORT, '10.9.0.2', COUNT);
    streamToGroup(namespaces, rA, GROUP, PORT, '10.9.0.1', COUNT);
    assert.ok(await eventually(() => lines.length >= COUNT), `${lines.length} of ${COUNT} arrived`);
    assert.deepEqual(
      lines,
      Array.from({ length: COUNT }, (_, n) => `datagram ${n + 1}`),
    );
  });
});

test('hellos to 224.0.0.5 with TTL 1 pass GRE as they are', { skip: lacking() }, async () => {
  await withLab('hello', { tunnels, ipv6: false }, async ({ namespaces, rA, rB, b }) => {
    const hello = ipv4({
      source: '10.9.0.1',
      destination: '224.0.0.5',
      protocol: OSPF,
      ttl: 1,
      identification: 7,
      payload: hex('0201 002c 0a09 0001'),
    });
    const expected = Buffer.from(hello).toString('hex');
    const lines = await seeFrames(namespaces, rB, 'gre1');
    injectPackets(namespaces, rA, [hello], 'gre1');
    assert.ok(await eventually(() => lines.includes(expected)), lines.join('\n'));
    assert.deepEqual((await tunnelStatus(b, 'gre1')).drops, {});
  });
});
