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
    findings.push(...outcomes.map((outcome) => findingOf(name, check, outcome)));
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

function findingOf(name: CheckName, { looks }: Check, outcome: Outcome): Finding {
  const { severity, tunnel = null, found, next = null } = outcome;
  return { check: name, severity, tunnel, looked: looks, found, next };
}
