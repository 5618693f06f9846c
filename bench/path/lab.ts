// Two network namespaces with one veth pair between them.
//
//   left 192.0.2.1 --- u0 === u0 --- 192.0.2.2 right      MTU 1500, offloads all off or all on
import { spawnSync } from 'node:child_process';
import { ip, Namespaces, SEARCH_PATH } from '../../src/demo/namespaces.js';
import { type Running, runToEnd, type StartOptions, startReady } from './processes.js';

/** Whether the devices of the cable may carry superpackets: segmentation and merging, on both ends. */
export type Offloads = 'off' | 'on';

export interface Side {
  readonly namespace: string;
  /** Its address on the underlay. */
  readonly address: string;
}

export interface Lab {
  readonly left: Side;
  readonly right: Side;
  /** For files; goes with the lab. */
  readonly folder: string;

  /**
   * Runs a command in a namespace to its end and returns its stdout. Does not hold up the event loop. `codes`:
   * exit codes that are no failure; absent: 0 alone.
   */
  run(
    side: Side,
    words: readonly string[],
    limitMs: number,
    codes?: readonly number[],
  ): Promise<string>;

  /** Starts a process in a namespace and waits until it is ready. */
  start(side: Side, words: readonly string[], options?: StartOptions): Promise<Running>;

  /** Ends what was started and removes what was made. */
  close(): Promise<void>;
}

/** Name of the cable's device on both sides. */
export const CABLE = 'u0';
/** Where the kernel names the TCP congestion control of a namespace. */
export const CONGESTION_FILE = '/proc/sys/net/ipv4/tcp_congestion_control';

export interface LabOptions {
  readonly offloads: Offloads;
  /** TCP congestion control of both hosts; absent: the machine's own. */
  readonly congestion?: string;
}

/** Makes both namespaces and the veth. Throws a Failure, and leaves nothing, when a step is refused. */
export async function openLab({ offloads, congestion }: LabOptions): Promise<Lab> {
  const namespaces = new Namespaces('path');
  try {
    // Without IPv6 no packet crosses that the bench did not send.
    const [a, b] = [
      namespaces.add('left', { ipv6: false }),
      namespaces.add('right', { ipv6: false }),
    ];
    const left: Side = { namespace: a, address: '192.0.2.1' };
    const right: Side = { namespace: b, address: '192.0.2.2' };
    namespaces.link(cableEnd(left), cableEnd(right));
    for (const side of [left, right]) {
      setOffloads(namespaces, side, offloads);
      if (congestion !== undefined) setCongestion(namespaces, side, congestion);
    }
    return {
      left,
      right,
      folder: namespaces.folder,
      run: (side, ...rest) => runToEnd(namespaces, side.namespace, ...rest),
      start: (side, words, options) => startReady(namespaces, side.namespace, words, options),
      close: () => namespaces.close(),
    };
  } catch (error) {
    await namespaces.close();
    throw error;
  }
}

function cableEnd(side: Side) {
  return { namespace: side.namespace, device: CABLE, addresses: [`${side.address}/24`] };
}

function setOffloads(namespaces: Namespaces, side: Side, offloads: Offloads): void {
  const features = ['tso', 'gso', 'gro'].flatMap((feature) => [feature, offloads]);
  namespaces.run(side.namespace, 'ethtool', ['-K', CABLE, ...features]);
  // A switch of its own, which older kernels and their devices do not have.
  const words = ['netns', 'exec', side.namespace, 'ethtool', '-K', CABLE];
  const env = { ...process.env, PATH: SEARCH_PATH };
  spawnSync('ip', [...words, 'tx-udp-segmentation', offloads], { env });
}

function setCongestion(namespaces: Namespaces, side: Side, name: string): void {
  const script = `echo "$1" > ${CONGESTION_FILE}`;
  namespaces.run(side.namespace, 'sh', ['-ec', script, 'sh', name]);
}

/** Whether `program` is in the search path. */
export function hasProgram(program: string): boolean {
  const env = { ...process.env, PATH: SEARCH_PATH };
  return spawnSync('sh', ['-c', `command -v "${program}"`], { env }).status === 0;
}

/** `ip` inside the namespace of `side`. */
export function ipOf(side: Side, ...words: string[]): string {
  return ip('-n', side.namespace, ...words);
}
