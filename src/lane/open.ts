// A lane out of what it is started with: the codec and the one behind it, rings, underlay, devices.
import { openCodec } from '../codec/builds.js';
import type { Ring } from '../ring/ring.js';
import type { TunDevice } from '../tun/contract.js';
import type { Underlay } from '../underlay/contract.js';
import { Board } from './board.js';
import { Lane, type LaneEvents } from './lane.js';
import type { LaneStart } from './message.js';

export interface OpenLaneOptions
  extends Pick<LaneStart, 'memory' | 'plan' | 'codec' | 'merge' | 'reorder' | 'board'> {
  /** Closed with the lane. */
  readonly underlay: Underlay;
  /** Makes the devices by record, over the ring that packets are read into. */
  readonly devices: (encap: Ring) => readonly (readonly [record: number, device: TunDevice])[];
  readonly events: Pick<LaneEvents, 'onFault' | 'onMergeRefused'>;
}

/** Opens a lane; who runs it calls encapBatch and decapBatch. */
export function openLane({ devices, events, ...options }: OpenLaneOptions): Lane {
  const { memory, plan, underlay, codec, merge, reorder, board } = options;
  const lane = new Lane({
    memory,
    plan,
    underlay,
    codec: openCodec(codec, memory),
    fallback: openCodec({ name: 'js' }, memory),
    merge,
    ...(reorder.length === 0 ? {} : { reorder: new Map(reorder) }),
    board: board && new Board(board),
    onMergeRefused: events.onMergeRefused,
    onFault: (name, error) => events.onFault(name, String(error)),
  });
  for (const [record, device] of devices(lane.encapRing)) lane.devices[record] = device;
  return lane;
}
