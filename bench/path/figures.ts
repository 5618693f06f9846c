// What is measured of a path, by name. A name ends with its unit.

/** Figures of one path in one round; a measure that was not asked for leaves none. */
export type Sample = { [figure in Figure]?: number };

export type Figure =
  /** TCP payload that arrived: one flow and eight, from left to right and back. */
  | 'tcpGbits'
  | 'tcpReverseGbits'
  | 'tcp8Gbits'
  | 'tcp8ReverseGbits'
  /** Segments that were sent again, and their part of all segments. */
  | 'tcpRetransmits'
  | 'tcpRetransmitPercent'
  | 'tcpReverseRetransmits'
  | 'tcpReverseRetransmitPercent'
  | 'tcp8Retransmits'
  | 'tcp8RetransmitPercent'
  | 'tcp8ReverseRetransmits'
  | 'tcp8ReverseRetransmitPercent'
  /**
   * For 10^9 bytes of one TCP flow: CPU time of everything on the machine, less what it used just before; of the
   * routers alone.
   */
  | 'machineCpuPerGigabyte'
  | 'routerCpuPerGigabyte'
  /** Thousands of datagrams a second that arrived from a sender without limit. */
  | 'udp64Kpps'
  | 'udp1400Kpps'
  /** Microseconds of the routers' CPU time for each that arrived. */
  | 'udp64RouterMicroseconds'
  | 'udp1400RouterMicroseconds'
  /** Those that came after a later one of their flow. */
  | 'udp64Reordered'
  | 'udp1400Reordered'
  /** The highest rate with less than 0.1 % lost. */
  | 'udp64LosslessKpps'
  | 'udp1400LosslessKpps'
  /** Round trips: one echo after the other, and 300 a second. */
  | 'floodP50Ms'
  | 'floodP99Ms'
  | 'floodLost'
  | 'pingP50Ms'
  | 'pingP99Ms'
  | 'pingLost'
  /** The same sender with one flow and with 1,000 at once. */
  | 'flow1Gbits'
  | 'flow1000Gbits'
  | 'flow1000RetransmitPercent'
  | 'flow1000Carrying'
  /** As udp64, with the datagrams spread over all tunnels but the last. */
  | 'spreadKpps'
  | 'spreadRouterMicroseconds'
  | 'spreadReordered'
  /** CPU of both routers without traffic, in percent of one core. */
  | 'idlePercent'
  /** Of the slower, from its start. */
  | 'readyMs'
  /** Of the larger, after the traffic. */
  | 'rssMegabytes'
  /** A whole run of `grebe status`. */
  | 'statusMs';

/** Median, lowest and highest of the rounds. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export type Spreads = { readonly [figure in Figure]?: Spread };

/** Median, lowest and highest of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
  const [low, high] = [sorted[0] ?? 0, sorted.at(-1) ?? 0];
  return { median: rounded(median), low: rounded(low), high: rounded(high) };
}

/** To more digits than any of this is exact to, and fewer than fill a file. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

/** The spread of every figure that a sample has. */
export function spreadsOf(samples: readonly Sample[]): Spreads {
  const values = new Map<string, number[]>();
  for (const sample of samples) {
    for (const [figure, value] of Object.entries(sample)) {
      values.set(figure, [...(values.get(figure) ?? []), value]);
    }
  }
  return Object.fromEntries([...values].map(([figure, all]) => [figure, spreadOf(all)]));
}
