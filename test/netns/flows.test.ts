// What the network on the way may tell flows apart by: UDP source ports and flow labels, by choice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  lacking,
  OUTER,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  tunnelTable6,
  withLab,
} from '../support/lab.js';
import { seeFrames } from '../support/packet-task.js';

/** Three inner addresses each side: pings between them are nine flows. */
function addresses(side: Side): string {
  const host = side === 'A' ? 1 : 2;
  return `address = [${[1, 2, 3].map((net) => `"10.9.${net}.${host}/24"`).join(', ')}]`;
}

async function pingAll(namespace: string): Promise<void> {
  for (const net of [1, 2, 3]) {
    const words = ['-q', '-c', '2', '-i', '0.02', '-W', '2', `10.9.${net}.2`];
    const { received, output } = await ping(namespace, ...words);
    assert.equal(received, 2, output);
  }
}

/** Source ports of the datagrams to GRE-in-UDP that `source` sent. */
function portsFrom(frames: readonly string[], source: string): Set<number> {
  const datagrams = frames
    .map((frame) => Buffer.from(frame, 'hex'))
    .filter((bytes) => bytes.readUInt16BE(12) === 0x0800 && bytes[23] === 17)
    .filter((bytes) => [...bytes.subarray(26, 30)].join('.') === source);
  for (const bytes of datagrams) assert.equal(bytes.readUInt16BE(36), 4754);
  return new Set(datagrams.map((bytes) => bytes.readUInt16BE(34)));
}

async function assertUntouched(routers: Parameters<typeof dropsOf>[0][]): Promise<void> {
  for (const router of routers) {
    assert.deepEqual(await dropsOf(router), {});
    const { rx, tx } = await tunnelStatus(router, 'tun1');
    assert.deepEqual([rx.packets, tx.packets], [6, 6]);
  }
}

test('gre-udp sends all packets from the port that it was told, or from one of its own choice', {
  skip: lacking('ping'),
}, async () => {
  const tunnels = (side: Side): string =>
    tunnelTable(
      'tun1',
      side,
      'mode = "gre-udp"',
      `sport = ${side === 'A' ? '4754' : '"random"'}`,
      addresses(side),
    );
  await withLab('sport', { tunnels, ipv6: false }, async ({ namespaces, rA, rB, a, b }) => {
    const frames = await seeFrames(namespaces, rB, 'u0');
    await pingAll(rA);
    assert.deepEqual([...portsFrom(frames, OUTER.A)], [4754]);
    const [port = 0, ...more] = portsFrom(frames, OUTER.B);
    assert.deepEqual(more, []);
    assert.ok(port >= 49152, String(port));
    await assertUntouched([a, b]);
  });
});

test('gre-udp without a port of its own uses several', { skip: lacking('ping') }, async () => {
  const tunnels = (side: Side): string =>
    tunnelTable('tun1', side, 'mode = "gre-udp"', addresses(side));
  await withLab('sports', { tunnels, ipv6: false }, async ({ namespaces, rA, rB }) => {
    const frames = await seeFrames(namespaces, rB, 'u0');
    await pingAll(rA);
    assert.ok(portsFrom(frames, OUTER.A).size > 1);
  });
});

for (const mode of ['ip6gre', 'gre-udp'] as const) {
  test(`${mode} over IPv6 gives each flow a label of its own, the same for all its packets`, {
    skip: lacking('ping'),
  }, async () => {
    const tunnels = (side: Side): string =>
      tunnelTable6('tun1', side, `mode = "${mode}"`, 'flowlabel = "flow"', addresses(side));
    await withLab('labels', { tunnels, ipv6: false, outer: 6 }, async (lab) => {
      const { namespaces, rA, rB, a, b } = lab;
      const frames = await seeFrames(namespaces, rB, 'u0');
      await pingAll(rA);
      const labels = frames
        .map((frame) => Buffer.from(frame, 'hex'))
        .filter((bytes) => bytes.readUInt16BE(12) === 0x86dd && [17, 47].includes(bytes[20] ?? 0))
        .map((bytes) => bytes.readUInt32BE(14) & 0xfffff);
      assert.equal(labels.length, 12);
      assert.ok(!labels.includes(0));
      assert.equal(new Set(labels).size, 6, 'three flows each way');
      await assertUntouched([a, b]);
      await assertAnswered(namespaces, rA, '10.9.1.2', 3000);
      assert.equal((await tunnelStatus(b, 'tun1')).rx.packets, 6 + 3 * ANSWERED);
    });
  });
}
