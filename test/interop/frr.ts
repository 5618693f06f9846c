// FRR in a namespace: its daemons with sockets and files of their own, beside those of the machine.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Namespaces } from '../../src/demo/namespaces.js';
import { eventually, lacking } from '../support/lab.js';

/** Where Debian has the daemons. */
const FOLDER = '/usr/lib/frr';
const START_LIMIT_MS = 5000;
const COMMAND_LIMIT_MS = 5000;

export type Daemon = 'zebra' | 'bgpd' | 'ospfd' | 'ospf6d';

export interface Frr {
  /** What vtysh prints, as JSON, for a command that ends with `json`. */
  ask(command: string): Promise<unknown>;
}

/** Why FRR cannot run here, or false: what the `skip` option of a test takes. */
export function lackingFrr(): string | false {
  const isThere = existsSync(join(FOLDER, 'zebra')) && !spawnSync('vtysh', ['--help']).error;
  return lacking() || (isThere ? false : 'needs FRR (apt-get install frr)');
}

/**
 * Starts zebra and `daemons` in `namespace` and loads `config`, which is what /etc/frr/frr.conf has. They end with
 * the namespace.
 */
export async function startFrr(
  namespaces: Namespaces,
  namespace: string,
  daemons: readonly Daemon[],
  config: string,
): Promise<Frr> {
  const folder = join(namespaces.folder, `${namespace}-frr`);
  makeFolder(folder);
  const file = join(folder, 'frr.conf');
  writeFileSync(file, config);
  for (const daemon of ['zebra', ...daemons])
    await startDaemon(namespaces, namespace, folder, daemon);
  await vtysh(folder, '-f', file);
  return {
    ask: async (command) => JSON.parse(await vtysh(folder, '-c', command)),
  };
}

/** The daemons go on as the user frr. */
function makeFolder(path: string): void {
  mkdirSync(path);
  chmodSync(dirname(path), 0o711);
  const [user, group] = ['-u', '-g'].map((which) => Number(execFileSync('id', [which, 'frr'])));
  chownSync(path, user ?? 0, group ?? 0);
}

async function startDaemon(
  namespaces: Namespaces,
  namespace: string,
  folder: string,
  daemon: string,
): Promise<void> {
  const empty = join(folder, `${daemon}.conf`);
  writeFileSync(empty, '');
  const words = [
    ...['--vty_socket', folder, '--vty_port', '0', '--socket', join(folder, 'zserv.api')],
    ...['--pid_file', join(folder, `${daemon}.pid`), '--config_file', empty],
    ...['--log', `file:${join(folder, `${daemon}.log`)}`],
  ];
  const { stderr } = namespaces.start(namespace, join(FOLDER, daemon), words, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  stderr?.on('data', (data) => {
    errors += String(data);
  });
  const listens = () => existsSync(join(folder, `${daemon}.vty`));
  if (await eventually(listens, START_LIMIT_MS)) return;
  throw new Error(`${daemon} does not listen in ${namespace}: ${errors}`);
}

async function vtysh(folder: string, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('vtysh', ['--vty_socket', folder, ...words], {
    timeout: COMMAND_LIMIT_MS,
  });
  return stdout;
}
