// grebe doctor: every check, one after the other, on one picture of config, router and machine.
import { EXIT, Failure } from '../sys/failure.js';
import type { Check } from './check.js';
import { CHECK_NAMES, CHECKS, type CheckName } from './checks.js';
import { type Finding, isWrong, type Outcome, SEVERITIES } from './finding.js';
import type { Subject } from './subject.js';

/** What `grebe doctor -j` prints. */
export interface DoctorMessage {
  readonly schema: 'grebe.doctor/1';
  /** Whether nothing is to be repaired. */
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
}

/** Runs all checks. What is wrong comes first; each that has something to look at has a finding, be it that all is well. */
export async function examine(subject: Subject): Promise<DoctorMessage> {
  const findings: Finding[] = [];
  for (const name of CHECK_NAMES) {
    const check: Check = CHECKS[name];
    if (subject.targets.length === 0 && check.isOfMachine === undefined) continue;
    const outcomes = await outcomesOf(check, subject);
    findings.push(...outcomes.map((outcome) => findingOf(name, check, outcome, subject.given)));
  }
  findings.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  return { schema: 'grebe.doctor/1', healthy: !findings.some(isWrong), findings };
}

/** 3 when something is to be repaired. */
export function exitCodeOf({ healthy }: DoctorMessage): typeof EXIT.ok | typeof EXIT.down {
  return healthy ? EXIT.ok : EXIT.down;
}

async function outcomesOf(check: Check, subject: Subject): Promise<readonly Outcome[]> {
  try {
    const outcomes = await check.examine(subject);
    return outcomes.length > 0 ? outcomes : [{ severity: 'ok', found: check.fine }];
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const next = error.hint === undefined ? {} : { next: error.hint };
    return [{ severity: 'unknown', found: error.message, ...next }];
  }
}

function findingOf(
  name: CheckName,
  { looks }: Check,
  outcome: Outcome,
  given: Subject['given'],
): Finding {
  const { severity, tunnel = null, found, next } = outcome;
  const shown = next === undefined ? null : withOptions(next, given);
  return { check: name, severity, tunnel, looked: looks, found, next: shown };
}

/** Commands that ask a router, or start one. */
const ASKS = /\bgrebe (?:reload|trace|status|doctor|diff|run)\b[^;]*/g;

/** The next step, for the router and the config that this doctor was called for. */
function withOptions(next: string, { socket, config }: Subject['given']): string {
  const isNamed = next.includes('--socket');
  return next.replace(ASKS, (command: string) => {
    const file = config === undefined || next.includes('--config');
    const words = [
      ...(socket === undefined || isNamed ? [] : ['--socket', socket]),
      ...(file ? [] : ['--config', config]),
    ];
    return [command, ...words.map(quoted)].join(' ');
  });
}

/** A word as a shell takes it for one. */
function quoted(word: string): string {
  return /^[\w./:=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
