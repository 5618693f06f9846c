// Open vSwitch with its userspace datapath: Ethernet through GRE between two bridges.
//
//   br-int (10.9.0.x) --- gre0 ~~~ br-phy (192.0.2.x) --- u0
//
// The userspace datapath routes outer packets by itself and wants the local address on a bridge, so it moves
// there from the cable. Each side has a database, sockets and logs of its own in the folder of the lab.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { CABLE, hasProgram, ipOf, type Lab } from '../path/lab.js';
import type { Running } from '../path/processes.js';
import { versionOf } from './compiled.js';
import type { Path } from './contract.js';
import { type End, endsOf, setUpDevice } from './ends.js';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
/** Outer IPv4 20, GRE 4 and inner Ethernet 14. */
const MTU = 1462;
const COMMAND_LIMIT_MS = 10_000;

export function openVswitch(): Path {
  return {
    name: 'ovs',
    missing: () =>
      hasProgram('ovs-vswitchd') && existsSync(SCHEMA)
        ? undefined
        : 'Open vSwitch is not installed (Debian: openvswitch-switch)',
    version: () => versionOf('ovs-vswitchd'),
    open: async (lab) => {
      const ends = endsOf(lab);
      const routers: Running[] = [];
      for (const end of ends) routers.push(await startSwitch(lab, end));
      return { left: ends[0].inner, right: ends[1].inner, routers };
    },
  };
}

async function startSwitch(lab: Lab, end: End): Promise<Running> {
  const folder = end.file('ovs');
  mkdirSync(folder);
  const database = join(folder, 'conf.db');
  const socket = join(folder, 'db.sock');
  const control = (name: string) => ['--unixctl', join(folder, `${name}.ctl`), '--no-chdir'];
  const env = { OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder, OVS_SYSCONFDIR: folder };
  const made = spawnSync('ovsdb-tool', ['create', database, SCHEMA], { encoding: 'utf8' });
  if (made.status !== 0) throw new Failure(EXIT.failed, `ovsdb-tool: ${made.stderr.trim()}`);
  const server = ['ovsdb-server', database, `--remote=punix:${socket}`, ...control('server')];
  await lab.start(end.side, server, { env, isReady: () => existsSync(socket) });
  const vsctl = (...words: string[]) =>
    lab.run(end.side, ['ovs-vsctl', `--db=unix:${socket}`, ...words], COMMAND_LIMIT_MS);
  await vsctl('--no-wait', 'init');
  const daemon = ['ovs-vswitchd', `unix:${socket}`, ...control('switch')];
  const running = await lab.start(end.side, daemon, {
    env,
    isReady: () => existsSync(join(folder, 'switch.ctl')),
  });
  // These wait until the daemon has done what they say.
  await vsctl(...bridge('br-phy'), '--', 'add-port', 'br-phy', CABLE);
  ipOf(end.side, 'address', 'flush', 'dev', CABLE);
  ipOf(end.side, 'address', 'add', `${end.side.address}/24`, 'dev', 'br-phy');
  ipOf(end.side, 'link', 'set', 'br-phy', 'up');
  const tunnel = ['type=gre', `options:remote_ip=${end.remote}`];
  await vsctl(
    ...bridge('br-int'),
    ...['--', 'add-port', 'br-int', 'gre0', '--', 'set', 'interface', 'gre0', ...tunnel],
    ...['--', 'set', 'interface', 'br-int', `mtu_request=${MTU}`],
  );
  setUpDevice(end, 'br-int', MTU);
  return running;
}

function bridge(name: string): string[] {
  return ['add-br', name, '--', 'set', 'bridge', name, 'datapath_type=netdev'];
}
