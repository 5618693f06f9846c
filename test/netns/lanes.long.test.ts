// Several lanes: every flow keeps its order, every packet is counted once, whatever the underlay.
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { useCodec } from '../../src/control/client.js';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { replaceCable } from '../support/cable.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  HOST4,
  type LabOptions,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  UNDERLAY,
  withLab,
  withWire,
} from '../support/lab.js';
import { streamBetween } from '../support/stream-task.js';
import {
  assertNothingDropped,
  assertTransfer,
  assertTransfers,
  TUNNEL,
  tunnelOf,
  tunnelPeer,
} from '../support/traffic.js';
import { byQueue, redirected } from '../support/wire-count.js';

const skip = lacking('ping', 'ethtool');
const PEER = tunnelPeer('A');
const TRANSFER_SIZE = 8 << 20;
const STOP_LIMIT_MS = 1000;
const plain = tunnelOf({ mode: 'gre', lines: ['key = 5'], version: 4 });
const plain6 = tunnelOf({ mode: 'ip6gre', lines: ['key = 5'], version: 4, outer: 6 });

interface Case {
  readonly name: string;
  readonly router: string;
  readonly lanes: number;
  /** Version of the outer header, 4 unless it says so. */
  readonly outer?: 6;
}

const AUTO = Math.min(availableParallelism(), 4);
const CASES: readonly Case[] = [
  { name: '2 lanes over raw sockets', router: 'lanes = 2', lanes: 2 },
  { name: 'auto lanes over raw sockets', router: 'lanes = "auto"', lanes: AUTO },
  { name: '2 lanes over AF_XDP', router: 'lanes = 2\nunderlay = "xdp"', lanes: 2 },
  { name: 'auto lanes over AF_XDP', router: 'lanes = "auto"\nunderlay = "xdp"', lanes: AUTO },
  {
    name: '2 lanes over AF_XDP without superpackets',
    router: 'lanes = 2\nunderlay = "xdp"\noffload = { gso = false, tso4 = false }',
    lanes: 2,
  },
  { name: '2 lanes over raw sockets of IPv6', router: 'lanes = 2', lanes: 2, outer: 6 },
  {
    name: '2 lanes over AF_XDP and IPv6',
    router: 'lanes = 2\nunderlay = "xdp"',
    lanes: 2,
    outer: 6,
  },
];

for (const { name, router, lanes, outer = 4 } of CASES) {
  const options: LabOptions = {
    ...{ tunnels: outer === 4 ? plain : plain6, outer },
    ...{ hosts: true, ipv6: false, router },
  };
  test(`${name} carry pings, one TCP flow and eight, and count every packet once`, {
    skip,
  }, async () => {
    await withLab('lanes', options, async (lab) => {
      assert.equal((await readStatus(lab.a)).lanes, lanes);
      await assertAnswered(lab.namespaces, lab.rA, PEER);
      await assertAnswered(lab.namespaces, lab.rA, PEER, 3000);
      await assertTransfers(lab, { size: TRANSFER_SIZE });
      await assertTransfers(lab, { size: TRANSFER_SIZE >> 3, flows: 8 });
      await assertNothingDropped(lab);
    });
  });

  test(`${name} keep the order of each of eight UDP flows`, { skip }, async (context) => {
    await withLab('order', options, async (lab) => {
      await assertAnswered(lab.namespaces, lab.rA, PEER);
      await sleep(300);
      const stream = { flows: 8, count: 2000 };
      const path = [lab.hA, lab.hB] as const;
      const result = await streamBetween(lab.namespaces, path, HOST4.B, stream);
      context.diagnostic(`${name}: ${JSON.stringify(result)}`);
      assert.deepEqual([result.reordered, result.repeated], [0, 0]);
      assert.ok(result.received > stream.flows * stream.count * 0.9, `${result.received} arrived`);
      await assertNothingDropped(lab);
    });
  });
}

for (const underlay of ['raw', 'xdp']) {
  const router = `lanes = 2\nunderlay = "${underlay}"`;

  test(`${underlay}: numbered tunnels of either lane drop nothing`, { skip }, async () => {
    const lines = ['key = 5', 'seq = true', 'csum = true'];
    const second = (side: Side): string =>
      tunnelTable(
        'tun2',
        side,
        ...['mode = "gre"', 'key = 6', 'seq = true'],
        `address = ["10.9.2.${side === 'A' ? 1 : 2}/24"]`,
      );
    const numbered = tunnelOf({ mode: 'gre', lines, version: 4 });
    // Which lane reads a numbered tunnel follows from its place.
    for (const order of ['first', 'last']) {
      const tunnels = (side: Side): string =>
        order === 'first' ? numbered(side) + second(side) : second(side) + numbered(side);
      await withLab('seq', { tunnels, hosts: true, ipv6: false, router }, async (lab) => {
        await assertAnswered(lab.namespaces, lab.rA, '10.9.2.2', 3000);
        await assertTransfers(lab, { size: TRANSFER_SIZE });
        await assertTransfer(lab, { from: 'A', size: TRANSFER_SIZE >> 3, flows: 8 });
        await assertNothingDropped(lab);
      });
    }
  });

  test(`${underlay}: codecs are swapped on both lanes under traffic`, { skip }, async () => {
    await withLab('swap', { tunnels: plain, hosts: true, ipv6: false, router }, async (lab) => {
      let isDone = false;
      const transfers = assertTransfer(lab, { from: 'A', size: 64 << 20, flows: 4 });
      transfers.finally(() => {
        isDone = true;
      });
      await eventually(async () => (await tunnelStatus(lab.a, TUNNEL)).tx.packets > 1000);
      for (const name of ['scalar', 'js', 'simd']) {
        assert.ok(!isDone, `still under traffic at ${name}`);
        await Promise.all([lab.a, lab.b].map(({ socket }) => useCodec(socket, name)));
        assert.equal((await readStatus(lab.b)).codec, name);
      }
      await transfers;
      assert.deepEqual([await dropsOf(lab.a), await dropsOf(lab.b)], [{}, {}]);
      // The reference is slow: what it has no time for, the kernel drops before any lane has it.
      const [sent, received] = [
        (await tunnelStatus(lab.a, TUNNEL)).tx,
        (await tunnelStatus(lab.b, TUNNEL)).rx,
      ];
      assert.ok(received.packets <= sent.packets && received.packets > sent.packets * 0.8);
    });
  });

  test(`${underlay}: two lanes stop within a second under traffic`, { skip }, async () => {
    await withLab('stop', { tunnels: plain, ipv6: false, router }, async ({ rA, a }) => {
      const flood = ping(rA, '-q', '-f', '-c', '100000', '-w', '3', PEER);
      assert.ok(await eventually(async () => (await tunnelStatus(a, TUNNEL)).rx.packets > 100));
      const start = performance.now();
      const exit = new Promise((resolve) => a.child.once('exit', resolve));
      a.child.kill('SIGTERM');
      assert.equal(await exit, 0, a.messages());
      const ms = performance.now() - start;
      assert.ok(ms < STOP_LIMIT_MS, `${Math.round(ms)} ms`);
      assert.doesNotMatch(ip('-n', rA, 'link'), /tun1/);
      await flood;
    });
  });

  test(`${underlay}: a device deleted under two lanes is told once, the others carry on`, {
    skip,
  }, async () => {
    const tunnels = (side: Side): string =>
      plain(side) + tunnelTable('lost1', side, 'mode = "ipip"', 'address = ["10.9.3.1/24"]');
    await withLab('lost', { tunnels, hosts: true, ipv6: false, router }, async (lab) => {
      ip('-n', lab.rA, 'link', 'del', 'lost1');
      assert.ok(
        await eventually(async () => (await tunnelStatus(lab.a, 'lost1')).state === 'down'),
      );
      await sleep(300);
      assert.equal(lab.a.messages().match(/device-lost/g)?.length, 1, lab.a.messages());
      await assertTransfers(lab, { size: TRANSFER_SIZE >> 2, flows: 4 });
      await assertNothingDropped(lab);
    });
  });
}

test('a device of four queues has a socket on each, dealt out among two lanes', {
  skip,
}, async (context) => {
  await withWire('queues', { hosts: true, ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    replaceCable(wire, 4);
    for (const router of [rA, rB]) {
      namespaces.run(router, 'ethtool', ['-L', UNDERLAY, 'rx', '4', 'tx', '4']);
    }
    const router = 'lanes = 2\nunderlay = "xdp"';
    const [a, b] = await Promise.all([
      startRouter(namespaces, rA, plain('A'), router),
      startRouter(namespaces, rB, plain('B'), router),
    ]);
    const lab = { ...wire, a, b };
    await assertAnswered(namespaces, rA, PEER);
    await sleep(300);
    const stream = { flows: 8, count: 1000 };
    const result = await streamBetween(namespaces, [wire.hA, wire.hB], HOST4.B, stream);
    assert.deepEqual([result.reordered, result.repeated], [0, 0]);
    await assertTransfers(lab, { size: TRANSFER_SIZE >> 3, flows: 8 });
    await assertNothingDropped(lab);
    const sent = (await tunnelStatus(a, TUNNEL)).tx.packets;
    assert.equal(redirected(namespaces, rB, UNDERLAY), sent, 'no queue is without a socket');
    const queues = byQueue(namespaces, rB, UNDERLAY);
    context.diagnostic(`packets by queue: ${queues}`);
    assert.equal(queues.length, 4);
    assert.ok(queues.filter((count) => count > 0).length >= 2, `${queues}`);
    assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
  });
});

test('queues that a device gets later are served by raw sockets', { skip }, async () => {
  await withWire('later', { hosts: true, ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    replaceCable(wire, 4);
    const useQueues = (count: string): void => {
      for (const router of [rA, rB]) {
        namespaces.run(router, 'ethtool', ['-L', UNDERLAY, 'rx', count]);
      }
      for (const router of [rA, rB]) {
        namespaces.run(router, 'ethtool', ['-L', UNDERLAY, 'tx', count]);
      }
    };
    useQueues('2');
    const router = 'lanes = 2\nunderlay = "xdp"';
    const [a, b] = await Promise.all([
      startRouter(namespaces, rA, plain('A'), router),
      startRouter(namespaces, rB, plain('B'), router),
    ]);
    await assertAnswered(namespaces, rA, PEER);
    useQueues('4');
    const lab = { ...wire, a, b };
    const transfer = { size: TRANSFER_SIZE >> 3, flows: 8 };
    await assertTransfers(lab, transfer);
    await assertNothingDropped(lab);
    const [sent, through] = [
      (await tunnelStatus(a, TUNNEL)).tx.packets,
      redirected(namespaces, rB, UNDERLAY),
    ];
    assert.ok(through > 0 && through < sent, `${through} of ${sent} went to AF_XDP`);
  });
});
