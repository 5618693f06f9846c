// The underlay of GRE-in-UDP (RFC 8086) over UDP sockets of the kernel.
//
//   receive   a socket at port 4754 of each local address: the firewall lets it pass, nobody is told "port
//             unreachable", and the kernel verifies checksums and merges datagrams of a flow
//   send      a few sockets for each local address, a flow always by the same; the kernel takes apart what it is
//             given as one message
import { REASON_NONE, REASON_TX_ERROR } from '../../../asm/reason.js';
import { GRE_UDP_PORT } from '../../packet/udp.js';
import type { Ring } from '../../ring/ring.js';
import { addressBytes } from '../../sys/address-bytes.js';
import { EXIT, Failure } from '../../sys/failure.js';
import { close, errno, errnoName } from '../../sys/libc.js';
import {
  bindSocket,
  openSocket,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  setBuffers,
  setOption,
} from '../../sys/socket.js';
import type { KernelDrops, Underlay } from '../contract.js';
import {
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_FLOWINFO,
  SOL_UDP,
  UDP_GRO,
} from '../control-messages.js';
import { type Group, joinGroup } from '../groups.js';
import { sumReceiveDrops } from '../kernel-drops.js';
import { UDP_OUTER } from './outer.js';
import { UdpReceiver } from './receiver.js';
import { UdpSender, type UdpSenderOptions } from './sender.js';

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const IP_RECVTTL = 12;
const IP_RECVTOS = 13;
const IP_MULTICAST_ALL = 49;
const IPV6_V6ONLY = 26;
const IPV6_MULTICAST_ALL = 29;
const IPV6_RECVPKTINFO = 49;
const IPV6_RECVHOPLIMIT = 51;
/** What the socket is to tell besides the bytes; the flow information of IPv6 includes the traffic class. */
const RECEIVE_OPTIONS = {
  4: [IP_PKTINFO, IP_RECVTOS, IP_RECVTTL],
  6: [IPV6_V6ONLY, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_FLOWINFO],
} as const;

/** Socket buffers: a burst of several thousand full packets, while the lane is busy with the other way. */
const BUFFER_SIZE = 8 << 20;
/** Local addresses of a family with a socket of their own; more share one, so that a batch asks few sockets. */
const LOCAL_LIMIT = 8;

/** An address of ours that tunnels have. */
export interface UdpLocal {
  /** IPv4 or IPv6 text; 0.0.0.0 and :: stand for all of the family. */
  readonly address: string;
  /** Index of the device of a link-local address, else 0. */
  readonly link: number;
}

export interface UdpUnderlayOptions extends UdpSenderOptions {
  readonly locals: readonly UdpLocal[];
  /** Multicast groups to receive from. Each of several sockets would get a copy: they are for one lane. */
  readonly groups: readonly Group[];
  /** Several lanes receive, each a share of the flows. */
  readonly isShared: boolean;
}

/** What the sockets are opened for, of that which may change while they are open. */
export type UdpSockets = Pick<UdpUnderlayOptions, 'locals' | 'groups' | 'links'>;

/** A socket, and how datagrams come out of it. */
interface Source {
  readonly fd: number;
  readonly place: Place;
  readonly receiver: UdpReceiver;
}

export class UdpUnderlay implements Underlay {
  readonly name = 'udp';
  #sources: readonly Source[] = [];
  readonly #memory: WebAssembly.Memory;
  readonly #options: UdpUnderlayOptions;
  readonly #bytes: Uint8Array;
  /** By version. */
  readonly #senders: (UdpSender | undefined)[] = [];
  readonly #receivers = new Map<string, UdpReceiver>();
  /** The only sender, where there is one. */
  #onlySender: UdpSender | undefined;
  #nextSocket = 0;

  /** Opens the sockets to receive from. Throws a Failure when one is taken. */
  constructor(memory: WebAssembly.Memory, options: UdpUnderlayOptions) {
    this.#memory = memory;
    this.#options = options;
    this.#bytes = new Uint8Array(memory.buffer);
    this.change(options);
  }

  get fds(): readonly number[] {
    return this.#sources.map(({ fd }) => fd);
  }

  /**
   * Opens what is missing, between two batches; what is open already loses no packet. Returns the descriptors that are
   * no longer among `fds`: the caller's to close. Throws a Failure when one is taken; what was open is then open still.
   */
  change(sockets: UdpSockets): number[] {
    const before = this.#sources;
    const opened: Source[] = [];
    try {
      this.#sources = ([4, 6] as const).flatMap((version) => {
        const open = before.filter(({ place }) => versionOf(place.address) === version);
        return receivedAt(
          sockets,
          version,
          open.map(({ place }) => place),
        ).map((place) => {
          const found = open.find((one) => idOf(one.place) === idOf(place));
          const fd = found?.fd ?? this.#open(version, place, open);
          const source = { fd, place, receiver: this.#receiver(version, sockets.links.size > 0) };
          if (found === undefined) opened.push(source);
          joinMissing(fd, place.groups, found?.place.groups ?? []);
          return source;
        });
      });
    } catch (error) {
      for (const { fd } of opened) close(fd);
      throw error;
    }
    for (const version of [4, 6] as const) this.#changeSender(version);
    const senders = this.#senders.filter((sender) => sender !== undefined);
    this.#onlySender = senders.length === 1 ? senders[0] : undefined;
    const kept = new Set(this.fds);
    return before.map(({ fd }) => fd).filter((fd) => !kept.has(fd));
  }

  /** Opens a socket at `place`. One for all addresses is let in beside those that are open for some. */
  #open(version: 4 | 6, place: Place, open: readonly Source[]): number {
    const { family } = UDP_OUTER[version];
    const isBeside = open.length > 0;
    const reuse = (on: number): void => {
      for (const { fd } of isBeside ? open : []) setOption(fd, SOL_SOCKET, SO_REUSEADDR, on);
    };
    reuse(1);
    try {
      return openReceiver(family, place, this.#options.isShared, isBeside);
    } finally {
      reuse(0); // no other process is let in
    }
  }

  #receiver(version: 4 | 6, wantsLink: boolean): UdpReceiver {
    const id = `${version} ${wantsLink}`;
    const known = this.#receivers.get(id);
    if (known !== undefined) return known;
    const made = new UdpReceiver(this.#memory, UDP_OUTER[version], GRE_UDP_PORT, wantsLink);
    this.#receivers.set(id, made);
    return made;
  }

  #changeSender(version: 4 | 6): void {
    const isWanted = this.#sources.some(({ place }) => versionOf(place.address) === version);
    if (isWanted) {
      this.#senders[version] ??= new UdpSender(this.#memory, UDP_OUTER[version], this.#options);
    } else {
      this.#senders[version]?.close();
      this.#senders[version] = undefined;
    }
  }

  receive(ring: Ring, max: number): number {
    // Begins with another socket each time, so that a flood at one address leaves room for the others.
    const first = this.#nextSocket++;
    const sources = this.#sources;
    let total = 0;
    for (let n = 0; n < sources.length && total < max; n++) {
      const { fd, receiver } = sources[(first + n) % sources.length] as Source;
      while (total < max) {
        const count = receiver.receive(fd, ring);
        if (count === 0) break;
        total += count;
      }
    }
    return total;
  }

  send(ring: Ring, from: number, to: number): void {
    if (this.#onlySender !== undefined) {
      this.#onlySender.send(ring, from, to);
      return;
    }
    let start = from;
    while (start !== to) {
      const version = this.#versionAt(ring, start);
      let end = (start + 1) >>> 0;
      while (end !== to && this.#versionAt(ring, end) === version) end = (end + 1) >>> 0;
      const sender = this.#senders[version];
      if (sender !== undefined) sender.send(ring, start, end);
      else refuse(ring, start, end);
      start = end;
    }
  }

  /** Of the sockets to receive from: what comes to the others is of no tunnel. */
  kernelDrops(): KernelDrops {
    const udpSocket = sumReceiveDrops(this.fds);
    return udpSocket === undefined ? {} : { udpSocket };
  }

  close(): void {
    for (const fd of this.fds) close(fd);
    for (const sender of this.#senders) sender?.close();
  }

  /** Of the outer header; of a packet with a reason whatever lies there, as it is not sent. */
  #versionAt(ring: Ring, position: number): number {
    const address = ring.processedAddress(position);
    return address < 0 ? 0 : (this.#bytes[address] as number) >>> 4;
  }
}

/** Gives the packets without a reason one: a codec wrote what no tunnel asked for. */
function refuse(ring: Ring, from: number, to: number): void {
  for (let position = from; position !== to; position = (position + 1) >>> 0) {
    if (ring.reason(position) === REASON_NONE) ring.setReason(position, REASON_TX_ERROR);
  }
}

/** Where datagrams are received at, and the groups that a socket is to be a member of. */
interface Place extends UdpLocal {
  readonly groups: readonly Group[];
}

/**
 * The places of one family: each local address and each group, or one for all there are. What is open for all stays so,
 * and no address that has a socket loses it.
 */
function receivedAt(
  { locals: all, groups: allGroups }: UdpSockets,
  version: 4 | 6,
  open: readonly Place[],
): readonly Place[] {
  const isOurs = ({ address }: UdpLocal): boolean => versionOf(address) === version;
  const locals = all.filter(isOurs);
  const groups = allGroups.filter(isOurs);
  if (locals.length + groups.length === 0) return [];
  const any = ALL[version];
  const own = new Map(locals.map((local) => [idOf(local), { ...local, groups: [] as Group[] }]));
  const isOpenToAll = open.some(({ address }) => address === any);
  const wantsAll = locals.some(({ address }) => address === any);
  if (isOpenToAll || (open.length === 0 && (wantsAll || own.size > LOCAL_LIMIT))) {
    const kept = open.filter((place) => place.address !== any && own.has(idOf(place)));
    return [{ address: any, link: 0, groups }, ...kept];
  }
  return [...own.values(), ...groups.map((group) => ({ ...group, groups: [group] }))];
}

function joinMissing(fd: number, groups: readonly Group[], joined: readonly Group[]): void {
  const known = new Set(joined.map(idOf));
  for (const group of groups) if (!known.has(idOf(group))) joinGroup(fd, group);
}

function idOf({ address, link }: UdpLocal): string {
  return `${address}%${link}`;
}

const ALL = { 4: '0.0.0.0', 6: '::' } as const;

function versionOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** Opens the socket for datagrams to `local`; `isBeside` others of ours that let it in. */
function openReceiver(
  family: number,
  { address, link }: UdpLocal,
  isShared: boolean,
  isBeside: boolean,
): number {
  const version = versionOf(address);
  const fd = openSocket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0, 'UDP socket for gre-udp');
  setBuffers(fd, BUFFER_SIZE);
  const level = version === 4 ? IPPROTO_IP : IPPROTO_IPV6;
  for (const option of RECEIVE_OPTIONS[version]) setOption(fd, level, option, 1);
  // Of groups it gets those alone that it joins itself.
  setOption(fd, level, version === 4 ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL, 0);
  setOption(fd, SOL_UDP, UDP_GRO, 1); // before Linux 5.0 datagrams come one by one
  if (isShared) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1); // a flow always comes to the same
  if (isBeside) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bindSocket(fd, addressBytes(address), GRE_UDP_PORT, link)) {
    if (isBeside) setOption(fd, SOL_SOCKET, SO_REUSEADDR, 0);
    return fd;
  }
  const error = errno();
  close(fd);
  const place = address === ALL[version] ? 'all addresses' : address;
  throw new Failure(
    EXIT.kernelRefused,
    `gre-udp: cannot take UDP port ${GRE_UDP_PORT} of ${place}: ${errnoName(error)}`,
    `see who has it: ss -lunp sport = :${GRE_UDP_PORT}; ip fou show`,
  );
}
