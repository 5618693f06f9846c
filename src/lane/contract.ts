// A lane as the router sees it: what can be asked of one that runs, and what it tells by itself.
import type { CodecBuild } from '../codec/builds.js';
import type { Failure } from '../sys/failure.js';
import type { KernelDrops } from '../underlay/contract.js';
import type { LaneChange } from './message.js';

/** A running lane, as the router holds it: in a thread of its own or on the main thread's event loop. */
export interface LaneHandle {
  /** Resolves once the lane moves packets; rejects with the Failure that kept it from starting. */
  ready(): Promise<void>;

  /** The kernel's number of the thread that the lane has to itself, once it is ready; undefined: it has none. */
  readonly threadId?: number | undefined;

  /** Resolves once the lane runs `build`. */
  useCodec(build: CodecBuild): Promise<void>;

  /**
   * Resolves with what the kernel dropped on the way to the lane's sockets, with nothing where it cannot say; undefined:
   * the lane does not answer.
   */
  kernelDrops(): Promise<KernelDrops | undefined>;

  /** Resolves once the lane works with other tunnels, devices and sockets; rejects with the Failure that kept it. */
  change(change: LaneChange): Promise<void>;

  /** Sends an inner packet into the tunnel of `record`, as one of the router's own. */
  emit(record: number, packet: Uint8Array): void;

  /** Lets the lane tell of a change of the network again, after it told of one. */
  watchNetwork(): void;

  /** Ends the lane after the batch in hand, or by force after `limitMs`. */
  stop(limitMs: number): Promise<void>;
}

/** What a lane tells the router. */
export interface LaneEvents {
  readonly onFault: (codec: string, error: string) => void;
  readonly onDeviceLost: (record: number) => void;
  /** The kernel refused superpackets of `device` that may be good: nothing is merged any more. */
  readonly onMergeRefused: (device: string) => void;
  /** What the lane watches changed: routes, links, neighbours. Not told again before `watchNetwork`. */
  readonly onNetworkChanged: () => void;
  /** The kernel cannot segment datagrams on their way out: they go one by one from there on. */
  readonly onSegmentationRefused: () => void;
  /** The kernel cannot segment superpackets on their way out of `device`: they are split from there on. */
  readonly onSuperpacketsRefused: (device: string) => void;
  /** The way to the peer of a tunnel takes inner packets of `mtu` bytes, as was just found or heard again. */
  readonly onPathMtu: (record: number, mtu: number) => void;
  /** The lane ended without having been asked to. */
  readonly onFailed: (failure: Failure) => void;
}
