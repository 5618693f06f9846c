// Dumps that a router writes by itself, of real traffic, onto a disk that becomes full.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  assertAnswered,
  eventually,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';

const PATIENCE_MS = 20_000;
const BURST = 50;
const GRE = 47;
const DISK = 256 * 1024;

const tunnels = (side: Side): string =>
  tunnelTable(
    'gre1',
    side,
    ...['mode = "gre"', 'key = 7', `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`],
    'keepalive = { interval = "100ms", count = 3 }',
  );

/** Packets of no tunnel, from the peer of A. */
const STRANGE = Array.from({ length: BURST }, (_, identification) =>
  ipv4({
    ...{ source: OUTER.B, destination: OUTER.A, protocol: GRE, identification: identification + 1 },
    payload: gre({ key: 8, payload: ipv4({ source: '10.9.0.2', destination: '10.9.0.1' }) }),
  }),
);

function run(...[program = '', ...words]: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Names of the dumps without their times. */
function kindsIn(folder: string): string[] {
  return readdirSync(folder).map((name) => name.replace(/^[^-]*-/, ''));
}

/** Comments of all packets, none of which tshark finds malformed. */
function commentsIn(folder: string, kind: string): string[] {
  const name = readdirSync(folder).find((one) => one.endsWith(kind)) ?? '';
  const fields = ['-e', 'frame.comment', '-e', '_ws.malformed'];
  const output = run('tshark', '-n', '-r', join(folder, name), '-T', 'fields', ...fields);
  const rows = output.split('\n').filter((line) => line !== '');
  assert.ok(rows.length > 0 && rows.every((row) => row.endsWith('\t')), output);
  return rows;
}

async function withDisk(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-disk-'));
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  run('mount', '-t', 'tmpfs', '-o', `size=${DISK}`, 'grebe-test', disk);
  try {
    await use(join(disk, 'dumps'));
  } finally {
    run('umount', disk);
    rmSync(folder, { recursive: true });
  }
}

test('a lost peer and a burst of drops leave dumps; a full disk leaves a warning, and traffic goes on', {
  skip: lacking('tshark', 'ping'),
}, async () => {
  await withDisk(async (folder) => {
    const router = (side: Side): string =>
      side === 'A' ? `recorder = { dumps = "${folder}", burst = ${BURST} }` : '';
    await withLab(
      'dumps',
      { tunnels, router, ipv6: false },
      async ({ namespaces, rA, rB, a, b }) => {
        const is = (state: string) => async (): Promise<boolean> =>
          (await tunnelStatus(a, 'gre1')).state === state;
        await assertAnswered(namespaces, rA, '10.9.0.2');
        b.child.kill('SIGSTOP');
        try {
          assert.ok(await eventually(is('down'), PATIENCE_MS), a.messages());
        } finally {
          b.child.kill('SIGCONT');
        }
        assert.ok(await eventually(() => kindsIn(folder).includes('gre1-down.pcapng')));
        assert.match(
          a.messages(),
          /the peer is lost: the last packets of gre1 are in .*-gre1-down/,
        );
        const kept = commentsIn(folder, 'gre1-down.pcapng');
        // The pings from before the loss are there, though keepalives went on.
        assert.ok(
          kept.some((comment) => comment.startsWith('forwarded')),
          kept.join('\n'),
        );
        assert.ok(await eventually(is('up'), PATIENCE_MS), a.messages());

        injectPackets(namespaces, rB, STRANGE);
        const burst = 'no-tunnel-at-all-drops.pcapng';
        assert.ok(await eventually(() => kindsIn(folder).includes(burst), 5000), a.messages());
        const drops = commentsIn(folder, burst);
        assert.equal(drops.length, 16);
        assert.ok(
          drops.every((comment) => comment.startsWith('drop: no-tunnel;')),
          drops.join('\n'),
        );
      },
    );
  });
});

test('a full disk costs dumps and says so once; traffic goes on', {
  skip: lacking('ping'),
}, async () => {
  await withDisk(async (folder) => {
    const router = (side: Side): string =>
      side === 'A' ? `recorder = { dumps = "${folder}", burst = ${BURST} }` : '';
    await withLab(
      'full',
      { tunnels, router, ipv6: false },
      async ({ namespaces, rA, rB, a, b }) => {
        const ballast = join(folder, 'ballast');
        fill(ballast);
        injectPackets(namespaces, rB, STRANGE);
        const full = /no dump was written to .*: the disk is full \(ENOSPC\); the router goes on/g;
        assert.ok(await eventually(() => full.test(a.messages()), 5000), a.messages());
        b.child.kill('SIGSTOP');
        const isDown = async (): Promise<boolean> =>
          (await tunnelStatus(a, 'gre1')).state === 'down';
        try {
          assert.ok(await eventually(isDown, PATIENCE_MS), a.messages());
        } finally {
          b.child.kill('SIGCONT');
        }
        assert.ok(await eventually(async () => !(await isDown()), PATIENCE_MS));
        await assertAnswered(namespaces, rA, '10.9.0.2');
        assert.equal(a.messages().match(full)?.length, 1, a.messages());
        assert.deepEqual(readdirSync(folder), ['ballast']);
        assert.ok(statSync(ballast).size > 0);
      },
    );
  });
});

/** Writes until nothing more fits. */
function fill(file: string): void {
  const { status } = spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k']);
  assert.notEqual(status, 0);
}
