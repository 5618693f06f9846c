// The IP header in front of the UDP header, of either version, as far as UDP sockets take it from us or tell us of it.
import {
  AF_INET,
  AF_INET6,
  SOCKADDR_IN_ADDRESS,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_ADDRESS,
  SOCKADDR_IN6_SIZE,
} from '../../sys/socket.js';
import {
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
} from '../control-messages.js';

export const UDP_LENGTH = 8;
const IPV4_TOS = 1;
const IPV4_FRAGMENT = 6;
const IPV4_DONT_FRAGMENT = 0x40;
const IPV4_TTL = 8;
const IPV4_DESTINATION = 16;
const IPV6_HOP_LIMIT = 7;
const IPV6_DESTINATION = 24;

export interface UdpOuter {
  readonly version: 4 | 6;
  readonly family: number;
  /** Bytes of IP and UDP header. */
  readonly headLength: number;
  /** Where the addresses lie, and how long one is. */
  readonly source: number;
  readonly destination: number;
  readonly addressSize: number;
  /** Size of a socket address, and where its address lies. */
  readonly nameSize: number;
  readonly nameAddress: number;
  /** Level of the control messages that set TOS and TTL, and their types. */
  readonly level: number;
  readonly tosType: number;
  readonly ttlType: number;

  tos(view: DataView, header: number): number;
  ttl(view: DataView, header: number): number;
  /** Whether routers may not fragment the packet. Nor do they ever over IPv6, where it is for us to say. */
  dontFragment(view: DataView, header: number): boolean;
  /** Whether two headers ask the same of the socket that sends their packets. */
  isLike(view: DataView, header: number, other: number): boolean;
}

const OUTER4: UdpOuter = {
  ...{ version: 4, family: AF_INET, headLength: 20 + UDP_LENGTH },
  ...{ source: 12, destination: IPV4_DESTINATION, addressSize: 4 },
  ...{ nameSize: SOCKADDR_IN_SIZE, nameAddress: SOCKADDR_IN_ADDRESS },
  ...{ level: IPPROTO_IP, tosType: IP_TOS, ttlType: IP_TTL },

  tos: (view, header) => view.getUint8(header + IPV4_TOS),
  ttl: (view, header) => view.getUint8(header + IPV4_TTL),
  dontFragment: (view, header) =>
    (view.getUint8(header + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT) !== 0,
  isLike: (view, header, other) =>
    view.getUint32(header + IPV4_DESTINATION) === view.getUint32(other + IPV4_DESTINATION) &&
    // Fragment word, TTL and protocol.
    view.getUint32(header + IPV4_FRAGMENT) === view.getUint32(other + IPV4_FRAGMENT) &&
    view.getUint8(header + IPV4_TOS) === view.getUint8(other + IPV4_TOS),
};

const OUTER6: UdpOuter = {
  ...{ version: 6, family: AF_INET6, headLength: 40 + UDP_LENGTH },
  ...{ source: 8, destination: IPV6_DESTINATION, addressSize: 16 },
  ...{ nameSize: SOCKADDR_IN6_SIZE, nameAddress: SOCKADDR_IN6_ADDRESS },
  ...{ level: IPPROTO_IPV6, tosType: IPV6_TCLASS, ttlType: IPV6_HOPLIMIT },

  tos: (view, header) => (view.getUint16(header) >>> 4) & 0xff,
  ttl: (view, header) => view.getUint8(header + IPV6_HOP_LIMIT),
  dontFragment: () => true,
  isLike: (view, header, other) => {
    // Version, traffic class, flow label.
    if (view.getUint32(header) !== view.getUint32(other)) return false;
    if (view.getUint8(header + IPV6_HOP_LIMIT) !== view.getUint8(other + IPV6_HOP_LIMIT))
      return false;
    for (let at = IPV6_DESTINATION; at < IPV6_DESTINATION + 16; at += 4) {
      if (view.getUint32(header + at) !== view.getUint32(other + at)) return false;
    }
    return true;
  },
};

export const UDP_OUTER: Readonly<Record<4 | 6, UdpOuter>> = { 4: OUTER4, 6: OUTER6 };
