// The packet inside a tunnel: is it whole, and what does it say of itself?
import { setU8, setU16, u8, u16 } from './bytes.js';
import { update } from './checksum.js';
import { IPV4_HEADER, isIpv4, readIpv4 } from './ipv4.js';
import { IPV6_HEADER, readIpv6 } from './ipv6.js';
import type { Reason } from './reason.js';

export interface Inner {
  readonly version: 4 | 6;
  /** Bytes behind the packet's own length (padding) are cut off. */
  readonly bytes: Uint8Array;
  readonly headerLength: number;
  /** Wire order: 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** IPv4 protocol, or the next header of the IPv6 header itself. */
  readonly protocol: number;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** TOS or traffic class. */
  readonly tos: number;
  readonly dontFragment: boolean;
  readonly isFragment: boolean;
}

/** Why `bytes` hold no whole packet of this IP version, or null. */
export function checkInner(bytes: Uint8Array, version: 4 | 6): Reason | null {
  if (bytes.length === 0) return 'inner-truncated';
  if (u8(bytes, 0) >>> 4 !== version) return 'inner-version';
  if (bytes.length < (version === 4 ? IPV4_HEADER : IPV6_HEADER)) return 'inner-truncated';
  if (version === 4) return isIpv4(bytes) ? null : 'inner-header';
  return IPV6_HEADER + readIpv6(bytes).payloadLength > bytes.length ? 'inner-header' : null;
}

/** Reads a packet that `checkInner` found whole. */
export function readInner(bytes: Uint8Array, version: 4 | 6): Inner {
  if (version === 4) {
    const { headerLength, totalLength, protocol, ttl, tos, dontFragment, isFragment } =
      readIpv4(bytes);
    return {
      version,
      bytes: bytes.subarray(0, totalLength),
      headerLength,
      source: bytes.subarray(12, 16),
      destination: bytes.subarray(16, 20),
      protocol,
      ttl,
      tos,
      dontFragment,
      isFragment,
    };
  }
  const header = readIpv6(bytes);
  return {
    version,
    bytes: bytes.subarray(0, IPV6_HEADER + header.payloadLength),
    headerLength: IPV6_HEADER,
    source: header.source,
    destination: header.destination,
    protocol: header.nextHeader,
    ttl: header.hopLimit,
    tos: header.trafficClass,
    dontFragment: false,
    isFragment: false,
  };
}

/** Writes the TOS byte or traffic class of a packet, and what an IPv4 checksum makes of it. */
export function setTos({ version, bytes, tos }: Inner, value: number): void {
  if (value === tos) return;
  const before = u16(bytes, 0);
  const after = version === 4 ? (before & 0xff00) | value : (before & 0xf00f) | (value << 4);
  setU16(bytes, 0, after);
  if (version === 4) setU16(bytes, 10, update(u16(bytes, 10), before, after));
}

/** Writes the TTL or hop limit. */
export function setTtl({ version, bytes, ttl }: Inner, value: number): void {
  if (value === ttl) return;
  if (version === 6) {
    setU8(bytes, 7, value);
    return;
  }
  const before = u16(bytes, 8);
  setU8(bytes, 8, value);
  setU16(bytes, 10, update(u16(bytes, 10), before, u16(bytes, 8)));
}
