// Names asked of the system: /etc/hosts, then DNS. In a process of its own, because the C library cannot be interrupted and
// a process with a question under way does not end, 10 s and more where no name server answers.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Question {
  readonly name: string;
  /** IP version of the address; absent = either. */
  readonly version?: 4 | 6;
}

/** An address and what others there are, or what the system says instead: one of its error codes, or text. */
export type Reply =
  | { readonly address: string; readonly others?: readonly string[] }
  | { readonly error: string };

export interface LookupOptions {
  readonly limitMs: number;
  /** Ends the questions before their time. */
  readonly signal?: AbortSignal | undefined;
}

/** Asks all questions side by side. Never rejects; a question without a reply in time has none. */
export type Lookup = (
  questions: readonly Question[],
  options: LookupOptions,
) => Promise<readonly (Reply | undefined)[]>;

const PROGRAM = fileURLToPath(new URL('./lookup-process.js', import.meta.url));
/** Questions that libuv asks at a time; each waiting one takes a thread. */
const THREADS_MAX = 128;

export const systemLookup: Lookup = (questions, { limitMs, signal }) => {
  const replies = new Array<Reply | undefined>(questions.length).fill(undefined);
  if (questions.length === 0 || signal?.aborted) return Promise.resolve(replies);
  return new Promise((resolve) => {
    const threads = Math.min(questions.length, THREADS_MAX);
    const child = spawn(process.execPath, [PROGRAM], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(threads) },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const end = (): void => {
      child.kill('SIGKILL');
    };
    const timer = setTimeout(end, limitMs);
    signal?.addEventListener('abort', end);
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      if (error !== undefined) replies.fill({ error: error.message });
      resolve(replies);
    };
    child.on('error', finish);
    child.on('close', () => finish());
    createInterface(child.stdout).on('line', (line) => {
      const [index, reply]: [number, Reply] = JSON.parse(line);
      replies[index] = reply;
    });
    child.stdin.on('error', () => {}); // it ended early: then there are no replies
    child.stdin.end(JSON.stringify(questions));
  });
};
