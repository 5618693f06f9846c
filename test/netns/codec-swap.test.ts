// The codec is swapped under traffic, and nothing is lost.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readStatus } from '../../src/demo/router-process.js';
import {
  dropsOf,
  grebe,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';

const COUNT = 6000;
/** The flood must last as long as the swaps take: pings a second. */
const INTERVAL = '0.0005';

const tunnels = (side: Side): string =>
  tunnelTable(
    'gre1',
    side,
    'mode = "gre"',
    'key = 42',
    'csum = true',
    'seq = true',
    `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`,
  );

test('codecs are swapped under a flood of pings and no packet is lost', {
  skip: lacking('ping'),
}, async () => {
  await withLab('swap', { tunnels, ipv6: false }, async ({ rA, a, b }) => {
    const flood = ping(rA, '-q', '-f', '-i', INTERVAL, '-c', `${COUNT}`, '10.9.0.2');
    let isFlooding = true;
    flood.finally(() => {
      isFlooding = false;
    });
    const live: string[] = [];
    for (const name of ['scalar', 'js', 'simd', 'js', 'simd']) {
      assert.ok(isFlooding, `still under traffic at ${name}`);
      await Promise.all(
        [a, b].map(({ socket }) => grebe('codec', 'use', name, '--socket', socket)),
      );
      live.push((await readStatus(b)).codec);
    }
    assert.deepEqual(live, ['scalar', 'js', 'simd', 'js', 'simd']);

    const { sent, received, output } = await flood;
    assert.deepEqual([sent, received], [COUNT, COUNT], output);
    for (const router of [a, b]) {
      const { rx, tx } = await tunnelStatus(router, 'gre1');
      assert.deepEqual([rx.packets, tx.packets], [COUNT, COUNT]);
      assert.deepEqual(await dropsOf(router), {});
    }
  });
});

test('a build that is not a codec is refused and the old one keeps running', {
  skip: lacking('ping'),
}, async () => {
  await withLab('refuse', { tunnels, ipv6: false }, async ({ namespaces, rA, a }) => {
    const file = join(namespaces.folder, 'empty.wasm');
    writeFileSync(file, Buffer.from('0061736d01000000', 'hex')); // magic and version: a module of nothing
    await assert.rejects(grebe('codec', 'use', file, '--socket', a.socket), /empty\.wasm/);
    await assert.rejects(grebe('codec', 'use', './absent.wasm', '--socket', a.socket), /absent/);
    assert.equal((await readStatus(a)).codec, 'simd');
    const { received, output } = await ping(rA, '-c', '3', '-i', '0.01', '10.9.0.2');
    assert.equal(received, 3, output);
  });
});
