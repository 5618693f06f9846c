// Round trips, from ping's own line for each reply.
//
// `-i 0` is what `-f` does, one echo outstanding and no pause, but with a line a reply instead of dots.
import type { Lab } from '../path/lab.js';

export interface PingOptions {
  /** Address of the right side over the path. */
  readonly address: string;
  readonly count: number;
  /** Seconds between echoes; 0: the next as soon as the reply is there, or after 10 ms. */
  readonly interval: number;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds, in the order of the replies. */
  readonly times: readonly number[];
}

const SLACK_SECONDS = 3;
/** What ping ends with when replies are missing: for it a failure, for the bench a figure. */
const REPLIES_MISSING = 1;

export function runPing(lab: Lab, { address, count, interval }: PingOptions): Promise<PingResult> {
  // Without replies an echo goes out every 10 ms at most, so a bound on time is needed beside the count.
  const deadline = Math.ceil(count * Math.max(interval, 0.001)) + SLACK_SECONDS;
  const words = ['-n', '-i', `${interval}`, '-c', `${count}`, '-w', `${deadline}`, address];
  const limitMs = (deadline + SLACK_SECONDS) * 1000;
  return lab.run(lab.left, ['ping', ...words], limitMs, [0, REPLIES_MISSING]).then(parsePing);
}

/** The lines of ping, of iputils or busybox. */
export function parsePing(text: string): PingResult {
  const times = [...text.matchAll(/^\d+ bytes from .* time[=<]([\d.]+) ms/gm)].map((match) =>
    Number(match[1]),
  );
  const [, sent, received] =
    /(\d+) packets transmitted, (\d+) (?:packets )?received/.exec(text) ?? [];
  return { sent: Number(sent ?? 0), received: Number(received ?? 0), times };
}

/** The value that `fraction` of `values` do not exceed (nearest rank). */
export function percentile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? Number.NaN;
}
