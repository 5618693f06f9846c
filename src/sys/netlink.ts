// rtnetlink(7): what ip(8) cannot do without a process for each time, that is to wait for changes of the
// network and to keep neighbours in use.
import { addressBytes } from './address-bytes.js';
import type { Adjacency } from './adjacency.js';
import { EXIT, Failure } from './failure.js';
import { bind, close, ERRNO, errno, errnoName, NativeBlock, recvfrom, sendto } from './libc.js';
import { AF_INET, AF_INET6, openSocket, SOCK_NONBLOCK, SOCK_RAW, setBuffers } from './socket.js';

const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const SOCKADDR_NL_SIZE = 12;
const MSG_DONTWAIT = 0x40;
/** RTNLGRP_*, as bits: links, neighbours, addresses, routes and rules of both families, next hops. */
const GROUPS = [1, 3, 5, 7, 8, 9, 11, 19, 32].reduce((mask, group) => mask + 2 ** (group - 1), 0);

/** struct nlmsghdr */
const HEADER_SIZE = 16;
const HEADER_TYPE = 4;
const HEADER_FLAGS = 6;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
/** What the kernel answers to a request: not a change. */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 0x1;
const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;

/** struct ifinfomsg and ndmsg: index of the device. */
const BODY_LINK = HEADER_SIZE + 4;
/** struct ndmsg */
const NEIGHBOUR_STATE = HEADER_SIZE + 8;
const NEIGHBOUR_FLAGS = HEADER_SIZE + 10;
const NEIGHBOUR_ATTRIBUTES = HEADER_SIZE + 12;
const NUD_VALID = 0xde; // reachable, stale, delay, probe, noarp, permanent
const NTF_USE = 0x01;
const NDA_DST = 1;
const NDA_LLADDR = 2;

/** More than the kernel puts into one datagram of notifications. */
const RECEIVE_SIZE = 65536;
/** Changes that may wait to be read: a thousand routes at once have room. */
const BUFFER_SIZE = 1 << 20;

/** A socket that becomes readable when links, addresses, routes, rules or neighbours change. */
export class RouteWatch {
  /** For epoll: readable when `drainChanges` has something to read. */
  readonly fd: number;
  readonly #buffer = new NativeBlock(RECEIVE_SIZE);
  readonly #request = new NativeBlock(64);
  /** Hardware address of each neighbour that matters, as hexadecimal text, '' where none is known. */
  readonly #neighbours = new Map<string, string>();
  readonly #links = new Set<number>();

  /** Throws a Failure when the kernel refuses. Needs no capability. */
  constructor() {
    this.fd = openSocket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE, 'watching routes');
    setBuffers(this.fd, BUFFER_SIZE);
    const address = new NativeBlock(SOCKADDR_NL_SIZE);
    address.view.setUint16(0, AF_NETLINK, true);
    address.view.setUint32(8, GROUPS, true);
    if (bind(this.fd, address.address, SOCKADDR_NL_SIZE) === 0) return;
    const error = errno();
    close(this.fd);
    throw new Failure(EXIT.kernelRefused, `watching routes: ${errnoName(error)}`);
  }

  /**
   * Says what matters from here on: the devices and next hops of these adjacencies. Of other devices and
   * neighbours no change is told. Take them from `resolveAdjacencies` begun after the last `drainChanges`, so
   * that no change falls between the two.
   */
  watch(adjacencies: readonly Adjacency[]): void {
    this.#neighbours.clear();
    this.#links.clear();
    for (const adjacency of adjacencies) {
      if (!('link' in adjacency)) continue;
      const { link, neighbour } = adjacency;
      const known = adjacency.kind === 'resolved' ? hex(adjacency.destination) : '';
      this.#links.add(link);
      this.#neighbours.set(neighbourKey(link, addressBytes(neighbour)), known);
    }
  }

  /**
   * Reads all that has changed and returns whether adjacencies may have: a route, rule or address changed
   * anywhere, a watched device did, or a watched neighbour got, lost or changed its hardware address. A burst
   * of changes is one. Never blocks.
   */
  drainChanges(): boolean {
    let changed = false;
    for (;;) {
      const { address, view } = this.#buffer;
      const length = recvfrom(this.fd, address, RECEIVE_SIZE, MSG_DONTWAIT, 0, 0);
      if (length < 0) {
        const error = errno();
        if (error === ERRNO.EINTR) continue;
        // ENOBUFS: more than had room, so something of it mattered.
        if (error !== ERRNO.ENOBUFS) return changed;
        changed = true;
        continue;
      }
      for (let at = 0; at + HEADER_SIZE <= length; ) {
        const size = view.getUint32(at, true);
        if (size < HEADER_SIZE || at + size > length) break;
        if (this.#isRelevant(at, size)) changed = true;
        at += aligned(size);
      }
    }
  }

  /**
   * Tells the kernel that these next hops are in use, as sending through its own stack would: it asks for the
   * address of one that it does not know, and asks one again that it has not heard of for a while, so that a
   * changed or vanished address comes to light. To be called every few seconds; a system call for each next
   * hop. Permanent entries are left alone. Without CAP_NET_ADMIN nothing happens.
   */
  keepAlive(adjacencies: readonly Adjacency[]): void {
    const done = new Set<string>();
    for (const adjacency of adjacencies) {
      if (!('link' in adjacency)) continue;
      const state = adjacency.kind === 'resolved' ? adjacency.state : '';
      if (state === 'PERMANENT' || state === 'NOARP') continue;
      const bytes = addressBytes(adjacency.neighbour);
      const key = neighbourKey(adjacency.link, bytes);
      if (done.has(key)) continue;
      done.add(key);
      this.#use(adjacency.link, bytes);
    }
  }

  close(): void {
    close(this.fd);
  }

  #isRelevant(at: number, size: number): boolean {
    const { view } = this.#buffer;
    switch (view.getUint16(at + HEADER_TYPE, true)) {
      case NLMSG_ERROR:
      case NLMSG_DONE:
        return false;
      case RTM_NEWLINK:
      case RTM_DELLINK:
        return this.#links.has(view.getInt32(at + BODY_LINK, true));
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH:
        return this.#isNeighbourRelevant(at, size);
      default:
        return true;
    }
  }

  /** Neighbours change their state all the time; what counts is their address, or that there is none. */
  #isNeighbourRelevant(at: number, size: number): boolean {
    const { view } = this.#buffer;
    const address = this.#attribute(at, size, NDA_DST);
    const link = view.getInt32(at + BODY_LINK, true);
    const key = neighbourKey(link, address);
    const known = this.#neighbours.get(key);
    if (known === undefined) return false;
    const isGone = view.getUint16(at + HEADER_TYPE, true) === RTM_DELNEIGH;
    const isValid = !isGone && (view.getUint16(at + NEIGHBOUR_STATE, true) & NUD_VALID) !== 0;
    const current = isValid ? hex(this.#attribute(at, size, NDA_LLADDR)) : '';
    if (current === known) return false;
    this.#neighbours.set(key, current);
    return true;
  }

  /** The bytes of an attribute of the neighbour message at `at`; empty where it has none. */
  #attribute(at: number, size: number, type: number): Uint8Array {
    const { view, bytes } = this.#buffer;
    const end = at + size;
    for (let offset = at + NEIGHBOUR_ATTRIBUTES; offset + 4 <= end; ) {
      const length = view.getUint16(offset, true);
      if (length < 4 || offset + length > end) break;
      if (view.getUint16(offset + 2, true) === type)
        return bytes.slice(offset + 4, offset + length);
      offset += aligned(length);
    }
    return new Uint8Array(0);
  }

  /** RTM_NEWNEIGH with NTF_USE: what `ip neighbour replace ADDRESS dev DEVICE use` sends. */
  #use(link: number, address: Uint8Array): void {
    const { view, bytes } = this.#request;
    const size = NEIGHBOUR_ATTRIBUTES + 4 + address.length;
    bytes.fill(0);
    view.setUint32(0, size, true);
    view.setUint16(HEADER_TYPE, RTM_NEWNEIGH, true);
    view.setUint16(HEADER_FLAGS, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, true);
    view.setUint8(HEADER_SIZE, address.length === 4 ? AF_INET : AF_INET6);
    view.setInt32(BODY_LINK, link, true);
    view.setUint8(NEIGHBOUR_FLAGS, NTF_USE);
    view.setUint16(NEIGHBOUR_ATTRIBUTES, 4 + address.length, true);
    view.setUint16(NEIGHBOUR_ATTRIBUTES + 2, NDA_DST, true);
    bytes.set(address, NEIGHBOUR_ATTRIBUTES + 4);
    // The kernel's answer, if it refuses, waits in the socket for drainChanges, which passes over it.
    sendto(this.fd, this.#request.address, size, MSG_DONTWAIT, 0, 0);
  }
}

function neighbourKey(link: number, address: Uint8Array): string {
  return `${link} ${hex(address)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Messages and attributes begin at multiples of four. */
function aligned(size: number): number {
  return (size + 3) & ~3;
}
