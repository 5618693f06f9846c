// What goes wrong at the start is said with object, cause and next command, and leaves nothing half made.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ip, type Namespaces } from '../../src/demo/namespaces.js';
import { EXIT } from '../../src/sys/failure.js';
import { GREBE, lacking, tunnelTable, withWire } from '../support/lab.js';

const NOBODY = '65534';
const DROP = ['--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'];
const START_LIMIT_MS = 10_000;

interface Outcome {
  readonly code: number | null;
  readonly message: string;
}

/** Runs `grebe run` with this config to its end; `before` are words in front of the command. */
function runToEnd(
  namespaces: Namespaces,
  namespace: string,
  tunnels: string,
  before: readonly string[] = [],
): Outcome {
  const config = join(namespaces.folder, 'bad.toml');
  const socket = join(namespaces.folder, 'bad.sock');
  writeFileSync(config, `[router]\nsocket = ${JSON.stringify(socket)}\n${tunnels}`);
  const command = [...before, process.execPath, GREBE, 'run', '--config', config];
  const { status, stderr } = spawnSync('ip', ['netns', 'exec', namespace, ...command], {
    encoding: 'utf8',
    timeout: START_LIMIT_MS,
  });
  return { code: status, message: stderr };
}

const GOOD = tunnelTable('good1', 'A', 'mode = "gre"', 'address = ["10.9.0.1/24"]');
const BAD = tunnelTable('bad1', 'A', 'mode = "gre"', 'key = 1');

/** Asserts that a start failed like this, and that no device of it is there. */
function assertRefused(
  { code, message }: Outcome,
  expected: { readonly code: number; readonly says: readonly RegExp[] },
  namespace: string,
): void {
  assert.equal(code, expected.code, message);
  for (const words of expected.says) assert.match(message, words);
  assert.doesNotMatch(message, /internal error|\n\s+at /, 'no stack trace');
  assert.doesNotMatch(ip('-n', namespace, 'link'), /good1/);
}

test('a local address of another machine is refused', { skip: lacking() }, async () => {
  await withWire('foreign', {}, async ({ namespaces, rA }) => {
    const foreign = BAD.replace('192.0.2.1', '203.0.113.9');
    const says = [/bad1/, /203\.0\.113\.9/, /ip .*address/];
    const outcome = runToEnd(namespaces, rA, GOOD + foreign);
    assertRefused(outcome, { code: EXIT.kernelRefused, says }, rA);
  });
});

test('the name of an interface that exists is refused, and that interface stays', {
  skip: lacking(),
}, async () => {
  await withWire('taken', {}, async ({ namespaces, rA }) => {
    ip('-n', rA, 'tuntap', 'add', 'taken1', 'mode', 'tun');
    const says = [/taken1/, /exists.*EEXIST/, /ip .*link/];
    const outcome = runToEnd(namespaces, rA, GOOD + BAD.replace('bad1', 'taken1'));
    assertRefused(outcome, { code: EXIT.kernelRefused, says }, rA);
    assert.match(ip('-n', rA, 'link'), /taken1/);
  });
});

test('a device to bind to that is not there is refused', { skip: lacking() }, async () => {
  await withWire('absent', {}, async ({ namespaces, rA }) => {
    const outcome = runToEnd(namespaces, rA, `${GOOD}dev = "nothere0"\n`);
    assertRefused(
      outcome,
      { code: EXIT.kernelRefused, says: [/good1/, /nothere0.*ENODEV/, /ip link/] },
      rA,
    );
  });
});

test('an IPv6 address on a device that is told to be too small for IPv6 is refused with the MTUs', {
  skip: lacking(),
}, async () => {
  await withWire('small', {}, async ({ namespaces, rA }) => {
    const outcome = runToEnd(namespaces, rA, `${GOOD}mtu = 1256\nroutes = ["fd00:20::/32"]\n`);
    const says = [/good1/, /fd00:20::/, /1280/, /1256/, /EINVAL/, /mtu/];
    assertRefused(outcome, { code: EXIT.kernelRefused, says }, rA);
  });
});

test('a probe that the path to the remote does not take is refused with the MTU', {
  skip: lacking(),
}, async () => {
  await withWire('probe', { ipv6: false }, async ({ namespaces, rA }) => {
    ip('-n', rA, 'link', 'set', 'u0', 'mtu', '1280');
    const probe = 'probe = { target = "10.9.0.2", size = 1257 }\n';
    const outcome = runToEnd(namespaces, rA, `${GOOD}${probe}`);
    const says = [/good1/, /probe\.size = 1257/, /1256/];
    assertRefused(outcome, { code: EXIT.config, says }, rA);
  });
});

test('a route that is there already is refused, and the devices are taken away again', {
  skip: lacking(),
}, async () => {
  await withWire('route', {}, async ({ namespaces, rA }) => {
    ip('-n', rA, 'route', 'add', '10.77.0.0/16', 'dev', 'u0');
    const outcome = runToEnd(namespaces, rA, `${GOOD}routes = ["10.77.0.0/16"]\n`);
    assertRefused(outcome, { code: EXIT.kernelRefused, says: [/good1/, /10\.77\.0\.0/] }, rA);
    assert.match(ip('-n', rA, 'route'), /10\.77\.0\.0\/16 dev u0/);
  });
});

test('two tunnels with the same ends and key are refused by line and column', {
  skip: lacking(),
}, async () => {
  await withWire('same', {}, async ({ namespaces, rA }) => {
    const outcome = runToEnd(namespaces, rA, GOOD + BAD.replace('key = 1', ''));
    const says = [/bad\.toml:\d+:\d+ +error +\[E\d+\]/, /bad1/, /good1/];
    assertRefused(outcome, { code: EXIT.config, says }, rA);
  });
});

test('a config that does not parse is refused by line and column', {
  skip: lacking(),
}, async () => {
  await withWire('parse', {}, async ({ namespaces, rA }) => {
    const outcome = runToEnd(namespaces, rA, `${GOOD}ttl = = 3\n`);
    assertRefused(outcome, { code: EXIT.config, says: [/bad\.toml:\d+:\d+ +error/] }, rA);
  });
});

test('a config that is not there is refused', { skip: lacking() }, () => {
  const command = [GREBE, 'run', '--config', '/nonexistent/grebe.toml'];
  const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  assert.equal(status, EXIT.noInput, stderr);
  assert.match(stderr, /\/nonexistent\/grebe\.toml/);
});

test('without /dev/net/tun the message says how to get it', {
  skip: lacking('unshare'),
}, async () => {
  await withWire('notun', {}, async ({ namespaces, rA }) => {
    const hidden = 'mount -t tmpfs grebe-test /dev/net && exec "$@"';
    const outcome = runToEnd(namespaces, rA, GOOD, ['unshare', '-m', 'sh', '-c', hidden, 'sh']);
    const says = [/\/dev\/net\/tun/, /ENOENT/, /modprobe tun/];
    assertRefused(outcome, { code: EXIT.kernelRefused, says }, rA);
  });
});

test('without rights the message names the capability and the line that grants it', {
  skip: lacking('setpriv'),
}, async () => {
  await withWire('rights', {}, async ({ namespaces, rA }) => {
    chmodSync(namespaces.folder, 0o777);
    const outcome = runToEnd(namespaces, rA, GOOD, ['setpriv', ...DROP]);
    const says = [/CAP_NET_ADMIN|CAP_NET_RAW/, /setcap/];
    assertRefused(outcome, { code: EXIT.noPermission, says }, rA);
  });
});

test('a router with just the two capabilities runs as nobody', {
  skip: lacking('unshare', 'setpriv'),
}, async () => {
  await withWire('caps', {}, async ({ namespaces, rA }) => {
    chmodSync(namespaces.folder, 0o777);
    // As the kernel's own documentation wants it: the device is open to everyone.
    const openTun = 'mount -t tmpfs grebe-test /dev/net && mknod -m 666 /dev/net/tun c 10 200';
    const caps = '+net_admin,+net_raw';
    const keep = ['setpriv', ...DROP, '--inh-caps', caps, '--ambient-caps', caps];
    const outcome = runToEnd(namespaces, rA, GOOD, [
      ...['unshare', '-m', 'sh', '-c', `${openTun} && exec "$@"`, 'sh'],
      ...['timeout', '-s', 'TERM', '1', ...keep],
    ]);
    assert.match(outcome.message, /ready: 1 tunnel/);
    assert.match(outcome.message, /stopped/);
  });
});

test('a router whose program was given the two capabilities runs as nobody, as the message says', {
  skip: lacking('unshare', 'setpriv', 'setcap'),
}, async () => {
  await withWire('setcap', {}, async ({ namespaces, rA }) => {
    chmodSync(namespaces.folder, 0o777);
    const node = join(namespaces.folder, 'node');
    copyFileSync(realpathSync(process.execPath), node);
    execFileSync('setcap', ['cap_net_admin,cap_net_raw+ep', node]);
    const openTun = 'mount -t tmpfs grebe-test /dev/net && mknod -m 666 /dev/net/tun c 10 200';
    const outcome = runToEnd(namespaces, rA, GOOD, [
      ...['unshare', '-m', 'sh', '-c', `${openTun} && exec "$@"`, 'sh'],
      ...[
        'timeout',
        '-s',
        'TERM',
        '2',
        'setpriv',
        ...DROP,
        'sh',
        '-c',
        'shift; exec "$0" "$@"',
        node,
      ],
    ]);
    assert.match(outcome.message, /ready: 1 tunnel/);
    assert.match(outcome.message, /stopped/);
  });
});
