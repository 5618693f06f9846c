// What the service does where something is wrong: a lane that is stuck, a tunnel that is down, a state that cannot be kept.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { useCodec } from '../../src/control/client.js';
import { ip } from '../../src/demo/namespaces.js';
import { startRouter } from '../../src/demo/router-process.js';
import { compileChanged } from '../codec/altered-build.js';
import {
  assertAnswered,
  eventually,
  lacking,
  ping,
  type Side,
  tunnelTable,
  withWire,
} from '../support/lab.js';
import { NotifySocket } from '../support/notify-socket.js';

const WATCHDOG_MS = 600;
const PATIENCE_MS = 10_000;
/** The router looks every 10 s. */
const SHOWN_MS = 15_000;

function tunnels(side: Side, ...lines: string[]): string {
  const address = `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`;
  return tunnelTable('gre1', side, 'mode = "gre"', 'key = 7', address, ...lines);
}

test('the manager is shown how many tunnels are up, and the log how many packets were dropped', {
  skip: lacking('ping'),
}, async () => {
  await withWire('shown', { ipv6: false }, async ({ namespaces, rA, rB }) => {
    const path = join(namespaces.folder, 'notify.sock');
    const manager = new NotifySocket(path);
    try {
      const a = await startRouter(namespaces, rA, tunnels('A'), '', [
        'env',
        `NOTIFY_SOCKET=${path}`,
      ]);
      assert.ok(await eventually(() => manager.take().includes('READY=1\nSTATUS=1 tunnel up')));
      await startRouter(namespaces, rB, tunnels('B'));
      ip('-n', rB, 'address', 'add', '10.77.0.1/32', 'dev', 'lo');
      await ping(rB, '-q', '-c30', '-i0.01', '-W1', '-I', '10.77.0.1', '10.9.0.1');
      ip('-n', rA, 'link', 'set', 'gre1', 'down');
      const isShown = (): boolean => manager.take().includes('STATUS=0/1 tunnel up');
      assert.ok(await eventually(isShown, SHOWN_MS), a.messages());
      assert.equal(a.messages().split('"event":"drops"').length, 2, a.messages());
      assert.match(a.messages(), /"msg":"gre1: 30 inner-src-spoof drops in 10 s"/);
    } finally {
      manager.close();
    }
  });
});

/** Bytes of the packet that the codec below never gets done with, and what of them ping(8) is asked for. */
const FATAL_LENGTH = 1234;
const FATAL_PAYLOAD = `${FATAL_LENGTH - 28}`;

test('a lane that is stuck in its codec starves the watchdog, and the router still stops', {
  skip: lacking('ping'),
}, async () => {
  await withWire('stuck', { ipv6: false }, async (wire) => {
    const { namespaces, rA } = wire;
    const length = 'const length = first + load<u32>(descriptor, DESCRIPTOR_PAYLOAD_LENGTH);';
    const after = `${length}\n  while (length === ${FATAL_LENGTH}) {}`;
    const codec = join(namespaces.folder, 'stuck.wasm');
    writeFileSync(codec, await compileChanged({ file: 'encap.ts', before: length, after }));
    const path = join(namespaces.folder, 'notify.sock');
    const manager = new NotifySocket(path);
    try {
      const environment = [`NOTIFY_SOCKET=${path}`, `WATCHDOG_USEC=${WATCHDOG_MS * 1000}`];
      const before = ['env', ...environment];
      const a = await startRouter(namespaces, rA, tunnels('A'), 'lanes = 2', before);
      await useCodec(a.socket, codec);
      await ping(rA, '-c1', '-W1', '10.9.0.2');
      const isFed = (): boolean => manager.take().includes('WATCHDOG=1');
      assert.ok(await eventually(isFed, PATIENCE_MS), 'with the same codec, before that packet');

      await ping(rA, '-c1', '-W1', '-s', FATAL_PAYLOAD, '10.9.0.2');
      const isSaid = (): boolean => /"event":"lane-stuck","lanes":\[[01]\]/.test(a.messages());
      assert.ok(await eventually(isSaid, PATIENCE_MS), a.messages());
      manager.take();
      await new Promise((resolve) => setTimeout(resolve, 3 * WATCHDOG_MS));
      assert.deepEqual(manager.take(), [], 'nothing feeds the watchdog');
      assert.equal(a.messages().split('lane-stuck').length, 2, 'it is said once');

      const ended = once(a.child, 'exit');
      a.child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null], a.messages());
    } finally {
      manager.close();
    }
  });
});

test('a state that makes no sense, or a disk that takes none, is a warning, and the router runs', {
  skip: lacking('ping'),
}, async () => {
  await withWire('nostate', { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const state = join(namespaces.folder, 'state');
    mkdirSync(state);
    const numbered = (side: Side): string => tunnels(side, 'seq = true');
    await startRouter(namespaces, rB, tunnels('B', 'seq = { in = false, out = true }'));
    writeFileSync(join(state, 'sequences.json'), '{"schema":"grebe.seq');
    const broken = await startRouter(namespaces, rA, numbered('A'), '', [
      'env',
      `STATE_DIRECTORY=${state}`,
    ]);
    assert.match(broken.messages(), /sequences.json makes no sense/);
    await assertAnswered(namespaces, rA, '10.9.0.2');
    await namespaces.stop(broken.child);
    const full = await startRouter(namespaces, rA, numbered('A'), '', [
      ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec'],
      ...[
        `mount -t tmpfs -o size=4k none ${state}; dd if=/dev/zero of=${state}/full bs=4k count=1 2>/dev/null; exec "$@"`,
      ],
      ...['sh', 'env', `STATE_DIRECTORY=${state}`],
    ]);
    assert.match(full.messages(), /sequence numbers are not kept in .*ENOSPC/);
    await assertAnswered(namespaces, rA, '10.9.0.2');
  });
});
