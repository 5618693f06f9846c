// What the router and a lane's thread say to each other: what a lane starts with, requests, and what it tells.
import type { CodecBuild } from '../codec/builds.js';
import type { PeerRange } from '../packet/peers.js';
import type { Reorder, Tunnel } from '../packet/tunnel.js';
import type { LanePlan } from '../ring/plan.js';
import type { KernelDrops, OuterProtocol } from '../underlay/contract.js';
import type { Group } from '../underlay/groups.js';
import type { UdpLocal } from '../underlay/udp/udp.js';
import type { XdpDevice } from '../underlay/xdp/xdp.js';

/** What a lane's thread is started with. Everything in it can be cloned or shared. */
export interface LaneStart {
  readonly memory: WebAssembly.Memory;
  readonly plan: LanePlan;
  /** Number of this lane, and how many there are: a flow is received by one of them. */
  readonly lane: number;
  readonly laneCount: number;
  readonly codec: CodecBuild;
  /** Kinds of packets that are merged for the devices (MERGE_*). */
  readonly merge: number;
  /** Tunnels whose early packets wait for those before them: record and limits. */
  readonly reorder: readonly (readonly [number, Reorder])[];
  /** What the plain underlay receives. */
  readonly protocols: readonly OuterProtocol[];
  /** Versions of IP that tunnels send. */
  readonly versions: readonly (4 | 6)[];
  /** Multicast groups that the plain underlay receives from. */
  readonly groups: readonly Group[];
  readonly udp: UdpTunnels;
  /** Devices that tunnels are bound to: index and name. */
  readonly links: readonly (readonly [number, string])[];
  /** Link of each record that is bound to one. */
  readonly linkOfRecord: readonly (readonly [number, number])[];
  readonly devices: readonly LaneDevice[];
  /** Records that share the device of another; absent: none. */
  readonly peers?: readonly PeerRange[] | undefined;
  /** What the table was made from: for what is not decided packet by packet. Absent: nobody is told anything. */
  readonly tunnels?: readonly (Tunnel | undefined)[];
  /** The Board's memory: where what is heard of peers is noted. */
  readonly board?: SharedArrayBuffer | undefined;
  /** Absent: raw sockets alone. */
  readonly xdp?: XdpStart | undefined;
  /** Microseconds to look for more work before waiting; 0 = wait at once. */
  readonly busyPoll: number;
  /** Becomes readable when the network changed, which is then told once; absent: another lane watches. */
  readonly networkFd?: number | undefined;
  /** eventfd that the router writes to after it posted a request. */
  readonly wakeFd: number;
}

/** What the XDP underlay of a lane is made of. */
export interface XdpStart {
  readonly devices: readonly XdpDevice[];
  /** Outer header's length of records whose superpackets the kernel can segment. */
  readonly outerLengths: readonly (readonly [number, number])[];
}

/** Tunnels over UDP. */
export interface UdpTunnels {
  readonly locals: readonly UdpLocal[];
  readonly groups: readonly Group[];
  readonly records: readonly number[];
  /** Those of the records whose outer header no UDP socket would write: their packets leave by the plain underlay. */
  readonly headed: readonly number[];
}

export interface LaneDevice {
  readonly record: number;
  readonly name: string;
  readonly fd: number;
  /** Whether this lane reads it, too; it may write to it at any rate. */
  readonly isRead: boolean;
}

/** What a lane's sockets are opened for. */
export type LaneSockets = Pick<
  LaneStart,
  'protocols' | 'versions' | 'groups' | 'udp' | 'links' | 'linkOfRecord'
> &
  Pick<XdpStart, 'outerLengths'>;

/** What is to be different in a running lane. All of it can be cloned. */
export interface LaneChange {
  /** Tunnels that differ, by record; undefined: there is none any more. */
  readonly tunnels: readonly (readonly [record: number, tunnel: Tunnel | undefined])[];
  /** Devices that there are from here on, and records that have none any more. */
  readonly added: readonly LaneDevice[];
  readonly removed: readonly number[];
  /** As in LaneStart; absent: as they are. */
  readonly peers?: readonly PeerRange[];
  readonly reorder?: LaneStart['reorder'];
  readonly sockets?: LaneSockets;
  /** The device of AF_XDP that has a number from here on; undefined: none any more. Absent: as they are. */
  readonly xdp?: { readonly number: number; readonly device: XdpDevice | undefined };
}

/** Asked of a lane through its port, followed by a write to its wake-up descriptor. */
export type LaneRequest =
  | { readonly kind: 'codec'; readonly id: number; readonly build: CodecBuild }
  | { readonly kind: 'kernel-drops'; readonly id: number }
  | { readonly kind: 'emit'; readonly record: number; readonly packet: Uint8Array }
  | { readonly kind: 'watch-network' }
  | { readonly kind: 'change'; readonly id: number; readonly change: LaneChange }
  | { readonly kind: 'stop' };

/** What a lane tells. */
export type LaneEvent =
  /** `threadId`: the kernel's number of the lane's thread. */
  | { readonly kind: 'ready'; readonly threadId: number }
  | { readonly kind: 'codec'; readonly id: number; readonly name: string; readonly error?: string }
  | { readonly kind: 'kernel-drops'; readonly id: number; readonly drops: KernelDrops }
  | { readonly kind: 'change'; readonly id: number; readonly fault?: LaneFault }
  | { readonly kind: 'fault'; readonly codec: string; readonly error: string }
  | { readonly kind: 'device-lost'; readonly record: number }
  | { readonly kind: 'network-changed' }
  | { readonly kind: 'path-mtu'; readonly record: number; readonly mtu: number }
  | { readonly kind: 'merge-refused'; readonly device: string }
  | { readonly kind: 'segmentation-refused' }
  | { readonly kind: 'superpackets-refused'; readonly device: string }
  | ({ readonly kind: 'failed' } & LaneFault);

/** A Failure, as it is told from one thread to another. */
export interface LaneFault {
  readonly exitCode: number;
  readonly message: string;
  readonly hint?: string;
}
