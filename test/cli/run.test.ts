// grebe run as its own process, on the memory underlay and without tunnels: no rights are needed.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { grebe, PROGRAM, type Running, said, startGrebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-run-'));
after(() => rmSync(folder, { recursive: true }));
let count = 0;

interface Router extends Running {
  readonly config: string;
  readonly socket: string;
}

/** Writes a config with a socket of its own. */
function writeConfig(lines = ''): { readonly config: string; readonly socket: string } {
  const name = `${++count}`;
  const config = join(folder, `${name}.toml`);
  const socket = join(folder, `${name}.sock`);
  writeFileSync(config, `[router]\nunderlay = "memory"\nsocket = "${name}.sock"\n${lines}\n`);
  return { config, socket };
}

/** Runs `use` with a router that is ready, and kills what is left of it. */
async function withRouter(
  use: (router: Router) => Promise<void>,
  { lines = '', words = [] }: { readonly lines?: string; readonly words?: readonly string[] } = {},
): Promise<void> {
  const { config, socket } = writeConfig(lines);
  const running = startGrebe(['run', '--config', config, ...words]);
  try {
    await said(running, /ready/);
    await use({ ...running, config, socket });
  } finally {
    running.child.kill('SIGKILL');
    await running.ended;
  }
}

/** Sends `signal` and returns the exit code and how long the end took. */
async function stop(
  { child, ended }: Running,
  signal: NodeJS.Signals,
): Promise<{ readonly code: number | null; readonly ms: number }> {
  const start = performance.now();
  child.kill(signal);
  return { code: await ended, ms: performance.now() - start };
}

test('run says one line with ready on stderr, nothing on stdout, and answers on its socket', async (t) => {
  await withRouter(async (router) => {
    const ready = router
      .stderr()
      .split('\n')
      .filter((line) => /\bready\b/.test(line));
    assert.equal(ready.length, 1);
    const line = JSON.parse(ready[0] ?? '');
    assert.equal(line.event, 'ready');
    t.diagnostic(`ready ${line.startMs} ms after the start of the process`);
    const { code, stdout } = await grebe(['-j', '--socket', router.socket]);
    assert.equal(code, 0);
    const status = JSON.parse(stdout);
    assert.equal(status.underlay, 'memory');
    assert.deepEqual(status.tunnels, []);
    assert.equal(router.stdout(), '');
  });
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} stops it within a second with exit code 0, and the socket is gone`, async () => {
    await withRouter(async (router) => {
      const { code, ms } = await stop(router, signal);
      assert.equal(code, 0);
      assert(ms < 1000, `${Math.round(ms)} ms`);
      assert.equal(existsSync(router.socket), false);
      assert.match(router.stderr(), /stopped/);
    });
  });
}

test('a signal that comes more than once, as Ctrl-C through npx does, interrupts no clean stop', async () => {
  await withRouter(async (router) => {
    for (let sent = 0; sent < 5; sent++) {
      router.child.kill('SIGINT');
      await sleep(2);
    }
    await router.ended; // by the last of them, if the clean stop is over and node is on its way out
    assert.equal(existsSync(router.socket), false);
    assert.match(router.stderr(), /stopped/);
  });
});

test('SIGHUP reads the config again; one that is wrong changes nothing', async () => {
  await withRouter(async (router) => {
    router.child.kill('SIGHUP');
    await said(router, /reloaded: 0 tunnels differ/);
    writeFileSync(router.config, '[router]\nlanes = 0\n');
    router.child.kill('SIGHUP');
    await said(router, /the config stays as it was: .*lanes must be 1\.\.64/);
    assert.equal((await grebe(['status', '--socket', router.socket])).code, 0);
  });
});

test('a signal during the start ends it cleanly too', async () => {
  const { config, socket } = writeConfig();
  const running = startGrebe(['run', '--config', config]);
  await said(running, /no tunnels in this file/); // the log is open and signals are watched from here on
  const { code } = await stop(running, 'SIGTERM');
  assert.equal(code, 0);
  assert.equal(existsSync(socket), false);
});

test('a second router on the same socket is refused and the first one lives', async () => {
  await withRouter(async (router) => {
    const second = await grebe(['run', '--config', router.config]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /another router already answers on/);
    assert.equal((await grebe(['status', '--socket', router.socket])).code, 0);
  });
});

test('after kill -9 the next start works at once', async () => {
  await withRouter(async (router) => {
    await stop(router, 'SIGKILL');
    assert(existsSync(router.socket));
    const next = startGrebe(['run', '--config', router.config]);
    try {
      await said(next, /ready/);
      assert.equal((await stop(next, 'SIGTERM')).code, 0);
    } finally {
      next.child.kill('SIGKILL');
    }
  });
});

test('--socket takes the place of the one in the config', async () => {
  const other = join(folder, 'other.sock');
  await withRouter(
    async ({ socket }) => {
      assert.equal(existsSync(socket), false);
      assert.equal((await grebe(['--socket', other])).code, 0);
    },
    { words: ['--socket', other] },
  );
});

test('codec use swaps the live build; a refused one leaves it running', async () => {
  await withRouter(async ({ socket }) => {
    for (const name of ['scalar', 'js', 'simd']) {
      const { code, stdout } = await grebe(['codec', 'use', name, '--socket', socket]);
      assert.equal(code, 0);
      assert.equal(stdout, `codec ${name} is live\n`);
    }
    const wrong = join(folder, 'wrong.wasm');
    writeFileSync(wrong, Buffer.from('0061736d01000000', 'hex'));
    const refused = await grebe(['codec', 'use', wrong, '--socket', socket]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /refused/);
    assert.equal((await grebe(['codec', 'use', 'smid', '--socket', socket])).code, 64);
    const list = await grebe(['codec', '-j', '--socket', socket]);
    const message = JSON.parse(list.stdout);
    assert.equal(message.schema, 'grebe.codecs/1');
    assert.equal(message.live, 'simd');
  });
});

test('-q still says ready, and nothing of less than a warning', async () => {
  await withRouter(
    async (router) => {
      assert.equal((await stop(router, 'SIGTERM')).code, 0);
      const levels = router
        .stderr()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const quiet = levels.filter(({ level, event }) => level === 'info' && event !== 'ready');
      assert.deepEqual(quiet, []);
    },
    { words: ['-q'] },
  );
});

test('the log is readable text where the config asks for it', async () => {
  await withRouter(
    async (router) => {
      assert.match(
        router.stderr(),
        /^\d\d:\d\d:\d\d INFO {2}ready: 0 tunnels up {2}tunnels=0 {2}socket=/m,
      );
    },
    { lines: 'log = { format = "pretty" }' },
  );
});

test('in the journal every line carries its priority', async () => {
  const { config } = writeConfig();
  const file = join(folder, 'journal');
  const fd = openSync(file, 'w');
  const { dev, ino } = fstatSync(fd);
  const child = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
    stdio: ['ignore', 'ignore', fd],
    env: { ...process.env, JOURNAL_STREAM: `${dev}:${ino}` },
  });
  closeSync(fd);
  try {
    const end = Date.now() + 10_000;
    while (!/ready/.test(readFileSync(file, 'utf8')) && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    child.kill('SIGTERM');
    await once(child, 'close');
  }
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  assert(lines.some((line) => /^<6>\{.*ready/.test(line)));
  assert(lines.some((line) => /^<4>\{.*"level":"warn"/.test(line)));
  assert(lines.every((line) => /^<[2-7]>\{/.test(line)));
});

/** Starts a router whose log goes to `fd`, asks it for its status, and ends it; resolves with its exit code. */
async function runWithLogTo(fd: number, meanwhile: () => void = () => {}): Promise<unknown> {
  const { config, socket } = writeConfig();
  const child = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
    stdio: ['ignore', 'ignore', fd],
  });
  const closed = once(child, 'close');
  try {
    const isAnswering = async (): Promise<boolean> => {
      return (await grebe(['status', '--socket', socket])).code === 0;
    };
    for (let tries = 0; !(await isAnswering()); tries++) assert.ok(tries < 20, 'it answers');
    child.kill('SIGHUP');
    assert.ok(await isAnswering(), 'it answers after a line that it could not write');
    meanwhile();
  } finally {
    child.kill('SIGTERM');
  }
  return (await closed)[0];
}

test('a full disk under the log stops nothing', async () => {
  const fd = openSync('/dev/full', 'w');
  assert.equal(await runWithLogTo(fd), 0);
  closeSync(fd);
});

test('a log that nobody reads any more, or whose reader is gone, stops nothing', async () => {
  const pipe = join(folder, 'log');
  spawnSync('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const filler = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  const log = openSync(pipe, 'w');
  const room = Buffer.alloc(1 << 20, '\n');
  assert.ok(writeSync(filler, room) < room.length, 'the pipe is full');
  assert.throws(() => writeSync(filler, room), /EAGAIN/);
  const read = Buffer.alloc(1 << 20);
  const drain = (): void => void readSync(reader, read);
  assert.equal(await runWithLogTo(log, drain), 0);
  const length = readSync(reader, read);
  const lines = read.toString('utf8', 0, length).trim().split('\n');
  assert.match(lines[0] ?? '', /"event":"log-lost","count":\d+,/);
  assert.match(lines[1] ?? '', /"signal":"SIGTERM"/);
  for (const fd of [filler, reader]) closeSync(fd);
  assert.equal(await runWithLogTo(log), 0);
  closeSync(log);
});

test('without the capabilities it ends with 77 and the line that grants them', async () => {
  const config = join(folder, 'real.toml');
  writeFileSync(config, '[router]\nsocket = "real.sock"\n');
  // Root keeps its user id here, and loses what makes it root for the network.
  const isRoot = process.geteuid?.() === 0;
  const through = [
    'setpriv',
    '--bounding-set=-net_admin,-net_raw',
    '--inh-caps=-net_admin,-net_raw',
  ];
  const { code, stderr } = await grebe(['run', '--config', config], isRoot ? { through } : {});
  assert.equal(code, 77, stderr);
  assert.match(stderr, /CAP_NET_ADMIN and CAP_NET_RAW/);
  assert.match(stderr, /setcap cap_net_admin,cap_net_raw\+ep/);
  assert.match(stderr, /AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW/);
  assert.equal(existsSync(join(folder, 'real.sock')), false);
});
