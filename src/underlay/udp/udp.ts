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

/** A socket, and how datagrams come out of it. */
interface Source {
  readonly fd: number;
  readonly receiver: UdpReceiver;
}

export class UdpUnderlay implements Underlay {
  readonly name = 'udp';
  readonly fds: readonly number[];
  readonly #sources: readonly Source[];
  readonly #bytes: Uint8Array;
  /** By version. */
  readonly #senders: (UdpSender | undefined)[] = [];
  /** The only sender, where there is one. */
  readonly #onlySender: UdpSender | undefined;
  #nextSocket = 0;

  /** Opens the sockets to receive from. Throws a Failure when one is taken. */
  constructor(memory: WebAssembly.Memory, options: UdpUnderlayOptions) {
    this.#bytes = new Uint8Array(memory.buffer);
    const sources: Source[] = [];
    try {
      for (const version of [4, 6] as const) {
        const places = receivedAt(options, version);
        if (places.length === 0) continue;
        const outer = UDP_OUTER[version];
        const receiver = new UdpReceiver(memory, outer, GRE_UDP_PORT, options.links.size > 0);
        for (const { groups, ...local } of places) {
          const fd = openReceiver(outer.family, local, options.isShared);
          sources.push({ fd, receiver });
          for (const group of groups) joinGroup(fd, group);
        }
        this.#senders[version] = new UdpSender(memory, outer, options);
      }
    } catch (error) {
      for (const { fd } of sources) close(fd);
      throw error;
    }
    this.#sources = sources;
    this.fds = sources.map(({ fd }) => fd);
    const senders = this.#senders.filter((sender) => sender !== undefined);
    this.#onlySender = senders.length === 1 ? senders[0] : undefined;
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

/** The places of one family: each local address and each group, or one for all there are. */
function receivedAt(options: UdpUnderlayOptions, version: 4 | 6): readonly Place[] {
  const isOurs = ({ address }: UdpLocal): boolean => versionOf(address) === version;
  const locals = options.locals.filter(isOurs);
  const groups = options.groups.filter(isOurs);
  const own = new Map(locals.map((local) => [`${local.address}%${local.link}`, local]));
  const all = ALL[version];
  if (own.size > LOCAL_LIMIT || locals.some(({ address }) => address === all)) {
    return [{ address: all, link: 0, groups }];
  }
  return [
    ...[...own.values()].map((local) => ({ ...local, groups: [] })),
    ...groups.map((group) => ({ ...group, groups: [group] })),
  ];
}

const ALL = { 4: '0.0.0.0', 6: '::' } as const;

function versionOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** Opens the socket for datagrams to `local`. */
function openReceiver(family: number, { address, link }: UdpLocal, isShared: boolean): number {
  const version = versionOf(address);
  const fd = openSocket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0, 'UDP socket for gre-udp');
  setBuffers(fd, BUFFER_SIZE);
  const level = version === 4 ? IPPROTO_IP : IPPROTO_IPV6;
  for (const option of RECEIVE_OPTIONS[version]) setOption(fd, level, option, 1);
  // Of groups it gets those alone that it joins itself.
  setOption(fd, level, version === 4 ? IP_MULTICAST_ALL : IPV6_MULTICAST_ALL, 0);
  setOption(fd, SOL_UDP, UDP_GRO, 1); // before Linux 5.0 datagrams come one by one
  if (isShared) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1); // a flow always comes to the same
  if (bindSocket(fd, addressBytes(address), GRE_UDP_PORT, link)) return fd;
  const error = errno();
  close(fd);
  const place = address === ALL[version] ? 'all addresses' : address;
  throw new Failure(
    EXIT.kernelRefused,
    `gre-udp: cannot take UDP port ${GRE_UDP_PORT} of ${place}: ${errnoName(error)}`,
    `see who has it: ss -lunp sport = :${GRE_UDP_PORT}; ip fou show`,
  );
}
