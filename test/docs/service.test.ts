// The files of docs/service, judged by systemd's own programs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/cli/commands.js';
import { EXIT_CODES } from '../../src/cli/exit-codes.js';

const SERVICE = fileURLToPath(new URL('../../../docs/service/', import.meta.url));
const UNITS = '/usr/lib/systemd/system';
/** Tenths: `systemd-analyze security` calls up to 2.2 what a router can reach. */
const EXPOSURE_MAX = 22;

const folder = mkdtempSync(join(tmpdir(), 'grebe-service-'));
after(() => rmSync(folder, { recursive: true }));

const isThere = !spawnSync('systemd-analyze', ['--version']).error && existsSync(UNITS);
const skip = isThere ? false : 'needs systemd-analyze (apt-get install systemd)';

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

/** A root folder with the unit installed as the README says, and a program named grebe. */
function installed(name: string, dropIn?: string): string {
  const root = join(folder, name);
  const etc = join(root, 'etc/systemd/system');
  mkdirSync(join(etc, 'grebe.service.d'), { recursive: true });
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  writeFileSync(join(root, 'usr/local/bin/grebe'), '#!/bin/sh\n');
  chmodSync(join(root, 'usr/local/bin/grebe'), 0o755);
  cpSync(UNITS, join(root, UNITS), { recursive: true, verbatimSymlinks: true });
  cpSync(join(SERVICE, 'grebe.service'), join(etc, 'grebe.service'));
  if (dropIn !== undefined) cpSync(join(SERVICE, dropIn), join(etc, 'grebe.service.d', dropIn));
  return root;
}

test('systemd finds nothing wrong with the unit, alone and with its drop-in', { skip }, () => {
  for (const dropIn of [undefined, 'xdp.conf']) {
    const root = installed(`verify-${dropIn ?? 'alone'}`, dropIn);
    assert.equal(
      run('systemd-analyze', 'verify', '--man=no', `--root=${root}`, 'grebe.service'),
      '',
    );
  }
});

test('the exposure of the unit is 2.2 at most', { skip }, (t) => {
  const words = ['security', '--offline=yes', '--no-pager', `--threshold=${EXPOSURE_MAX}`];
  const told = run('systemd-analyze', ...words, join(SERVICE, 'grebe.service'));
  const level = /Overall exposure level for grebe.service: (\S+)/.exec(told)?.[1];
  t.diagnostic(`exposure ${level}`);
  assert.ok(Number(level) * 10 <= EXPOSURE_MAX);
});

test('the user is made, and the folder of the config is for it to read alone', { skip }, () => {
  const root = join(folder, 'users');
  mkdirSync(join(root, 'etc/grebe'), { recursive: true });
  const config = join(root, 'etc/grebe/grebe.toml');
  writeFileSync(config, '');
  run('systemd-sysusers', `--root=${root}`, join(SERVICE, 'grebe.sysusers'));
  const [, uid] =
    /^grebe:[^:]*:(\d+):\d+:grebe tunnel router:/m.exec(
      readFileSync(join(root, 'etc/passwd'), 'utf8'),
    ) ?? [];
  const [, gid] = /^grebe:[^:]*:(\d+):/m.exec(readFileSync(join(root, 'etc/group'), 'utf8')) ?? [];
  assert.ok(Number(uid) > 0 && Number(uid) < 1000, 'a system user');
  run('systemd-tmpfiles', '--create', `--root=${root}`, join(SERVICE, 'grebe.tmpfiles'));
  const modes = [join(root, 'etc/grebe'), config].map((path) => statSync(path));
  assert.deepEqual(
    modes.map(({ mode }) => (mode & 0o777).toString(8)),
    ['750', '640'],
  );
  assert.deepEqual(
    modes.map((stat) => [stat.uid, stat.gid]),
    [
      [0, Number(gid)],
      [0, Number(gid)],
    ],
  );
});

/** Values of a setting in the unit. */
function setting(name: string): string[] {
  const unit = readFileSync(join(SERVICE, 'grebe.service'), 'utf8');
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

test('the unit calls commands that there are, and starts anew only where that can help', () => {
  const names = COMMANDS.map(({ name }) => name);
  for (const line of setting('ExecStart'))
    assert.ok(names.includes(line.split(' ')[1] ?? ''), line);
  const never = setting('RestartPreventExitStatus')[0]?.split(' ').map(Number);
  const meant = EXIT_CODES.filter(([, what]) => /usage|capability|config/.test(what));
  assert.deepEqual(
    never,
    meant.map(([code]) => code),
  );
});

test('the unit gives two capabilities, the TUN device, and no more', () => {
  assert.deepEqual(setting('AmbientCapabilities'), ['CAP_NET_ADMIN CAP_NET_RAW']);
  assert.deepEqual(setting('CapabilityBoundingSet'), ['CAP_NET_ADMIN CAP_NET_RAW']);
  assert.deepEqual(setting('DeviceAllow'), ['/dev/net/tun rw']);
});
