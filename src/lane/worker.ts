// A lane's thread: opens the underlay's sockets, makes its codec, and runs the blocking loop. Requests
// of the router are taken between two batches.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openCodec } from '../codec/builds.js';
import { threadId } from '../sys/priority.js';
import { routeMtu } from '../sys/route-mtu.js';
import { IcmpErrors } from '../underlay/icmp-errors.js';
import { applyChange, toFault } from './change.js';
import { deviceOpener, kernelDevices } from './kernel-devices.js';
import type { Lane } from './lane.js';
import { type LoopControl, runLoop } from './loop.js';
import type { LaneChange, LaneEvent, LaneRequest, LaneStart } from './message.js';
import { openLane } from './open.js';
import { closeSockets, LaneUnderlay } from './underlay.js';

if (parentPort === null) throw new Error('a lane runs in a worker thread');
const port = parentPort;
const tell = (event: LaneEvent): void => port.postMessage(event);

try {
  runLane(workerData as LaneStart);
} catch (error) {
  tell({ kind: 'failed', ...toFault(error) });
}
port.close();

function runLane(start: LaneStart): void {
  const { memory, plan, codec, merge, reorder, peers, board, devices, tunnels = [] } = start;
  const underlay = new LaneUnderlay(start, {
    onSuperpacketsRefused: (device) => tell({ kind: 'superpackets-refused', device }),
    onSegmentationRefused: () => tell({ kind: 'segmentation-refused' }),
  });
  const { links, linkOf } = underlay;
  const unread = new Set(devices.flatMap(({ record, isRead }) => (isRead ? [] : [record])));
  // One lane is told of errors, whichever sent the packet.
  const icmp = start.lane === 0 ? new IcmpErrors(start.versions) : undefined;
  const lane = openLane({
    ...{ memory, plan, codec, merge, reorder, peers, tunnels, board },
    routeMtu: (remote, record) => routeMtu(remote, links.get(linkOf(record))),
    underlay,
    devices: kernelDevices(memory, devices),
    events: {
      onMergeRefused: (device) => tell({ kind: 'merge-refused', device }),
      onFault: (name, error) => tell({ kind: 'fault', codec: name, error }),
      onPathMtu: (record, mtu) => tell({ kind: 'path-mtu', record, mtu }),
    },
  });
  const change = (wanted: LaneChange, { follow }: LoopControl): void => {
    applyChange(wanted, {
      ...{ lane, unread, follow, closeSockets },
      openDevice: deviceOpener(memory, lane.encapRing),
      changeSockets: (sockets) => {
        icmp?.want(sockets.versions);
        return underlay.change(sockets);
      },
      changeXdp: ({ number, device }) => underlay.changeXdp(number, device),
    });
  };
  tell({ kind: 'ready', threadId: threadId() });
  try {
    runLoop(lane, {
      wakeFd: start.wakeFd,
      errorFds: () => icmp?.fds ?? [],
      onErrors: () => icmp?.receive((message) => lane.errors?.take(message)),
      onWake: (loop) => answerRequests(lane, memory, (wanted) => change(wanted, loop), loop),
      networkFd: start.networkFd,
      onNetworkChanged: () => tell({ kind: 'network-changed' }),
      busyPoll: start.busyPoll,
      unread,
      onDeviceLost: (record) => tell({ kind: 'device-lost', record }),
    });
  } finally {
    lane.close();
    icmp?.close();
  }
}

/** Carries out what the router asked for. Returns false when that was to stop. */
function answerRequests(
  lane: Lane,
  memory: WebAssembly.Memory,
  change: (wanted: LaneChange) => void,
  loop: LoopControl,
): boolean {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const request = received.message as LaneRequest;
    if (request.kind === 'stop') return false;
    if (request.kind === 'watch-network') loop.watchNetwork();
    else if (request.kind === 'emit') lane.aside.emit(request.record, request.packet);
    else if (request.kind === 'change') tryChange(request, change);
    else if (request.kind === 'codec') swapCodec(lane, memory, request);
    else tell({ kind: 'kernel-drops', id: request.id, drops: lane.kernelDrops() });
  }
}

function tryChange(
  { id, change: wanted }: Extract<LaneRequest, { kind: 'change' }>,
  change: (wanted: LaneChange) => void,
): void {
  try {
    change(wanted);
    tell({ kind: 'change', id });
  } catch (error) {
    tell({ kind: 'change', id, fault: toFault(error) });
  }
}

function swapCodec(
  lane: Lane,
  memory: WebAssembly.Memory,
  { id, build }: Extract<LaneRequest, { kind: 'codec' }>,
): void {
  try {
    lane.useCodec(openCodec(build, memory));
    tell({ kind: 'codec', id, name: build.name });
  } catch (error) {
    tell({ kind: 'codec', id, name: build.name, error: String(error) });
  }
}
