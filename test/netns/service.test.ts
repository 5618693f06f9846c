// The router as its unit runs it: a user of its own, two capabilities, a read-only system, a manager that listens.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { assertFound, assertHealthy, doctor } from '../support/doctor.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  killRouter,
  lacking,
  ping,
  type Side,
  tunnelTable,
  type Wire,
  withWire,
} from '../support/lab.js';
import { NotifySocket } from '../support/notify-socket.js';

/** Nobody's: no user of this number has to be there. */
const UID = 64_999;
const WATCHDOG_MS = 600;
const PATIENCE_MS = 10_000;
const NET_ADMIN_AND_NET_RAW = 0x3000n;

const address = (side: Side): string => `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`;

function tunnels(side: Side, ...lines: string[]): string {
  return tunnelTable('gre1', side, 'mode = "gre"', 'key = 7', address(side), ...lines);
}

/**
 * Words in front of the router's: a mount namespace with a read-only system but for `folder`, kernel settings included,
 * and a TUN device for everyone as udev has it; then the user, with what the unit leaves to it.
 */
function asService(folder: string, ...environment: string[]): string[] {
  const script = [
    'mount -t tmpfs none /dev/net',
    'mknod -m 0666 /dev/net/tun c 10 200',
    'mount --bind / /',
    'mount -o remount,bind,ro /',
    `mount --bind ${folder} ${folder}`,
    `mount -o remount,bind,rw ${folder}`,
    'mount --bind /proc/sys /proc/sys',
    'mount -o remount,bind,ro /proc/sys',
    'umask 077',
    'exec "$@"',
  ];
  const both = '+net_admin,+net_raw';
  return [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', script.join('\n'), 'sh'],
    ...['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--no-new-privs'],
    ...[`--inh-caps=${both}`, `--ambient-caps=${both}`, `--bounding-set=-all,${both}`],
    ...['env', ...environment],
  ];
}

/** The folder of the service: its socket and its state, which belong to its user. */
function serviceFolder({ namespaces }: Pick<Wire, 'namespaces'>): string {
  const state = join(namespaces.folder, 'state');
  mkdirSync(state, { recursive: true });
  chmodSync(namespaces.folder, 0o755);
  for (const folder of [namespaces.folder, state]) chownSync(folder, UID, UID);
  return state;
}

test('a router runs as its own user on a read-only system, and tells its manager', {
  skip: lacking('unshare', 'setpriv', 'ping'),
}, async () => {
  await withWire('service', { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const state = serviceFolder(wire);
    const path = join(namespaces.folder, 'notify.sock');
    const manager = new NotifySocket(path);
    chmodSync(path, 0o777);
    try {
      const environment = [`NOTIFY_SOCKET=${path}`, `WATCHDOG_USEC=${WATCHDOG_MS * 1000}`];
      const way = asService(namespaces.folder, ...environment, `STATE_DIRECTORY=${state}`);
      const [a] = await Promise.all([
        startRouter(namespaces, rA, tunnels('A', 'seq = true'), '', way),
        startRouter(namespaces, rB, tunnels('B', 'seq = true')),
      ]);
      await assertAnswered(namespaces, rA, '10.9.0.2');
      assertRights(a.child.pid);
      assertLanesFirst(a.child.pid);

      const told: string[] = [];
      const beats = (): number => {
        told.push(...manager.take());
        return told.filter((state) => state === 'WATCHDOG=1').length;
      };
      assert.ok(await eventually(() => beats() >= 3, PATIENCE_MS), told.join('\n'));
      assert.equal(told[0], 'READY=1\nSTATUS=1 tunnel up');
      assert.deepEqual(new Set(told.slice(1)), new Set(['WATCHDOG=1']));

      const examined = await doctor(rA, ['gre1', '--config', a.config]);
      assertHealthy(examined);
      assertFound(examined, {
        ...{ check: 'settings', severity: 'note', tunnel: 'gre1' },
        ...{
          found: /accept_local of gre1 is 0/,
          next: /sysctl -w net.ipv4.conf.gre1.accept_local=1/,
        },
      });

      const ended = once(a.child, 'exit');
      a.child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null], a.messages());
      beats();
      assert.equal(told.at(-1), 'STOPPING=1');
      assert.ok(!ip('-n', rA, 'link').includes('gre1'), 'the device is gone');
      assert.ok(!existsSync(a.socket), 'the socket is gone');
      const kept = JSON.parse(readFileSync(join(state, 'sequences.json'), 'utf8'));
      assert.ok(kept.numbers['gre 192.0.2.1 192.0.2.2 7'] >= 3);
    } finally {
      manager.close();
    }
  });
});

/** Fails unless one thread, that of the lane, is less nice than all others. */
function assertLanesFirst(pid: number | undefined): void {
  const niceness = readdirSync(`/proc/${pid}/task`).map((id) => {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
  const least = Math.min(...niceness);
  assert.equal(niceness.filter((one) => one === least).length, 1, niceness.join(' '));
  assert.ok(niceness.every((one) => one === least || one === Math.min(19, least + 10)));
}

/** Fails unless the process has the rights of the unit, and none besides. */
function assertRights(pid: number | undefined): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  assert.equal(field('Uid'), [UID, UID, UID, UID].join('\t'));
  assert.equal(field('NoNewPrivs'), '1');
  for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb']) {
    assert.equal(BigInt(`0x${field(set)}`), NET_ADMIN_AND_NET_RAW, set);
  }
}

test('a router that was killed goes on with its sequence numbers, and its peer takes the next packet', {
  skip: lacking('ping'),
}, async () => {
  await withWire('numbers', { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const state = serviceFolder(wire);
    const kept = ['env', `STATE_DIRECTORY=${state}`];
    const numbered = (side: Side): string => tunnels(side, 'seq = true');
    const b = await startRouter(namespaces, rB, numbered('B'));
    const first = await startRouter(namespaces, rA, numbered('A'), '', kept);
    const { received } = await ping(rA, '-q', '-i0.002', '-c200', '-W1', '10.9.0.2');
    assert.equal(received, 200);
    await killRouter(first);
    const second = await startRouter(namespaces, rA, numbered('A'), '', kept);
    await assertAnswered(namespaces, rA, '10.9.0.2');
    assert.deepEqual(await dropsOf(b), {});
    await killRouter(second);

    // The same without the folder: what it saves from.
    const third = await startRouter(namespaces, rA, numbered('A'));
    const { received: few } = await ping(rA, '-q', '-c3', '-i0.2', '-W1', '10.9.0.2');
    assert.ok(few < 3, `${few} of 3`);
    assert.ok(((await dropsOf(b))['gre-sequence'] ?? 0) > 0);
    assert.equal((await readStatus(third)).tunnels[0]?.state, 'up');
  });
});
