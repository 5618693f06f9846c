// Other tunnels in a running lane, between two batches.
//
//   1. sockets   those that are missing are opened: the one thing that can fail
//   2. lists     tunnels, devices, peers, what waits for its turn
//   3. follow    epoll lets go of what is gone, and waits for what is new
//   4. close     sockets that nobody waits for
//
// The lane goes by the live table image all the time: a record that it knows no device for is a hole there.
import { EXIT, type ExitCode, Failure } from '../sys/failure.js';
import type { LinuxTun } from '../tun/linux.js';
import type { Lane } from './lane.js';
import type { LaneChange, LaneDevice, LaneFault, LaneSockets } from './message.js';

export interface Changeable {
  readonly lane: Lane;
  /** Records whose devices another lane reads. */
  readonly unread: Set<number>;
  readonly openDevice: (device: LaneDevice) => LinuxTun;
  /** Returns the descriptors that are to be closed once nobody waits for them. Throws a Failure. */
  readonly changeSockets: (sockets: LaneSockets) => number[];
  /** Throws a Failure. */
  readonly changeXdp: (change: NonNullable<LaneChange['xdp']>) => void;
  readonly closeSockets: (fds: readonly number[]) => void;
  /** Waits for what the lane has by now. */
  readonly follow: () => void;
}

/** Throws a Failure when a socket cannot be had; nothing but sockets is different then. */
export function applyChange(change: LaneChange, target: Changeable): void {
  const { lane, unread } = target;
  const closing = change.sockets === undefined ? [] : target.changeSockets(change.sockets);
  if (change.xdp !== undefined) target.changeXdp(change.xdp);
  for (const record of change.removed) {
    lane.devices[record] = undefined;
    unread.delete(record);
  }
  for (const device of change.added) {
    lane.devices[device.record] = target.openDevice(device);
    if (device.isRead) unread.delete(device.record);
    else unread.add(device.record);
  }
  if (change.peers !== undefined) lane.setPeers(change.peers);
  if (change.reorder !== undefined) lane.setReorder(new Map(change.reorder));
  if (change.tunnels.length > 0) lane.tunnels?.change(change.tunnels);
  target.follow();
  target.closeSockets(closing);
}

/** A Failure for another thread. */
export function toFault(error: unknown): LaneFault {
  if (!(error instanceof Failure)) {
    const message = String(error instanceof Error ? error.stack : error);
    return { exitCode: EXIT.bug, message };
  }
  const { exitCode, message, hint } = error;
  return { exitCode, message, ...(hint === undefined ? {} : { hint }) };
}

export function fromFault({ exitCode, message, hint }: LaneFault): Failure {
  const known = Object.values(EXIT).find((one): one is ExitCode => one === exitCode);
  return new Failure(known ?? EXIT.bug, message, hint);
}
