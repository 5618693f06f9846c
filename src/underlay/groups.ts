// Membership in multicast groups: the kernel then tells the network that packets to them are wanted here, and takes
// them.
import { addressBytes } from '../sys/address-bytes.js';
import { EXIT, Failure } from '../sys/failure.js';
import { close, ERRNO, errno, errnoName, NativeBlock, setsockopt } from '../sys/libc.js';
import { AF_INET, AF_INET6, openSocket, SOCK_DGRAM } from '../sys/socket.js';
import { IPPROTO_IP, IPPROTO_IPV6 } from './control-messages.js';

const IP_ADD_MEMBERSHIP = 35;
const IPV6_JOIN_GROUP = 20;
/** struct ip_mreqn: group, our address, index of the device. */
const IP_MREQN_SIZE = 12;
const IP_MREQN_LINK = 8;
/** struct ipv6_mreq: group, index of the device. */
const IPV6_MREQ_SIZE = 20;
const IPV6_MREQ_LINK = 16;

/** A multicast group to receive from. */
export interface Group {
  /** IPv4 or IPv6 text. */
  readonly address: string;
  /** Index of the device to join on, 0 = where the route to the group leads. */
  readonly link: number;
}

/**
 * A membership of this machine in groups, until it is closed. Raw sockets of any number get what the kernel takes: it
 * is for sockets of its own, as one has room for no more than 20 groups of IPv4.
 */
export class GroupMembership {
  readonly #sockets: number[] = [];

  /** Throws a Failure when the kernel refuses. */
  constructor(groups: readonly Group[]) {
    try {
      for (const group of groups) this.#join(group);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    for (const fd of this.#sockets.splice(0)) close(fd);
  }

  /** By the last socket, or by another where that has no room or is of the other family. */
  #join(group: Group): void {
    const last = this.#sockets.at(-1);
    if (last !== undefined && tryJoin(last, group) === 0) return;
    const family = group.address.includes(':') ? AF_INET6 : AF_INET;
    const fd = openSocket(family, SOCK_DGRAM, 0, `multicast group ${group.address}`);
    this.#sockets.push(fd);
    joinGroup(fd, group);
  }
}

/** Makes the socket `fd` a member of a group. Throws a Failure when the kernel refuses. */
export function joinGroup(fd: number, group: Group): void {
  const error = tryJoin(fd, group);
  if (error === 0) return;
  const { address } = group;
  throw new Failure(
    EXIT.kernelRefused,
    `cannot join the multicast group ${address}: ${errnoName(error)}`,
    error === ERRNO.ENODEV
      ? `name the device of the tunnel (dev = "DEVICE"), or add a route: sudo ip route add ${address} dev DEVICE`
      : undefined,
  );
}

/** Returns the error number, 0 when `fd` is a member now. */
function tryJoin(fd: number, { address, link }: Group): number {
  const bytes = addressBytes(address);
  const isIpv4 = bytes.length === 4;
  const request = new NativeBlock(isIpv4 ? IP_MREQN_SIZE : IPV6_MREQ_SIZE);
  request.bytes.set(bytes);
  request.view.setUint32(isIpv4 ? IP_MREQN_LINK : IPV6_MREQ_LINK, link, true);
  const [level, option] = isIpv4
    ? [IPPROTO_IP, IP_ADD_MEMBERSHIP]
    : [IPPROTO_IPV6, IPV6_JOIN_GROUP];
  const size = request.bytes.length;
  return setsockopt(fd, level, option, request.address, size) === 0 ? 0 : errno();
}
