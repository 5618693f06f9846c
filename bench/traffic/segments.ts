// TCP segments that a side has sent, as its kernel counts them (RFC 4022: OutSegs, RetransSegs). Superpackets count
// as the segments they stand for.
import { EXIT, Failure } from '../../src/sys/failure.js';
import type { Lab, Side } from '../path/lab.js';

export interface Segments {
  /** Without those that were sent again. */
  readonly sent: number;
  readonly retransmitted: number;
}

const READ_LIMIT_MS = 5_000;

export async function readSegments(lab: Lab, side: Side): Promise<Segments> {
  return parseSegments(await lab.run(side, ['cat', '/proc/net/snmp'], READ_LIMIT_MS));
}

/** The `Tcp:` lines of /proc/net/snmp: names, then values. */
export function parseSegments(text: string): Segments {
  const [names = [], values = []] = text
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  const counterOf = (name: string) => {
    const value = values[names.indexOf(name)];
    if (value === undefined) throw new Failure(EXIT.failed, `/proc/net/snmp has no ${name}`);
    return Number(value);
  };
  return { sent: counterOf('OutSegs'), retransmitted: counterOf('RetransSegs') };
}

/** Percent of the segments between two readings that were sent again. */
export function retransmitPercent(before: Segments, after: Segments): number {
  const retransmitted = after.retransmitted - before.retransmitted;
  const all = after.sent - before.sent + retransmitted;
  return all === 0 ? 0 : (100 * retransmitted) / all;
}
