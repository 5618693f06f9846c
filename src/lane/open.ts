// A lane out of what it is started with: the codec and the one behind it, rings, underlay, devices.
import { RING_STATES } from '../../asm/layout.js';
import { openCodec } from '../codec/builds.js';
import { PathMtus } from '../ring/path-mtus.js';
import type { Ring } from '../ring/ring.js';
import type { TunDevice } from '../tun/contract.js';
import type { Underlay } from '../underlay/contract.js';
import { Answers } from './answers.js';
import { Board } from './board.js';
import type { LaneEvents } from './contract.js';
import { Lane } from './lane.js';
import type { LaneStart } from './message.js';
import { Paths, type RouteMtu } from './paths.js';
import { LaneTunnels } from './tunnels.js';
import { UnderlayErrors } from './underlay-errors.js';

export interface OpenLaneOptions
  extends Pick<
    LaneStart,
    'memory' | 'plan' | 'codec' | 'merge' | 'reorder' | 'peers' | 'tunnels' | 'board'
  > {
  /** Closed with the lane. */
  readonly underlay: Underlay;
  /** Makes the devices by record, over the ring that packets are read into. */
  readonly devices: (encap: Ring) => readonly (readonly [record: number, device: TunDevice])[];
  readonly events: Pick<LaneEvents, 'onFault' | 'onMergeRefused'> &
    Partial<Pick<LaneEvents, 'onPathMtu'>>;
  /** What the kernel knows of the way to a remote, for the tunnel of a record; absent: nothing. */
  readonly routeMtu?: RouteMtu;
}

/** Opens a lane; who runs it calls encapBatch and decapBatch. */
export function openLane({ devices, events, ...options }: OpenLaneOptions): Lane {
  const { memory, plan, underlay, codec, merge, reorder, peers, board } = options;
  const { routeMtu = () => undefined } = options;
  const tunnels = new LaneTunnels(options.tunnels ?? []);
  const lane = new Lane({
    memory,
    plan,
    underlay,
    codec: openCodec(codec, memory),
    fallback: openCodec({ name: 'js' }, memory),
    merge,
    ...(reorder.length === 0 ? {} : { reorder: new Map(reorder) }),
    peers,
    board: board && new Board(board),
    onMergeRefused: events.onMergeRefused,
    onFault: (name, error) => events.onFault(name, String(error)),
  });
  for (const [record, device] of devices(lane.encapRing)) lane.devices[record] = device;
  const states = new Uint32Array(memory.buffer)[(plan.encap + RING_STATES) >>> 2] as number;
  const paths = new Paths({
    ...{ tunnels, routeMtu },
    pathMtus: new PathMtus(memory, states),
    onLearned: events.onPathMtu ?? (() => {}),
  });
  const { aside } = lane;
  const onAnswer = (isSent: boolean): void => lane.countAnswer(isSent);
  const answers = new Answers({ aside, tunnels, paths, onAnswer });
  aside.responders.push(answers);
  lane.tunnels = tunnels;
  lane.errors = new UnderlayErrors({
    ...{ tunnels, paths, answers },
    onError: (isHeeded) => lane.countError(isHeeded),
    onDropped: (reason) => lane.countDrop(reason),
  });
  return lane;
}
