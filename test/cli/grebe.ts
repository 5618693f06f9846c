// Runs the built command line as a user does: its own process, its own streams.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Longest time any command of these tests may take. */
const TIMEOUT_MS = 20_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Surroundings {
  readonly cwd?: string;
  readonly env?: { readonly [name: string]: string };
  /** Program and arguments in front of node, such as `setpriv ...`. */
  readonly through?: readonly string[];
}

/** Runs `grebe WORDS` to its end. */
export async function grebe(words: readonly string[], where: Surroundings = {}): Promise<Ended> {
  const running = startGrebe(words, where);
  const code = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

export interface Running {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Exit code once the process has ended and its streams are closed. */
  readonly ended: Promise<number | null>;
}

/** Starts `grebe WORDS`; the caller sees to its end. */
export function startGrebe(words: readonly string[], where: Surroundings = {}): Running {
  const { cwd, env, through = [] } = where;
  const [program = process.execPath, ...args] = [...through, process.execPath, PROGRAM, ...words];
  const inherited: NodeJS.ProcessEnv = { ...process.env };
  // What the terminal or the service manager of the test run wants is no concern of these processes.
  for (const name of ['NO_COLOR', 'FORCE_COLOR', 'NOTIFY_SOCKET', 'JOURNAL_STREAM']) {
    delete inherited[name];
  }
  const child = spawn(program, args, {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null));
  return { child, stdout: () => stdout, stderr: () => stderr, ended };
}

/** Waits until a running process has said something that matches `pattern` on stderr. */
export async function said(running: Running, pattern: RegExp): Promise<void> {
  const end = Date.now() + TIMEOUT_MS;
  while (!pattern.test(running.stderr())) {
    if (running.child.exitCode !== null || Date.now() > end) {
      throw new Error(`never said ${pattern}: ${running.stderr()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
