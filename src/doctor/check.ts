import type { Outcome } from './finding.js';
import type { Subject } from './subject.js';

/** One thing that may be wrong. */
export interface Check {
  /** What it looks at. */
  readonly looks: string;
  /** What is said where nothing was found. */
  readonly fine: string;
  /** It has something to say without any tunnel, too. */
  readonly isOfMachine?: true;
  /** What it found; nothing: all is well. A Failure that it throws is something it could not look at. */
  readonly examine: (subject: Subject) => readonly Outcome[] | Promise<readonly Outcome[]>;
}
