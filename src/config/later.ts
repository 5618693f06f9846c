// Keys that this version reads and does not act on. What gets built leaves the list.

import { CODE, show } from './diagnostic.js';
import type { TunnelTable } from './schema.js';
import { keyPlace, type Subject } from './subject.js';

/** Key by key, whether its value asks for something. */
const LATER: readonly (readonly [
  key: keyof TunnelTable,
  asksIn: (values: TunnelTable) => boolean,
])[] = [];

/** Names the keys of the table that have no effect. */
export function checkLater(subject: Subject): void {
  for (const [key, asksIn] of LATER) {
    if (!asksIn(subject.values)) continue;
    const value = subject.values[key];
    const what = typeof value === 'object' ? key : `${key} = ${show(value)}`;
    const message = `${what} has no effect: this version does not act on it`;
    subject.report.add(CODE.noEffect, keyPlace(subject, key), message);
  }
}
