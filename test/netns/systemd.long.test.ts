// The unit under systemd itself, in a container of this machine's own system: nothing of it is imitated.
//
// systemd-nspawn boots an overlay over / with a network of its own, in which grebe is installed as docs/service/README.md
// says. What is written there is in memory, and gone with it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileChanged } from '../codec/altered-build.js';
import { eventually, lacking } from '../support/lab.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Where the unit finds grebe: the unit hides home folders. */
const HOME = '/opt/grebe';
const BOOT_MS = 60_000;
const PATIENCE_MS = 10_000;
const LANES = 2;
/** The watchdog's interval in this test; the unit's own is 30 s. */
const WATCHDOG_S = 3;
const LENGTH = 'const length = first + load<u32>(descriptor, DESCRIPTOR_PAYLOAD_LENGTH);';
/** Bytes of the packet that the codec of the test never gets done with. */
const FATAL_LENGTH = 1234;
const NET_ADMIN_AND_NET_RAW = '0000000000003000';

const CONFIG = `[router]
lanes = ${LANES}
[tunnel.gre1]
mode = "gre"
local = "192.0.2.1"
remote = "192.0.2.2"
seq = true
address = ["10.9.0.1/24"]
`;
/** What the machine of a user has: an underlay, and the TUN device for everyone. */
const LAB = `[Unit]
Before=grebe.service network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'ip link add u0 type veth peer name u1; ip link set u0 up; ip link set u1 up; ip address add 192.0.2.1/24 dev u0; chmod 0666 /dev/net/tun'
`;

function lackingHere(): string | false {
  const obstacle = lacking('ping');
  if (obstacle !== false || !spawnSync('systemd-nspawn', ['--version']).error) return obstacle;
  return 'needs systemd-nspawn (apt-get install systemd-container dbus)';
}

describe('the unit under systemd', { skip: lackingHere(), timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-systemd-'));
  const root = join(folder, 'root');
  let machine: ChildProcess | undefined;
  let leader = '';

  before(async () => {
    run('mount', '-t', 'tmpfs', 'none', folder);
    for (const name of ['upper', 'work', 'root']) mkdirSync(join(folder, name));
    const layers = `lowerdir=/,upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`;
    run('mount', '-t', 'overlay', 'none', '-o', layers, root);
    await install(root);
    machine = spawn(
      'systemd-nspawn',
      [
        `--bind-ro=${ROOT.replace(/\/$/, '')}:${HOME}`,
        ...['-D', root, '--private-network', '--register=no', '--keep-unit', '--boot'],
        ...[`--machine=grebe-${process.pid}`, '--console=read-only', 'systemd.log_target=console'],
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    machine.stdout?.resume();
    const isBooted = (): boolean => {
      leader = spawnSync('pgrep', ['-P', `${machine?.pid}`], { encoding: 'utf8' }).stdout.trim();
      return (
        leader !== '' && /running|degraded/.test(inside('systemctl', 'is-system-running').output)
      );
    };
    assert.ok(await eventually(isBooted, BOOT_MS), 'the container boots');
  });

  after(async () => {
    if (machine !== undefined && machine.exitCode === null) {
      const ended = once(machine, 'exit');
      if (leader === '') machine.kill('SIGTERM');
      else inside('systemctl', 'poweroff', '--force', '--force');
      const timer = setTimeout(() => machine?.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    }
    // Lazily: nothing below is to be deleted one by one.
    for (const path of [root, folder]) spawnSync('umount', ['-l', path]);
    rmdirSync(folder);
  });

  /** Runs a command in the container. */
  function inside(...words: string[]): { readonly status: number | null; readonly output: string } {
    const namespaces = [
      '-t',
      leader,
      '-m',
      '-p',
      '-n',
      '-u',
      '-i',
      '-C',
      `--root=/proc/${leader}/root`,
      '--wd=/',
    ];
    const { status, stdout, stderr } = spawnSync('nsenter', [...namespaces, ...words], {
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  const property = (name: string): string =>
    inside('systemctl', 'show', 'grebe', '--value', '-p', name).output.trim();
  const journal = (): string => inside('journalctl', '-u', 'grebe', '-o', 'json').output;

  test('it is active once the tunnels are up, with the rights of the unit and no others', () => {
    assert.equal(property('ActiveState'), 'active', inside('systemctl', 'status', 'grebe').output);
    assert.equal(property('StatusText'), '1 tunnel up');
    const status = inside('cat', `/proc/${property('MainPID')}/status`).output;
    for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb']) {
      assert.match(status, new RegExp(`^${set}:\\s${NET_ADMIN_AND_NET_RAW}$`, 'm'));
    }
    assert.match(status, /^NoNewPrivs:\s1$/m);
    assert.match(status, /^Seccomp:\s2$/m);
    assert.doesNotMatch(status, /^Uid:\s0/m);
    const niceness = inside('ps', '-L', '-o', 'ni=', '-p', property('MainPID')).output;
    const lanes = niceness.split('\n').filter((line) => line.trim() === '0');
    assert.equal(lanes.length, LANES, `the unit lets lanes go first:\n${niceness}`);
  });

  test('systemctl reload takes another config, and a wrong one changes nothing', async () => {
    const first = property('MainPID');
    const shown = (): string => inside('grebe', 'tunnel', 'show').output;
    assert.doesNotMatch(shown(), /ttl 77/);
    inside('sed', '-i', '$a ttl = 77', '/etc/grebe/grebe.toml');
    const done = inside('systemctl', 'reload', 'grebe');
    assert.equal(done.status, 0, done.output);
    assert.match(shown(), /ttl 77/);
    inside('sed', '-i', 's/ttl = 77/ttl = 777/', '/etc/grebe/grebe.toml');
    assert.notEqual(inside('systemctl', 'reload', 'grebe').status, 0);
    assert.equal(property('ActiveState'), 'active');
    assert.match(shown(), /ttl 77\b/);
    inside('sed', '-i', '/ttl = 777/d', '/etc/grebe/grebe.toml');
    assert.equal(inside('systemctl', 'reload', 'grebe').status, 0);
    assert.equal(property('MainPID'), first);
    assert.ok(await eventually(() => property('StatusText') === '1 tunnel up', PATIENCE_MS));
  });

  test('the doctor finds nothing to repair, and the journal has priorities', () => {
    const { status, output } = inside('grebe', 'doctor', '-j');
    assert.equal(status, 0, output);
    assert.match(output, /accept_local of gre1 is 0/);
    const ready = journal()
      .split('\n')
      .find((line) => line.includes('ready: 1 tunnel up'));
    assert.match(ready ?? '', /"PRIORITY":"6"/);
  });

  test('a lane that is stuck is restarted by the watchdog, and the tunnel is back', async () => {
    const first = property('MainPID');
    const swapped = inside('grebe', 'codec', 'use', '/opt/stuck.wasm');
    assert.equal(swapped.status, 0, swapped.output);
    inside('ping', '-c1', '-W1', '-s', `${FATAL_LENGTH - 28}`, '10.9.0.2');
    const isAnew = (): boolean =>
      property('NRestarts') === '1' && property('ActiveState') === 'active';
    assert.ok(await eventually(isAnew, 40_000), inside('systemctl', 'status', 'grebe').output);
    assert.notEqual(property('MainPID'), first);
    const stuck = journal()
      .split('\n')
      .find((line) => line.includes('lane-stuck'));
    assert.match(stuck ?? '', /"PRIORITY":"3"/);
    assert.equal(inside('grebe', 'status').status, 0);
  });

  test('it stops cleanly, leaves no device, and keeps the sequence numbers', () => {
    assert.equal(inside('systemctl', 'stop', 'grebe').status, 0);
    assert.equal(property('Result'), 'success');
    assert.notEqual(inside('ip', 'link', 'show', 'gre1').status, 0);
    const kept = inside('cat', '/var/lib/grebe/sequences.json').output;
    assert.ok(JSON.parse(kept).numbers['gre 192.0.2.1 192.0.2.2 -'] > 0, kept);
  });
});

function run(program: string, ...words: string[]): void {
  const { status, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${words.join(' ')}: ${stderr}`);
}

/** Installs grebe into the system below `root`, where nothing else is started. */
async function install(root: string): Promise<void> {
  const etc = join(root, 'etc/systemd/system');
  for (const name of readdirSync(etc))
    if (name.endsWith('.wants')) rmSync(join(etc, name), { recursive: true });
  for (const name of ['systemd-udevd', 'systemd-networkd', 'systemd-logind', 'apparmor']) {
    rmSync(join(etc, `${name}.service`), { force: true });
    symlinkSync('/dev/null', join(etc, `${name}.service`));
  }
  const program = join(root, 'usr/local/bin/grebe');
  rmSync(program, { force: true });
  writeFileSync(program, `#!/bin/sh\nexec node ${HOME}/dist/src/cli/main.js "$@"\n`, {
    mode: 0o755,
  });
  const service = (name: string): string => join(ROOT, 'docs/service', name);
  mkdirSync(join(etc, 'multi-user.target.wants'));
  mkdirSync(join(etc, 'grebe.service.d'));
  cpSync(service('grebe.service'), join(etc, 'grebe.service'));
  for (const kind of ['sysusers', 'tmpfiles']) {
    mkdirSync(join(root, `etc/${kind}.d`), { recursive: true });
    cpSync(service(`grebe.${kind}`), join(root, `etc/${kind}.d/grebe.conf`));
  }
  writeFileSync(
    join(etc, 'grebe.service.d/watchdog.conf'),
    `[Service]\nWatchdogSec=${WATCHDOG_S}s\n`,
  );
  writeFileSync(join(etc, 'lab.service'), LAB);
  for (const unit of ['lab', 'grebe']) {
    symlinkSync(`../${unit}.service`, join(etc, `multi-user.target.wants/${unit}.service`));
  }
  mkdirSync(join(root, 'etc/grebe'), { recursive: true });
  writeFileSync(join(root, 'etc/grebe/grebe.toml'), CONFIG);
  writeFileSync(join(root, 'etc/machine-id'), '');
  const after = `${LENGTH}\n  while (length === ${FATAL_LENGTH}) {}`;
  writeFileSync(
    join(root, 'opt/stuck.wasm'),
    await compileChanged({ file: 'encap.ts', before: LENGTH, after }),
  );
}
