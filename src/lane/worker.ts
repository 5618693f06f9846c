// A lane's thread: opens the underlay's sockets, makes its codec, and runs the blocking loop. Requests
// of the router are taken between two batches.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openCodec } from '../codec/builds.js';
import { EXIT, Failure } from '../sys/failure.js';
import { routeMtu } from '../sys/route-mtu.js';
import { CombinedUnderlay } from '../underlay/combined.js';
import type { Underlay } from '../underlay/contract.js';
import { IcmpErrors } from '../underlay/icmp-errors.js';
import { RawUnderlay } from '../underlay/raw/raw.js';
import { UdpUnderlay } from '../underlay/udp/udp.js';
import { XdpUnderlay } from '../underlay/xdp/xdp.js';
import { kernelDevices } from './kernel-devices.js';
import type { Lane } from './lane.js';
import { type LoopControl, runLoop } from './loop.js';
import type { LaneEvent, LaneRequest, LaneStart } from './message.js';
import { openLane } from './open.js';

if (parentPort === null) throw new Error('a lane runs in a worker thread');
const port = parentPort;
const tell = (event: LaneEvent): void => port.postMessage(event);

try {
  runLane(workerData as LaneStart);
} catch (error) {
  const known = error instanceof Failure;
  tell({
    kind: 'failed',
    exitCode: known ? error.exitCode : EXIT.bug,
    message: known ? error.message : String(error instanceof Error ? error.stack : error),
    ...(known && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}
port.close();

function runLane(start: LaneStart): void {
  const { memory, plan, codec, merge, reorder, peers, board, devices, tunnels = [] } = start;
  const links = new Map(start.links);
  const linkOfRecord = new Map(start.linkOfRecord);
  // One lane is told of errors, whichever sent the packet.
  const icmp = start.lane === 0 ? new IcmpErrors(start.versions) : undefined;
  const lane = openLane({
    ...{ memory, plan, codec, merge, reorder, peers, tunnels, board },
    routeMtu: (remote, record) => routeMtu(remote, links.get(linkOfRecord.get(record) ?? 0)),
    underlay: openUnderlay(start),
    devices: kernelDevices(memory, devices),
    events: {
      onMergeRefused: (device) => tell({ kind: 'merge-refused', device }),
      onFault: (name, error) => tell({ kind: 'fault', codec: name, error }),
      onPathMtu: (record, mtu) => tell({ kind: 'path-mtu', record, mtu }),
    },
  });
  tell({ kind: 'ready' });
  try {
    runLoop(lane, {
      wakeFd: start.wakeFd,
      errorFds: icmp?.fds ?? [],
      onErrors: () => icmp?.receive((message) => lane.errors?.take(message)),
      onWake: (loop) => answerRequests(lane, memory, loop),
      watchFd: start.watchFd,
      onNetworkChanged: () => tell({ kind: 'network-changed' }),
      busyPoll: start.busyPoll,
      unread: new Set(devices.flatMap(({ record, isRead }) => (isRead ? [] : [record]))),
      onDeviceLost: (record) => tell({ kind: 'device-lost', record }),
    });
  } finally {
    lane.close();
    icmp?.close();
  }
}

/** Raw sockets for the protocols in use, UDP sockets where there are tunnels over UDP. */
function openUnderlay(start: LaneStart): Underlay {
  const { memory, protocols, versions, udp } = start;
  const linkOfRecord = new Map(start.linkOfRecord);
  const links = new Map(start.links);
  const linkOf = (record: number): number => linkOfRecord.get(record) ?? 0;
  const { lane, laneCount, xdp } = start;
  // What comes for a group comes once for the machine, and twice to two UDP sockets.
  const ofOneLane = (groups: LaneStart['groups']): LaneStart['groups'] =>
    lane === 0 ? groups : [];
  const openPlain = (): Underlay => {
    const outer = { protocols, versions, groups: ofOneLane(start.groups) };
    const raw = new RawUnderlay(memory, { ...outer, links, linkOf, lane, laneCount });
    if (xdp === undefined) return raw;
    const { devices } = xdp;
    return new XdpUnderlay({
      ...{ memory, raw, devices, outerLengths: new Map(xdp.outerLengths) },
      onSuperpacketsRefused: (device) => tell({ kind: 'superpackets-refused', device }),
    });
  };
  if (udp.records.length === 0) return openPlain();

  const onSegmentationRefused = () => tell({ kind: 'segmentation-refused' });
  const isShared = laneCount > 1;
  const { locals } = udp;
  const groups = ofOneLane(udp.groups);
  const options = { locals, groups, links, linkOf, isShared, onSegmentationRefused };
  const overUdp = new UdpUnderlay(memory, options);
  // Where the kernel can segment behind a plain packet, all of the tunnel's leave as such: a flow keeps to one way.
  const segmented = new Map(xdp?.outerLengths);
  const isPlain = (record: number): boolean => segmented.has(record) || udp.headed.includes(record);
  const records = new Set(udp.records.filter((record) => !isPlain(record)));
  if (protocols.length === 0 && records.size === udp.records.length) return overUdp;
  return new CombinedUnderlay(openPlain(), overUdp, (record) => records.has(record));
}

/** Carries out what the router asked for. Returns false when that was to stop. */
function answerRequests(lane: Lane, memory: WebAssembly.Memory, loop: LoopControl): boolean {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const request = received.message as LaneRequest;
    if (request.kind === 'stop') return false;
    if (request.kind === 'watch') loop.watch();
    else if (request.kind === 'emit') lane.aside.emit(request.record, request.packet);
    else if (request.kind === 'tunnels') {
      lane.tunnels?.change(request.changes);
      tell({ kind: 'tunnels', id: request.id });
    } else if (request.kind === 'codec') swapCodec(lane, memory, request);
    else tell({ kind: 'kernel-drops', id: request.id, drops: lane.kernelDrops() });
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
