// What the bench asks of every path from left to right, whoever carries the packets.
import type { Lab } from '../path/lab.js';
import type { Running } from '../path/processes.js';

export interface OpenPath {
  /** Addresses of both sides over this path. */
  readonly left: string;
  readonly right: string;
  /** The programs that carry packets; none where the kernel does. */
  readonly routers: readonly Running[];
  /** Addresses of the right side through each of its tunnels, where it has many. */
  readonly spread?: Spread;
  /** Milliseconds that `grebe status` takes; absent for what is not grebe. */
  measureStatus?(): Promise<number>;
}

/** `count` addresses: `first`, and every `stride` after it. */
export interface Spread {
  readonly first: string;
  readonly stride: number;
  readonly count: number;
}

export interface Path {
  readonly name: string;

  /** Why it cannot run here, or undefined. */
  missing(): string | undefined;

  /** What the program says its version is; absent for what has none of its own. */
  version?(): string;

  /**
   * Sets up both sides; packets pass when it resolves. What it starts and writes goes with the lab.
   * `tunnels`: how many stand between the two sides. The traffic takes the last; only grebe can have more than one.
   */
  open(lab: Lab, tunnels: number): Promise<OpenPath>;
}
