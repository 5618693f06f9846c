import type { GreHeader } from './gre.js';
import type { Inner } from './inner.js';
import { PROTOCOL_IPIP, PROTOCOL_SIT } from './ipv4.js';
import type { Passed } from './observe.js';
import type { Received } from './received.js';
import type { Entry, Table } from './table.js';

/** What is known of a packet: everything that it passed, and what was read on the way. */
export interface Known {
  readonly packet: Uint8Array;
  readonly table: Table;
  readonly way: Passed[];
  outer?: Received;
  gre?: GreHeader;
  entry?: Entry;
  /** Null: a frame without an IP packet. */
  inner?: Inner | null;
}

/** Keeps what `passed` tells. */
export function keep(known: Known, passed: Passed): void {
  known.way.push(passed);
  if (passed.at === 'outer') known.outer = passed.outer;
  else if (passed.at === 'gre') known.gre = passed.gre;
  else if (passed.at === 'tunnel') known.entry = passed.entry;
  else if (passed.at === 'inner') known.inner = passed.inner;
}

/** Whether the tunnel of a received packet was looked for. */
export function reachedLookup({ outer, gre }: Known): boolean {
  return gre !== undefined || outer?.protocol === PROTOCOL_IPIP || outer?.protocol === PROTOCOL_SIT;
}
