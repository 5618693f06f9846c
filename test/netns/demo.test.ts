// grebe demo, as a person runs it: on each level, without rights, interrupted, and on a full disk.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { EXIT } from '../../src/sys/failure.js';
import { eventually, GREBE, grebe, lacking } from '../support/lab.js';

const NOBODY = '65534';
const DROP = ['--reuid', NOBODY, '--regid', NOBODY, '--clear-groups'];
const LIMIT_MS = 30_000;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in a folder of its own, and gives it to `use` before that folder is removed. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-demo-test-'));
  chmodSync(folder, 0o777);
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(folder: string, command: readonly string[]) {
  const [program = '', ...words] = command;
  const child = spawn(program, words, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (data) => {
      texts[name] += String(data);
    });
  }
  return { child, texts, ended: ended(child, texts) };
}

function ended(child: ChildProcess, texts: Omit<Ended, 'code'>): Promise<Ended> {
  const timer = setTimeout(() => child.kill('SIGTERM'), LIMIT_MS);
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...texts });
    });
  });
}

function demo(folder: string, ...words: string[]): Promise<Ended> {
  return start(folder, [process.execPath, GREBE, 'demo', '--quick', ...words]).ended;
}

function labsLeft(): string[] {
  return ip('netns', 'list')
    .split('\n')
    .filter((line) => line.startsWith('grebe-demo-'));
}

for (const level of ['a', 'b'] as const) {
  test(`level ${level} passes in every mode and leaves a capture that decodes`, {
    skip: level === 'a' && lacking(),
  }, async () => {
    await inFolder(async (folder) => {
      const { code, stdout, stderr } = await demo(folder, '--level', level, '-j');
      assert.equal(code, EXIT.ok, stderr + stdout);
      const report = JSON.parse(stdout);
      assert.equal(report.schema, 'grebe.demo/1');
      assert.equal(report.level, level);
      for (const mode of report.modes) {
        assert.deepEqual([mode.passed, mode.drops], [true, {}], JSON.stringify(mode));
      }
      assert.deepEqual(readdirSync(folder), ['grebe-demo.pcapng']);
      const decoded = await grebe('decode', '-j', join(folder, 'grebe-demo.pcapng'));
      const packets = decoded
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.ok(packets.length > 100);
      assert.deepEqual(new Set(packets.map(({ outer }) => outer.protocol)), new Set([47, 4, 41]));
    });
  });
}

test('the report names level, topology, every mode, and what to do next', async () => {
  await inFolder(async (folder) => {
    const { code, stdout } = await demo(folder, '--level', 'b');
    assert.equal(code, EXIT.ok, stdout);
    const words = [/level B/, /router rA/, /gre +ok/, /ipip +ok/, /sit +ok/, /Gbit\/s/, /--help/];
    for (const word of words) assert.match(stdout, word);
  });
});

const NO_TUN = 'mount -t tmpfs grebe-test /dev/net';
const OPEN_TUN = `${NO_TUN} && mknod -m 666 /dev/net/tun c 10 200`;

/** Words that run a command as nobody, in a mount namespace that `setup` has prepared. */
function nobodyWith(setup: string): string[] {
  return ['unshare', '-m', 'sh', '-c', `${setup} && exec "$@"`, 'sh', 'setpriv', ...DROP];
}

test('without rights the demo runs level A in a user namespace', {
  skip: lacking('unshare', 'setpriv'),
}, async (context) => {
  await inFolder(async (folder) => {
    const command = [...nobodyWith(OPEN_TUN), process.execPath, GREBE, 'demo', '--quick', '-j'];
    const { code, stdout, stderr } = await start(folder, command).ended;
    assert.equal(code, EXIT.ok, stderr + stdout);
    const { level, obstacles } = JSON.parse(stdout);
    if (level === 'b') context.diagnostic(`user namespaces are closed: ${obstacles.join('; ')}`);
    else assert.equal(level, 'a');
  });
});

test('without rights and TUN device the demo runs level B and says why', {
  skip: lacking('unshare', 'setpriv'),
}, async () => {
  await inFolder(async (folder) => {
    const command = [...nobodyWith(NO_TUN), process.execPath, GREBE, 'demo', '--quick'];
    const { code, stdout, stderr } = await start(folder, command).ended;
    assert.equal(code, EXIT.ok, stderr + stdout);
    assert.match(stdout, /level B/);
    assert.match(stdout, /why not level A.*\/dev\/net\/tun: ENOENT/);
  });
});

test('where the lab cannot be built the demo runs level B and says why', {
  skip: lacking('unshare'),
}, async () => {
  await inFolder(async (folder) => {
    // As in many containers: root may make namespaces, but not change kernel settings.
    const readOnly = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys';
    const command = ['unshare', '-m', 'sh', '-c', `${readOnly} && exec "$@"`, 'sh'];
    const words = [process.execPath, GREBE, 'demo', '--quick'];
    const { code, stdout, stderr } = await start(folder, [...command, ...words]).ended;
    assert.equal(code, EXIT.ok, stderr + stdout);
    assert.match(stdout, /^grebe demo, level B/);
    assert.match(stdout, /why not level A.*\/proc\/sys/);
  });
});

test('Ctrl-C during level A leaves nothing behind', { skip: lacking() }, async () => {
  await inFolder(async (folder) => {
    const before = labsLeft().length;
    const {
      child,
      texts,
      ended: end,
    } = start(folder, [...[process.execPath, GREBE, 'demo', '--level', 'a']]);
    assert.ok(await eventually(() => / gre +ok/.test(texts.stdout), LIMIT_MS), texts.stdout);
    assert.ok(labsLeft().length > before);
    child.kill('SIGINT');
    const { code } = await end;
    assert.equal(code, 130);
    assert.equal(labsLeft().length, before);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test('a demo in a user namespace that gets SIGTERM ends everything it started', {
  skip: lacking('unshare', 'setpriv'),
}, async () => {
  await inFolder(async (folder) => {
    const command = [...nobodyWith(OPEN_TUN), process.execPath, GREBE, 'demo'];
    const { child, texts, ended: end } = start(folder, command);
    assert.ok(await eventually(() => / gre +ok/.test(texts.stdout), LIMIT_MS), texts.stdout);
    child.kill('SIGTERM');
    // The pipes close when the last process that holds them has ended.
    const { code } = await end;
    // Where user namespaces are closed it was level B, which just ends.
    assert.equal(code, /level A/.test(texts.stdout) ? 128 + 15 : null, texts.stderr);
    assert.deepEqual(readdirSync(folder), []);
  });
});

test('on a full disk the demo says so, fails, and leaves no half capture', {
  skip: lacking('unshare'),
}, async () => {
  await inFolder(async (folder) => {
    const small = `mount -t tmpfs -o size=16k grebe-test ${folder} && cd ${folder} && "$@"; code=$?; ls -A; exit $code`;
    const words = [process.execPath, GREBE, 'demo', '--quick', '--level', 'b'];
    const { code, stdout, stderr } = await start(folder, [
      ...['unshare', '-m', 'sh', '-c', small, 'sh', ...words],
    ]).ended;
    assert.equal(code, EXIT.failed, stderr);
    assert.match(stderr, /grebe-demo\.pcapng.*ENOSPC/);
    assert.doesNotMatch(stdout, /^grebe-demo\.pcapng/m);
  });
});

test('in a folder that cannot be written the demo refuses before it begins', {
  skip: lacking('setpriv'),
}, async () => {
  await inFolder(async (folder) => {
    chmodSync(folder, 0o755);
    const words = ['setpriv', ...DROP, process.execPath, GREBE, 'demo', '--quick'];
    const { code, stdout, stderr } = await start(folder, words).ended;
    assert.equal(code, EXIT.failed);
    assert.equal(stdout, '');
    assert.match(stderr, /cannot write grebe-demo\.pcapng.*EACCES/);
  });
});
