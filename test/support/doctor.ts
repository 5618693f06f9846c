// Runs grebe doctor inside a namespace, and looks for what it found.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { GREBE } from './lab.js';

export interface Finding {
  readonly check: string;
  readonly severity: string;
  readonly tunnel: string | null;
  readonly looked: string;
  readonly found: string;
  readonly next: string | null;
}

export interface Examined {
  readonly code: number;
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
}

const LIMIT_MS = 30_000;

/** Runs `grebe doctor WORDS -j` inside `namespace`, its process behind the words of `through`. */
export async function doctor(
  namespace: string,
  words: readonly string[],
  through: readonly string[] = [],
): Promise<Examined> {
  const command = [...through, process.execPath, GREBE, 'doctor', '-j', ...words];
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  assert.match(stdout, /^\{"schema":"grebe.doctor\/1"/, `exit ${code}: ${stderr}`);
  const { healthy, findings } = JSON.parse(stdout);
  assert.equal(code, healthy ? 0 : 3, 'the exit code says what the findings say');
  return { code, healthy, findings };
}

/** What a fault must be called. */
export interface Expected {
  readonly check: string;
  readonly severity: 'error' | 'warning' | 'note' | 'unknown';
  readonly tunnel?: string;
  readonly found: RegExp;
  readonly next: RegExp;
}

/** Fails unless one of the findings is the one expected; returns it. */
export function assertFound({ findings }: Examined, expected: Expected): Finding {
  const { check, severity, tunnel = null, found, next } = expected;
  const hit = findings.find(
    (one) =>
      one.check === check &&
      one.severity === severity &&
      one.tunnel === tunnel &&
      found.test(one.found) &&
      next.test(one.next ?? ''),
  );
  const told = findings.filter((one) => one.severity !== 'ok' || one.check === check);
  assert.ok(hit, `no finding is ${check} ${severity} ${found} ${next}:\n${show(told)}`);
  assert.ok(hit.looked.length > 0);
  return hit;
}

/** Fails if a check found something to repair. */
export function assertFine({ findings }: Examined, check: string): void {
  const wrong = findings.filter(
    (one) => one.check === check && ['error', 'warning'].includes(one.severity),
  );
  assert.deepEqual(wrong, []);
}

/** Fails unless nothing is to be repaired. */
export function assertHealthy({ findings, healthy }: Examined): void {
  const wrong = findings.filter(({ severity }) => severity === 'error' || severity === 'warning');
  assert.deepEqual(wrong, []);
  assert.equal(healthy, true);
}

function show(findings: readonly Finding[]): string {
  return findings.map((one) => JSON.stringify(one)).join('\n');
}
