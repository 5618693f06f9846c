// The codec is swapped under traffic, and nothing is lost.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { useCodec } from '../../src/control/client.js';
import { readStatus } from '../../src/demo/router-process.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  grebe,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';

/** They last 4 s or more; the swaps take 1 to 2 s. */
const COUNT = 60_000;

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
    const flood = ping(rA, '-q', '-f', '-c', `${COUNT}`, '10.9.0.2');
    let isFlooding = true;
    flood.finally(() => {
      isFlooding = false;
    });
    assert.ok(await eventually(async () => (await tunnelStatus(a, 'gre1')).rx.packets > 100));
    await grebe('codec', 'use', 'scalar', '--socket', a.socket);
    assert.equal((await readStatus(a)).codec, 'scalar');
    for (const name of ['js', 'simd', 'scalar', 'js', 'simd']) {
      await Promise.all([a, b].map(({ socket }) => useCodec(socket, name)));
      assert.ok(isFlooding, `still under traffic at ${name}`);
      assert.equal((await readStatus(b)).codec, name);
    }

    const { sent, output } = await flood;
    assert.equal(sent, COUNT, output);
    for (const router of [a, b]) {
      const isWhole = async (): Promise<boolean> => {
        const { rx, tx } = await tunnelStatus(router, 'gre1');
        return rx.packets === COUNT && tx.packets === COUNT;
      };
      assert.ok(await eventually(isWhole), output);
      assert.deepEqual(await dropsOf(router), {});
    }
  });
});

test('a build that is not a codec is refused and the old one keeps running', {
  skip: lacking(),
}, async () => {
  await withLab('refuse', { tunnels, ipv6: false }, async ({ namespaces, rA, a }) => {
    const file = join(namespaces.folder, 'empty.wasm');
    writeFileSync(file, Buffer.from('0061736d01000000', 'hex')); // magic and version: a module of nothing
    await assert.rejects(grebe('codec', 'use', file, '--socket', a.socket), /empty\.wasm/);
    await assert.rejects(grebe('codec', 'use', './absent.wasm', '--socket', a.socket), /absent/);
    assert.equal((await readStatus(a)).codec, 'simd');
    await assertAnswered(namespaces, rA, '10.9.0.2');
  });
});
