// What lanes are told of the tunnels: all of it when they start, and what differs when the tunnels change.
import { MERGE_TCP, MERGE_UDP } from '../../asm/layout.js';
import type { RouterConfig } from '../config/config.js';
import type { LaneChange, LaneDevice, LaneSockets, LaneStart, XdpStart } from '../lane/message.js';
import { reorderLimits } from '../lane/reorder.js';
import { type PeerRange, peerRanges } from '../packet/peers.js';
import type { Tunnel } from '../packet/tunnel.js';
import { isKernelAtLeast } from '../sys/kernel.js';
import type { Device } from './devices.js';
import { endpointsOf } from './endpoints.js';
import { type Fleet, tunnelsOf } from './fleet.js';
import type { SharedStart } from './lanes.js';
import { type RouterRecords, recordTunnels, tableTunnels } from './records.js';
import type { XdpPath } from './xdp-path.js';

/** Tunnels as they are at some time, and what their records are. */
export interface FleetView {
  readonly fleet: Fleet;
  readonly records: RouterRecords;
}

/** What a lane's start says of the tunnels, but for its devices. */
export function tunnelStart({
  fleet,
  records,
}: FleetView): Omit<SharedStart, 'memory' | 'codec' | 'merge' | 'board' | 'busyPoll'> {
  return {
    ...endpointsOf(recordTunnels(records)),
    ...linksOf(records),
    reorder: reorderLimits(recordTunnels(records)),
    peers: peerRanges(tunnelsOf(fleet)),
    tunnels: tableTunnels(fleet),
  };
}

/** Kinds of packets that are merged for the devices. */
export function mergedKinds({ offload }: RouterConfig, isXdp: boolean): number {
  // With raw sockets merged UDP gained nothing; kernels before 6.9 lose UDP superpackets that they route into VXLAN.
  const mergesUdp = offload.ugro ?? (isXdp && isKernelAtLeast(6, 9));
  return (offload.gro ? MERGE_TCP : 0) | (mergesUdp ? MERGE_UDP : 0);
}

/** Devices that tunnels are bound to, and which record is bound to which. */
export function linksOf(records: RouterRecords): Pick<LaneSockets, 'links' | 'linkOfRecord'> {
  const bound = records.flatMap((record, index) => {
    if (record?.dev === undefined || record.tunnel.link === 0) return [];
    return [{ record: index + 1, link: record.tunnel.link, dev: record.dev }];
  });
  return {
    links: [...new Map(bound.map(({ link, dev }) => [link, dev]))],
    linkOfRecord: bound.map(({ record, link }) => [record, link] as const),
  };
}

/** The devices as lane `lane` has them. */
export function laneDevices(devices: ReadonlyMap<number, Device>, lane: number): LaneDevice[] {
  return [...devices].flatMap(([record, { name, fds, reader }]): LaneDevice[] => {
    const fd = fds[lane];
    const isRead = reader === undefined || reader === lane;
    return fd === undefined ? [] : [{ record, name, fd, isRead }];
  });
}

export function xdpStart(
  xdp: XdpPath | undefined,
  records: RouterRecords,
  lane: number,
  laneCount: number,
): XdpStart | undefined {
  return (
    xdp && {
      devices: xdp.devicesOf(lane, laneCount),
      outerLengths: xdp.segmentedRecords(records),
    }
  );
}

/** A LaneChange, but for the devices. */
type TunnelChange = Omit<LaneChange, 'added' | 'removed'>;

/**
 * What is to be different in every lane for `after` instead of `before`: at first it works with both, as the live table
 * may be either, and in the end with `after` alone.
 */
export function tunnelChange(
  before: FleetView,
  after: FleetView,
  xdp: XdpPath | undefined,
): { readonly first: TunnelChange; readonly last: TunnelChange } {
  const [was, is] = [partsOf(before, xdp), partsOf(after, xdp)];
  const both = {
    sockets: joinSockets(was.sockets, is.sockets),
    peers: join([...was.peers, ...is.peers]),
    reorder: [...new Map([...was.reorder, ...is.reorder])],
  };
  const tunnels = changedTunnels(tableTunnels(before.fleet), tableTunnels(after.fleet));
  return {
    first: { tunnels, ...differing(was, both) },
    last: { tunnels: [], ...differing(both, is) },
  };
}

interface Parts {
  readonly sockets: LaneSockets;
  readonly peers: readonly PeerRange[];
  readonly reorder: LaneStart['reorder'];
}

function partsOf(view: FleetView, xdp: XdpPath | undefined): Parts {
  const { protocols, versions, groups, udp, links, linkOfRecord, peers, reorder } =
    tunnelStart(view);
  const outerLengths = xdp?.segmentedRecords(view.records) ?? [];
  const sockets = { protocols, versions, groups, udp, links, linkOfRecord, outerLengths };
  return { sockets, peers: peers ?? [], reorder };
}

function differing(was: Parts, is: Parts): Partial<Parts> {
  return {
    ...(isSame(was.sockets, is.sockets) ? {} : { sockets: is.sockets }),
    ...(isSame(was.peers, is.peers) ? {} : { peers: is.peers }),
    ...(isSame(was.reorder, is.reorder) ? {} : { reorder: is.reorder }),
  };
}

/** Sockets that either needs. Superpackets are left whole only where both have the same header in front of them. */
function joinSockets(was: LaneSockets, is: LaneSockets): LaneSockets {
  const lengths = new Map(was.outerLengths);
  return {
    protocols: join([...was.protocols, ...is.protocols]),
    versions: join([...was.versions, ...is.versions]),
    groups: join([...was.groups, ...is.groups]),
    udp: {
      locals: join([...was.udp.locals, ...is.udp.locals]),
      groups: join([...was.udp.groups, ...is.udp.groups]),
      records: join([...was.udp.records, ...is.udp.records]),
      headed: join([...was.udp.headed, ...is.udp.headed]),
    },
    links: [...new Map([...was.links, ...is.links])],
    linkOfRecord: [...new Map([...was.linkOfRecord, ...is.linkOfRecord])],
    outerLengths: is.outerLengths.filter(([record, length]) => lengths.get(record) === length),
  };
}

/** Each once, by what it says. */
function join<T>(all: readonly T[]): T[] {
  return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
}

function changedTunnels(
  before: readonly (Tunnel | undefined)[],
  after: readonly (Tunnel | undefined)[],
): LaneChange['tunnels'] {
  const count = Math.max(before.length, after.length);
  return Array.from({ length: count }, (_, index) => index)
    .filter((index) => before[index] !== after[index])
    .map((index) => [index + 1, after[index]] as const);
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
