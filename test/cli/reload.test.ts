// grebe reload against a router over memory and without tunnels: what it says, and what the service manager hears.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bind, close, NativeBlock, recvfrom, socket } from '../../src/sys/libc.js';
import { eventually } from '../support/lab.js';
import { grebe, said, startGrebe } from './grebe.js';

const SIGHUP = 1;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

const folder = mkdtempSync(join(tmpdir(), 'grebe-reload-'));
after(() => rmSync(folder, { recursive: true }));

/** The service manager's end of NOTIFY_SOCKET. */
function openManager(path: string): { readonly heard: () => string[]; readonly close: () => void } {
  const bytes = new TextEncoder().encode(path);
  const address = new NativeBlock(2 + 108);
  address.view.setUint16(0, AF_UNIX, true);
  address.bytes.set(bytes, 2);
  const fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  assert.equal(bind(fd, address.address, 2 + bytes.length), 0);
  const block = new NativeBlock(512);
  const states: string[] = [];
  return {
    heard: () => {
      for (;;) {
        const length = recvfrom(fd, block.address, 512, MSG_DONTWAIT, 0, 0);
        if (length <= 0) return states;
        states.push(Buffer.from(block.bytes.subarray(0, length)).toString('utf8'));
      }
    },
    close: () => close(fd),
  };
}

test('the service manager hears of the start of a reload, with its time, and of its end, also a bad one', async () => {
  const config = join(folder, 'grebe.toml');
  const control = join(folder, 'grebe.sock');
  const text = '[router]\nunderlay = "memory"\nsocket = "grebe.sock"\n';
  writeFileSync(config, text);
  const manager = openManager(join(folder, 'notify'));
  const running = startGrebe(['run', '--config', config], {
    env: { NOTIFY_SOCKET: join(folder, 'notify') },
  });
  try {
    await said(running, /ready/);
    assert.ok(await eventually(() => manager.heard().length === 1));
    assert.equal(manager.heard()[0], 'READY=1\nSTATUS=0 tunnels up');
    const before = process.hrtime.bigint() / 1000n;

    const good = await grebe(['reload', '--socket', control]);
    assert.deepEqual([good.code, good.stdout], [0, 'nothing differs\n'], good.stderr);
    const [, begun = '', ended] = manager.heard();
    const [, time = '0'] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(begun) ?? [];
    assert.ok(BigInt(time) >= before && BigInt(time) <= process.hrtime.bigint() / 1000n, begun);
    assert.equal(ended, 'READY=1\nSTATUS=0 tunnels up');

    writeFileSync(config, `${text}lanes = "many"\n`);
    const bad = await grebe(['reload', '--socket', control]);
    assert.equal(bad.code, 78);
    assert.match(
      bad.stderr,
      /grebe\.toml:4:9 {2}error {2}\[E\d+\] lanes must be 1\.\.64 or "auto"/,
    );
    assert.match(
      manager.heard()[4] ?? '',
      /^READY=1\nSTATUS=0 tunnels up; the last reload failed$/,
    );

    writeFileSync(config, `${text}log = { level = "debug" }\nlanes = 2\n`);
    const later = await grebe(['reload', '-j', '--socket', control]);
    const { router, restart, confirmUntilMs } = JSON.parse(later.stdout);
    assert.deepEqual(router, [{ key: 'log.level', before: '"info"', after: '"debug"' }]);
    assert.deepEqual(restart, [{ key: 'lanes', before: '1', after: '2' }]);
    assert.equal(confirmUntilMs, null);
    await said(running, /lanes of \[router\] takes effect with a restart/);
    const none = await grebe(['confirm', '--socket', control]);
    assert.deepEqual(
      [none.code, none.stderr.split('\n')[0]],
      [1, 'grebe: no reload waits for a confirmation'],
    );

    writeFileSync(config, `${text}lanes = 2\n`);
    await grebe(['reload', '--confirm', '1h', '--socket', control]);
    for (const words of [
      ['confirm', '--dry-run'],
      ['undo', '--dry-run'],
    ]) {
      const dry = await grebe([...words, '-j', '--socket', control]);
      assert.equal(dry.code, 0, dry.stderr);
    }
    const dry = await grebe(['undo', '--dry-run', '--socket', control]);
    assert.equal(dry.stdout, 'router log.level = "info" -> "debug"\n');
    const kept = await grebe(['confirm', '--dry-run', '--socket', control]);
    assert.match(kept.stderr, /without grebe confirm within 3[56]\d\d s/);
    assert.equal((await grebe(['confirm', '--socket', control])).stdout, 'confirmed\n');
    const long = await grebe(['reload', '--confirm', '25h', '--socket', control]);
    assert.deepEqual([long.code, /at most 24h/.test(long.stderr)], [64, true]);
  } finally {
    running.child.kill('SIGKILL');
    await running.ended;
    manager.close();
  }
});

test('without a router reload, diff, confirm, undo and tunnel end with 69', async () => {
  const none = join(folder, 'none.sock');
  for (const words of [['reload'], ['diff'], ['confirm'], ['undo'], ['tunnel', 'show']]) {
    assert.equal((await grebe([...words, '--socket', none])).code, 69, words.join(' '));
  }
});

test('a hangup while the config is not read yet is no end of the router', async () => {
  const config = join(folder, 'early.toml');
  const text = '[router]\nunderlay = "memory"\nsocket = "early.sock"\n';
  // A pipe: the router waits for the text.
  execFileSync('mkfifo', [config]);
  writeFileSync(`${config}.whole`, text);
  const running = startGrebe(['run', '--config', config]);
  try {
    const isReady = (): boolean => hasHandler(running.child.pid ?? 0, SIGHUP);
    assert.ok(await eventually(isReady), 'it handles SIGHUP');
    for (let count = 0; count < 20; count++) running.child.kill('SIGHUP');
    writeFileSync(config, text);
    renameSync(`${config}.whole`, config);
    await said(running, /ready/);
  } finally {
    running.child.kill('SIGKILL');
    await running.ended;
  }
});

/** Whether the process handles the signal itself. */
function hasHandler(pid: number, signal: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return ((caught >> BigInt(signal - 1)) & 1n) === 1n;
}
