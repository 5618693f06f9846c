// What a check found, and what is to be done about it.
import type { CheckName } from './checks.js';

/**
 * `error`: it does not work; `warning`: it works until something happens; `note`: worth knowing, nothing wrong;
 * `unknown`: it could not be looked at; `ok`: nothing wrong.
 */
export type Severity = 'error' | 'warning' | 'note' | 'unknown' | 'ok';

/** From what comes first in print to the last. */
export const SEVERITIES: readonly Severity[] = ['error', 'warning', 'note', 'unknown', 'ok'];

/** What a check says of one object. */
export interface Outcome {
  readonly severity: Severity;
  /** Name of the tunnel; absent: it concerns the machine, or all of them. */
  readonly tunnel?: string;
  readonly found: string;
  /** The next command, or the next thing to do. */
  readonly next?: string;
}

/** An outcome as it is printed: with the check it comes from. */
export interface Finding {
  readonly check: CheckName;
  readonly severity: Severity;
  readonly tunnel: string | null;
  /** What was looked at. */
  readonly looked: string;
  readonly found: string;
  readonly next: string | null;
}

/** Whether a finding is one to be repaired: the doctor ends with exit code 3 then. */
export function isWrong({ severity }: Pick<Finding, 'severity'>): boolean {
  return severity === 'error' || severity === 'warning';
}
