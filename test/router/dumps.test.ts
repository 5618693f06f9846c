// Dumps that a router writes by itself, into folders that take them and folders that do not.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import pino from 'pino';
import { DIRECTION_DECAP } from '../../asm/layout.js';
import { REASON_NO_TUNNEL } from '../../asm/reason.js';
import { ByteSource } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import type { RecordedPacket } from '../../src/ring/recorded.js';
import type { RecordChoice, Recording } from '../../src/router/contract.js';
import { Dumps, tooMany } from '../../src/router/dumps.js';
import { memoryReader } from '../inspect/capture-files.js';
import { eventually } from '../support/lab.js';
import { ipv4 } from '../support/packets.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'grebe-dumps-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const PACKET: RecordedPacket = {
  ...{ record: 0, direction: DIRECTION_DECAP, reason: REASON_NO_TUNNEL, timeMs: 1.7e12 },
  ...{ codecNs: 2000, endNs: 3000, length: 20, inner: 0, packets: 1 },
  bytes: ipv4({ source: '192.0.2.9', destination: '192.0.2.1' }),
};

/** Recordings of one packet each, and drops as the test says. */
function recordings(count = 1) {
  const asked: RecordChoice[] = [];
  const drops = new Map<string | null, number>([[null, 0]]);
  return {
    asked,
    drops,
    dropCounts: () => new Map(drops),
    recorded: (choice: RecordChoice): Recording => {
      asked.push(choice);
      return { subjectOf: () => undefined, batches: [Array(count).fill(PACKET)] };
    },
  };
}

function logOf() {
  const lines: { event: string; msg: string; level: number }[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines, of: (event: string) => lines.filter((line) => line.event === event) };
}

/** Names of the dumps without their times. */
function dumpsIn(path: string): string[] {
  return readdirSync(path)
    .map((name) => name.replace(/^[0-9]{8}T[0-9]{9}Z-/, ''))
    .sort();
}

async function withDumps(
  options: { readonly folder: string; readonly burst?: number; readonly count?: number },
  use: (
    dumps: Dumps,
    known: ReturnType<typeof recordings>,
    log: ReturnType<typeof logOf>,
  ) => Promise<void>,
): Promise<void> {
  const known = recordings(options.count);
  const log = logOf();
  const burst = options.burst ?? 0;
  const dumps = new Dumps({ folder: options.folder, burst, recordings: known, log: log.log });
  dumps.start();
  try {
    await use(dumps, known, log);
  } finally {
    await dumps.stop();
  }
}

test('a tunnel that goes down leaves one dump, however often it does within a minute', async () => {
  const place = join(folder, 'state', 'dumps');
  await withDumps({ folder: place }, async (dumps, { asked }, { of }) => {
    dumps.tunnelDown('gre1');
    dumps.tunnelDown('gre1');
    dumps.tunnelDown('../etc/passwd\n');
    await dumps.stop();
    assert.deepEqual(dumpsIn(place), ['.._etc_passwd_-down.pcapng', 'gre1-down.pcapng']);
    assert.deepEqual(asked, [{ tunnel: 'gre1' }, { tunnel: '../etc/passwd\n' }]);
    assert.match(of('dump')[0]?.msg ?? '', /^the peer is lost: the last packets of gre1 are in \//);
    const [name = ''] = readdirSync(place).filter((one) => one.includes('gre1'));
    const bytes = readFileSync(join(place, name));
    assert.equal([...readCapture(new ByteSource(memoryReader(bytes).read))].length, 1);
  });
});

test('a burst of drops leaves a dump of whom it befell, a trickle none', async () => {
  await withDumps({ folder, burst: 100 }, async (dumps, { drops }) => {
    drops.set(null, 100).set('gre1', 5000).set('gre2', 0); // gre1 was not there before: what it has is old
    assert.ok(await eventually(() => dumpsIn(folder).length === 1, 5000));
    drops.set(null, 150).set('gre1', 5099).set('gre2', 101);
    assert.ok(await eventually(() => dumpsIn(folder).length === 2, 5000));
    await dumps.stop();
    const expected = ['gre2-drops.pcapng', 'no-tunnel-at-all-drops.pcapng'];
    assert.deepEqual(dumpsIn(folder), expected);
  });
});

test('when all tunnels go down at once, some dumps are written and the rest is counted', async () => {
  await withDumps({ folder }, async (dumps, { asked }) => {
    for (let index = 0; index < 10_000; index++) dumps.tunnelDown(`gre${index}`);
    await dumps.stop();
    assert.equal(dumpsIn(folder).length, 20);
    assert.equal(asked.length, 20);
  });
});

test('old dumps make room: four of one tunnel and cause, 64 of all, and nothing else is touched', () => {
  const at = (n: number, about: string): string =>
    `20260101T${String(n).padStart(9, '0')}Z-${about}.pcapng`;
  const stranger = Array.from({ length: 100 }, (_, n) => at(100 + n, 'no-tunnel-at-all-drops'));
  const own = [at(1, 'gre1-down'), at(2, 'gre1-drops')];
  const gone = tooMany([...own, ...stranger]);
  assert.equal(gone.length, 96);
  assert.ok(gone.every((name) => name.includes('no-tunnel-at-all')));
  const many = Array.from({ length: 70 }, (_, n) => at(n, `gre${n}-down`));
  assert.deepEqual(tooMany(many).sort(), many.slice(0, 6));
});

test('files that are no dumps stay, and so does the half dump of a router that runs', async () => {
  const mine = ['notes.txt', '20260101-gre1.pcapng', `.grebe-dump-${process.ppid}.tmp`];
  for (const name of [...mine, '.grebe-dump-4194304.tmp']) writeFileSync(join(folder, name), 'x');
  await withDumps({ folder }, async (dumps) => {
    dumps.tunnelDown('gre1');
    await dumps.stop();
    assert.deepEqual(dumpsIn(folder), [...mine, 'gre1-down.pcapng'].sort());
  });
});

test('a folder that cannot be made is one warning', async () => {
  writeFileSync(join(folder, 'file'), '');
  await withDumps({ folder: join(folder, 'file', 'dumps') }, async (dumps, _, { of }) => {
    dumps.tunnelDown('gre1');
    await dumps.stop();
    assert.deepEqual(
      of('dumps').map(({ msg }) => msg),
      [`no dumps are written: cannot make ${join(folder, 'file', 'dumps')}: ENOTDIR`],
    );
  });
});

test('a full disk costs the dump and one warning; once there is room again dumps are written', {
  skip: process.getuid?.() === 0 ? false : 'needs root: a file system of its own',
}, async () => {
  const full = join(folder, 'full');
  mkdirSync(full);
  const run = (...words: string[]): void => {
    const { status, stderr } = spawnSync(words[0] ?? '', words.slice(1), { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'grebe-test', full);
  try {
    writeFileSync(join(full, 'ballast'), new Uint8Array(60 * 1024));
    await withDumps({ folder: full, count: 300 }, async (dumps, _, { of }) => {
      dumps.tunnelDown('gre1');
      dumps.tunnelDown('gre2');
      await dumps.stop();
      assert.deepEqual(dumpsIn(full), ['ballast']);
      assert.deepEqual(
        of('dumps').map(({ msg }) => msg),
        [`no dump was written to ${full}: the disk is full (ENOSPC); the router goes on`],
      );
      rmSync(join(full, 'ballast'));
      dumps.start();
      dumps.tunnelDown('gre3');
      await dumps.stop();
      assert.deepEqual(dumpsIn(full), ['gre3-down.pcapng']);
    });
  } finally {
    run('umount', full);
  }
});
