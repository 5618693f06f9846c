// Routers start quickly, stop cleanly, and leave nothing behind however they end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, startRouter } from '../../src/demo/router-process.js';
import {
  ANSWERED,
  assertAnswered,
  dropsOf,
  eventually,
  lacking,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
  withWire,
} from '../support/lab.js';

/** contract.md, "Readiness". */
const STOP_LIMIT_MS = 1000;

const tunnels = (side: Side): string => {
  const ours = side === 'A' ? 1 : 2;
  return [
    tunnelTable('gre1', side, 'mode = "gre"', `address = ["10.9.1.${ours}/24"]`),
    tunnelTable('ipip1', side, 'mode = "ipip"', `address = ["10.9.2.${ours}/24"]`),
    tunnelTable('sit1', side, 'mode = "sit"', `address = ["fd00:9::${ours}/64"]`),
  ].join('\n');
};

/** Names of the devices in a namespace, loopback aside. */
function devices(namespace: string): string[] {
  const names = ip('-n', namespace, '-brief', 'link').matchAll(/^([^\s@]+)/gm);
  return [...names].map(([, name = '']) => name).filter((name) => name !== 'lo');
}

function exitOf({ child }: RouterProcess): Promise<{ code: number | null; ms: number }> {
  const start = performance.now();
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve({ code, ms: performance.now() - start }));
  });
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} under traffic ends the router within a second and removes every device`, {
    skip: lacking('ping'),
  }, async () => {
    await withLab('stop', { tunnels, ipv6: true }, async ({ rA, a }) => {
      assert.deepEqual(devices(rA), ['u0', 'gre1', 'ipip1', 'sit1']);
      const flood = ping(rA, '-q', '-f', '-c', '100000', '-w', '3', '10.9.1.2');
      assert.ok(await eventually(async () => (await tunnelStatus(a, 'gre1')).rx.packets > 100));
      const exit = exitOf(a);
      a.child.kill(signal);
      const { code, ms } = await exit;
      assert.equal(code, 0, a.messages());
      assert.ok(ms < STOP_LIMIT_MS, `${Math.round(ms)} ms`);
      assert.deepEqual(devices(rA), ['u0']);
      assert.doesNotMatch(ip('-n', rA, 'route'), /10\.9\./);
      await flood;
    });
  });
}

test('after kill -9 nothing stays, and the next start works at once', {
  skip: lacking(),
}, async (context) => {
  await withLab('kill', { tunnels }, async ({ namespaces, rA, a }) => {
    const exit = exitOf(a);
    a.child.kill('SIGKILL');
    await exit;
    assert.deepEqual(devices(rA), ['u0']);
    const again = await startRouter(namespaces, rA, tunnels('A'));
    context.diagnostic(`ready ${again.readyMs} ms after the start of the process`);
    await assertAnswered(namespaces, rA, '10.9.1.2');
  });
});

test('a second router on the same socket is refused, and the first one stays', {
  skip: lacking(),
}, async () => {
  await withLab('twice', { tunnels }, async ({ namespaces, rA, a }) => {
    await assert.rejects(startRouter(namespaces, rA, tunnels('A')), /already/);
    assert.deepEqual(devices(rA), ['u0', 'gre1', 'ipip1', 'sit1']);
    assert.equal(a.child.exitCode, null);
    await assertAnswered(namespaces, rA, '10.9.1.2');
  });
});

for (const count of [100, 1000]) {
  test(`${count} tunnels start, carry pings and stop`, {
    skip: lacking(),
  }, async (context) => {
    const many = (side: Side): string =>
      Array.from({ length: count }, (_, n) => {
        const ours = side === 'A' ? 1 : 2;
        const address = `10.${100 + (n >> 8)}.${n & 255}.${ours}/30`;
        const words = ['mode = "gre"', `key = ${n}`, `address = ["${address}"]`];
        return tunnelTable(`t${n}`, side, ...words);
      }).join('\n');
    const address = (n: number): string => `10.${100 + (n >> 8)}.${n & 255}.2`;
    await withLab('many', { tunnels: many, ipv6: false }, async ({ namespaces, rA, rB, a, b }) => {
      context.diagnostic(`${count} tunnels ready after ${a.readyMs} and ${b.readyMs} ms`);
      assert.equal(devices(rA).length, count + 1);
      for (const n of [0, 1, count >> 1, count - 1]) {
        await assertAnswered(namespaces, rA, address(n));
        assert.equal((await tunnelStatus(b, `t${n}`)).rx.packets, ANSWERED);
      }
      assert.deepEqual([await dropsOf(a), await dropsOf(b)], [{}, {}]);
      for (const router of [a, b]) {
        const exit = exitOf(router);
        router.child.kill('SIGTERM');
        const { code, ms } = await exit;
        context.diagnostic(`stopped after ${Math.round(ms)} ms with exit code ${code}`);
        // The kernel's part of a thousand is most of a second on a busy machine.
        if (count <= 100) assert.ok(code === 0 && ms < STOP_LIMIT_MS, router.messages());
      }
      assert.deepEqual([devices(rA), devices(rB)], [['u0'], ['u0']]);
    });
  });
}

test('a router whose device is deleted says so and carries on with the others', {
  skip: lacking(),
}, async () => {
  await withLab('lost', { tunnels }, async ({ namespaces, rA, a }) => {
    ip('-n', rA, 'link', 'del', 'gre1');
    assert.ok(await eventually(async () => (await tunnelStatus(a, 'gre1')).state === 'down'));
    assert.ok(await eventually(() => /gre1/.test(a.messages())), a.messages());
    await assertAnswered(namespaces, rA, '10.9.2.2');
  });
});

test('a router starts before its peer and before its underlay is up', {
  skip: lacking(),
}, async () => {
  await withWire('early', {}, async ({ namespaces, rA, rB }) => {
    ip('-n', rA, 'link', 'set', 'u0', 'down');
    await startRouter(namespaces, rA, tunnels('A'));
    ip('-n', rA, 'link', 'set', 'u0', 'up');
    await startRouter(namespaces, rB, tunnels('B'));
    await assertAnswered(namespaces, rA, '10.9.1.2');
  });
});
