// What a reload is said to do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { diffConfigs, isNothing, takeLive } from '../../src/router/diff.js';

function config(text: string): Config {
  const { config: read, diagnostics } = parseConfig(Buffer.from(text), 'grebe.toml');
  assert.ok(read, JSON.stringify(diagnostics));
  return read;
}

const gre = (name: string, ...lines: string[]): string =>
  [`[tunnel.${name}]`, 'mode = "gre"', 'allow = ["any"]', ...lines, ''].join('\n');
const A = 'remote = "192.0.2.2"';
const ONE = { laneCount: 1, lost: new Set<string>() };

test('configs that say the same in other words do not differ', () => {
  const before = config(
    gre('a', A, 'key = 42', 'csum = true', 'keepalive = {}', 'local = "192.0.2.1"'),
  );
  const after = config(
    `[router]\nlanes = 1\n${gre('a', 'csum = { in = true, out = true }', 'key = "0.0.0.42"', A, 'ttl = 64', 'local = "192.0.2.1"', 'keepalive = { interval = "10s" }')}`,
  );
  assert.ok(isNothing(diffConfigs(before, after, ONE)));
});

test('keys change in place, ends move, modes rebuild; with several lanes so does a queue of its own', () => {
  const before = config(gre('a', A, 'ttl = 9'));
  const kind = (text: string, laneCount = 1) => {
    const [change] = diffConfigs(before, config(text), { ...ONE, laneCount }).tunnels;
    return [change?.kind, 'keys' in (change ?? {}) ? Reflect.get(change ?? {}, 'keys') : []];
  };
  assert.deepEqual(kind(gre('a', A, 'tos = 0x10')), [
    'change',
    [
      { key: 'ttl', before: '9', after: null },
      { key: 'tos', before: null, after: '0x10' },
    ],
  ]);
  const remote = [{ key: 'remote', before: '"192.0.2.2"', after: '"192.0.2.9"' }];
  assert.deepEqual(kind(gre('a', 'remote = "192.0.2.9"', 'ttl = 9')), ['move', remote]);
  const seq = [{ key: 'seq', before: null, after: 'true' }];
  assert.deepEqual(kind(gre('a', A, 'ttl = 9', 'seq = true')), ['change', seq]);
  assert.deepEqual(kind(gre('a', A, 'ttl = 9', 'seq = true'), 2), ['rebuild', seq]);
  const mode = [{ key: 'mode', before: '"gre"', after: '"ipip"' }];
  assert.deepEqual(kind(gre('a', A, 'ttl = 9').replace('"gre"', '"ipip"')), ['rebuild', mode]);
});

test('peers with other routes change in place, another peer is a move', () => {
  const hub = (...peers: string[]): Config =>
    config(
      gre('hub', 'remote = "any"', `peers = [${peers.join(', ')}]`).replace(
        'allow = ["any"]\n',
        '',
      ),
    );
  const peer = (remote: number, net: number): string =>
    `{ remote = "192.0.2.${remote}", routes = ["10.${net}.0.0/16"] }`;
  const kind = (after: Config) => diffConfigs(hub(peer(2, 1)), after, ONE).tunnels[0]?.kind;
  assert.equal(kind(hub(peer(2, 7))), 'change');
  assert.equal(kind(hub(peer(3, 1))), 'move');
  assert.equal(kind(hub(peer(2, 1), peer(3, 2))), 'move');
});

test('a tunnel whose name alone is another is renamed, once, and told before what comes', () => {
  const before = config(gre('a', A) + gre('b', A, 'key = 1') + gre('c', A, 'key = 2'));
  const after = config(gre('x', A) + gre('b', A, 'key = 1') + gre('d', A, 'key = 3'));
  assert.deepEqual(diffConfigs(before, after, ONE).tunnels, [
    { kind: 'rename', name: 'a', to: 'x' },
    { kind: 'remove', name: 'c' },
    { kind: 'add', name: 'd' },
  ]);
});

test('a device that is gone is a reason to rebuild, though no key differs', () => {
  const same = config(gre('a', A));
  const [change] = diffConfigs(same, same, { laneCount: 1, lost: new Set(['a']) }).tunnels;
  assert.deepEqual(change, {
    ...{ kind: 'rebuild', name: 'a', keys: [] },
    why: 'its device was removed from under the router',
  });
});

test('of [router] the codec and the level of the log are taken over, the rest waits for a restart', () => {
  const before = config(`[router]\nlanes = 1\n${gre('a', A)}`);
  const after = config(
    `[router]\nlanes = 2\ncodec = "js"\nbusypoll = 5\nlog = { level = "debug", format = "json" }\n${gre('a', A)}`,
  );
  const { tunnels, router, restart } = diffConfigs(before, after, ONE);
  assert.deepEqual(tunnels, []);
  assert.deepEqual(
    [router.map(({ key }) => key), restart.map(({ key }) => key)],
    [
      ['codec', 'log.level'],
      ['lanes', 'busypoll', 'log.format'],
    ],
  );
  const taken = takeLive(before.router, after.router);
  const rest = diffConfigs({ ...before, router: taken }, after, ONE);
  assert.deepEqual([rest.router, rest.restart.length], [[], 3]);
});
