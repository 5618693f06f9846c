// The session that the README shows: real commands in two network namespaces, and what they printed when.
//
//   here    where the commands are typed, in a terminal of its own (script(1)), so that they print colors
//   there   the peer, a second grebe, which changes its key in the middle
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Namespaces } from '../../../src/demo/namespaces.js';
import { type RouterProcess, startRouter } from '../../../src/demo/router-process.js';
import { asReader, makeReader } from '../reader.js';

/** Of the terminal; the picture has as many columns. */
export const COLUMNS = 100;
const READY_MS = 10_000;
const LIMIT_MS = 15_000;

/** Something a command printed. */
export interface Output {
  /** Since the command began. */
  readonly ms: number;
  /** With the escape sequences of a terminal. */
  readonly text: string;
}

export interface Step {
  /** What is typed; a line that begins with # is a remark. */
  readonly command: string;
  readonly output: readonly Output[];
}

const CONFIG = `[tunnel.gre1]
mode = "gre"
local = "192.0.2.1"
remote = "192.0.2.2"
key = 42
address = ["10.9.0.1/24"]
`;

/** The commands, in order. */
export const COMMANDS = {
  config: 'cat grebe.toml',
  run: 'sudo npx grebe run --config grebe.toml &',
  ping: 'ping -c 3 10.9.0.2',
  status: 'sudo npx grebe status',
  remark: "# a day later: somebody changed the peer's key",
  lost: 'ping -c 2 -W 1 10.9.0.2',
  trace: 'sudo npx grebe trace --drops -n 1',
} as const;

/** Types all of them and returns what came of it. Needs root. */
export async function recordSession(): Promise<Step[]> {
  const namespaces = new Namespaces('recording');
  try {
    makeReader(namespaces.folder);
    writeFileSync(join(namespaces.folder, 'here', 'grebe.toml'), CONFIG);
    mkdirSync(join(namespaces.folder, 'here', 'run', 'grebe'), { recursive: true });
    const [here, there] = [namespaces.add('here'), namespaces.add('there')];
    namespaces.link(
      { namespace: here, device: 'eth0', addresses: ['192.0.2.1/24'] },
      { namespace: there, device: 'eth0', addresses: ['192.0.2.2/24'] },
    );
    const startPeer = (key: number): Promise<RouterProcess> =>
      startRouter(namespaces, there, peerConfig(key));
    const type = (command: string, until?: RegExp): Promise<Step> =>
      typeCommand(namespaces, here, command, until);
    const peer = await startPeer(42);
    const steps = [await type(COMMANDS.config), await type(COMMANDS.run, /ready/)];
    for (const command of [COMMANDS.ping, COMMANDS.status]) steps.push(await type(command));
    await namespaces.stop(peer.child);
    await startPeer(43);
    steps.push({ command: COMMANDS.remark, output: [] }, await type(COMMANDS.lost));
    // What comes from the peer while the trace waits.
    namespaces.start(there, 'ping', ['-i', '0.3', '10.9.0.1'], { stdio: 'ignore' });
    steps.push(await type(COMMANDS.trace));
    return steps;
  } finally {
    endRouter(join(namespaces.folder, 'here', 'pid'));
    await namespaces.close();
  }
}

function peerConfig(key: number): string {
  return `[tunnel.gre1]
mode = "gre"
local = "192.0.2.2"
remote = "192.0.2.1"
key = ${key}
address = ["10.9.0.2/24"]
`;
}

/** The router's terminal would outlive us, and it with it. */
function endRouter(file: string): void {
  if (existsSync(file)) process.kill(Number(readFileSync(file, 'utf8')));
}

/** Runs a command in a terminal, to its end, or in the background when `until` is there. */
function typeCommand(
  namespaces: Namespaces,
  namespace: string,
  command: string,
  until?: RegExp,
): Promise<Step> {
  const inside = `stty cols ${COLUMNS} rows 40; ${until ? 'echo $$ >pid; ' : ''} exec ${command.replace(/ &$/, '')}`;
  // The control socket where it is by default, of a /run that is this command's own.
  const own = 'mount --bind run /run; export MACHINE=/run/grebe';
  const script = `${own}; exec script -qefc '${inside}' /dev/null </dev/null`;
  const words = ['-c', asReader(namespaces.folder, 'here', script)];
  const startedAt = performance.now();
  const child = namespaces.start(namespace, 'bash', words, {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const output: Output[] = [];
  return new Promise((resolve, reject) => {
    const limitMs = until === undefined ? LIMIT_MS : READY_MS;
    const timer = setTimeout(() => reject(new Error(`${command}: takes too long`)), limitMs);
    const finish = (): void => {
      clearTimeout(timer);
      resolve({ command, output });
    };
    child.stdout?.on('data', (data) => {
      output.push({ ms: performance.now() - startedAt, text: String(data) });
      if (until?.test(String(data))) finish();
    });
    child.once('error', reject);
    child.once('close', finish);
  });
}
