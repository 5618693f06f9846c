// A packet that a snap length cut: its verdict must not speak of bytes that nobody saw.
//
//   1. fillUp       zeros where bytes are missing, checksums over them mended: the packet it may have been
//   2. decode       as any other
//   3. withoutGuess fields and reasons that rest on missing bytes are taken back: null, and verdict ok
import { setU16, u8, u16 } from '../packet/bytes.js';
import { checksum } from '../packet/checksum.js';
import { type Decoded, type DecodedGre, type DecodeOptions, decode } from '../packet/decode.js';
import { findIp } from '../packet/frame.js';
import { GRE_CHECKSUM, GRE_KEY, greLength, readGre, TYPE_WCCP } from '../packet/gre.js';
import { IPV4_HEADER, PROTOCOL_UDP } from '../packet/ipv4.js';
import { IPV6_HEADER } from '../packet/ipv6.js';
import { type Outer, readOuter } from '../packet/outer.js';
import { payloadOf } from '../packet/payload.js';
import type { Reason } from '../packet/reason.js';

const GRE_FLAGS = 2;
const GRE_BASE = 4;
const UDP_HEADER = 8;

/** Said of the GRE header, before the tunnel is looked up. */
const GRE_REASONS: ReadonlySet<Reason | null> = new Set<Reason>([
  'gre-truncated',
  'gre-version',
  'gre-routing-present',
  'gre-reserved-bits',
]);

/**
 * Decodes a captured packet of which `originalLength` bytes were on the wire, both counted from the outer
 * IP header. Like `decode`; what the cut hides is null, and no reason to drop.
 */
export function decodeCaptured(
  bytes: Uint8Array,
  originalLength: number,
  options: DecodeOptions = {},
): Decoded | null {
  const length = Math.min(originalLength, ipLength(bytes));
  if (length <= bytes.length) return decode(bytes, options);

  const filled = fillUp(bytes, length);
  const outer = readOuter(filled);
  if (outer === null) return null;
  const start = outer.payload.byteOffset - filled.byteOffset;
  // Behind extension headers that nobody saw there may be anything.
  if (outer.version === 6 && start - udpLength(outer) > bytes.length) return null;
  const isJudged = options.tunnels !== undefined;
  const parts = { isJudged, ...partsOf(outer, start, bytes.length) };
  if (outer.isGre && hasChecksum(outer)) mendChecksum(outer.payload, 4);
  const form = decode(filled);
  if (form === null) return null;
  // Without its whole GRE header a packet cannot be told to be of one tunnel or another; one whose header
  // is wrong is refused before that.
  const canJudge = isJudged && (parts.greKnown || GRE_REASONS.has(form.reason));
  const decoded = canJudge ? decode(filled, options) : form;
  return decoded === null ? null : withoutGuess(decoded, outer, parts);
}

/** Bytes of the packet by its own header; a header that cannot be read promises nothing. */
function ipLength(bytes: Uint8Array): number {
  const version = u8(bytes, 0) >>> 4;
  if (version === 4 && bytes.length >= IPV4_HEADER) return u16(bytes, 2);
  if (version === 6 && bytes.length >= IPV6_HEADER) return IPV6_HEADER + u16(bytes, 4);
  return 0;
}

function fillUp(bytes: Uint8Array, length: number): Uint8Array {
  const filled = new Uint8Array(length);
  filled.set(bytes);
  const headerLength = (u8(bytes, 0) & 0x0f) * 4;
  if (u8(bytes, 0) >>> 4 === 4 && headerLength > bytes.length && headerLength <= length) {
    mendChecksum(filled.subarray(0, headerLength), 10);
  }
  return filled;
}

/** Bytes of the UDP header in front of the payload. */
function udpLength({ protocol }: Outer): number {
  return protocol === PROTOCOL_UDP ? UDP_HEADER : 0;
}

function mendChecksum(bytes: Uint8Array, offset: number): void {
  setU16(bytes, offset, 0);
  setU16(bytes, offset, checksum(bytes));
}

function hasChecksum({ payload }: Outer): boolean {
  return payload.length >= GRE_BASE + 4 && (u16(payload, 0) & GRE_CHECKSUM) !== 0;
}

/** Which parts of the packet were captured. */
interface Parts {
  /** All headers in front of the payload were captured. */
  readonly headersKnown: boolean;
  /** Captured bytes of the GRE header and all behind it. */
  readonly payload: number;
  /** There are tunnels to judge the packet by. */
  readonly isJudged: boolean;
  /** The whole GRE header was captured, or there is none. */
  readonly greKnown: boolean;
  /** Captured bytes of the inner packet. */
  readonly inner: number;
  /** The whole inner header was captured. */
  readonly innerKnown: boolean;
}

function partsOf(outer: Outer, start: number, captured: number): Omit<Parts, 'isJudged'> {
  const payload = Math.max(0, captured - start);
  const header = outer.isGre ? greLength(u16(outer.payload, 0)) : 0;
  const begin = innerStart(outer, header, payload);
  const inner = Math.max(0, payload - begin);
  const first = u8(outer.payload, begin);
  const innerHeader = first >>> 4 === 4 ? Math.max((first & 0x0f) * 4, IPV4_HEADER) : IPV6_HEADER;
  return {
    headersKnown: captured >= start,
    payload,
    greKnown: !outer.isGre || (payload >= GRE_BASE && payload >= header),
    inner,
    innerKnown: inner > 0 && inner >= innerHeader,
  };
}

/** Where in the payload the inner packet begins; past all that was captured where that cannot be told. */
function innerStart(outer: Outer, header: number, captured: number): number {
  if (!outer.isGre) return 0;
  const gre = readGre(outer.payload);
  if (isRedirect(outer) && captured <= header) return Number.POSITIVE_INFINITY;
  const carried = payloadOf(outer.payload, gre, outer.version);
  const begin = header + (carried?.offset ?? 0);
  if (carried?.kind !== 'ethernet') return begin;
  return begin + (findIp(outer.payload.subarray(begin))?.start ?? 0);
}

/** Whether the first bits behind the GRE header say how long the headers are. */
function isRedirect({ isGre, payload }: Outer): boolean {
  return isGre && readGre(payload).protocol === TYPE_WCCP;
}

function withoutGuess(decoded: Decoded, outer: Outer, parts: Parts): Decoded {
  const reason =
    decoded.reason !== null && isSeen(decoded.reason, outer, parts) ? decoded.reason : null;
  return {
    ...decoded,
    verdict: reason === null ? 'ok' : 'drop',
    reason,
    gre: decoded.gre === null ? null : knownGre(decoded.gre, outer, parts),
    inner:
      parts.inner >= (decoded.inner?.version === 4 ? IPV4_HEADER : IPV6_HEADER)
        ? decoded.inner
        : null,
    ...(decoded.nearest === undefined ? {} : { nearest: reason === null ? null : decoded.nearest }),
  };
}

/** Whether the bytes that a reason rests on were captured. */
function isSeen(reason: Reason, outer: Outer, parts: Parts): boolean {
  switch (reason) {
    case 'udp-header':
      return parts.headersKnown;
    case 'udp-checksum':
    case 'gre-checksum':
      return false;
    case 'gre-truncated':
      if (isRedirect(outer) && outer.payload.length > GRE_BASE) return parts.payload > GRE_BASE;
      return parts.payload >= GRE_FLAGS || outer.payload.length < GRE_BASE;
    case 'gre-version':
    case 'gre-routing-present':
    case 'gre-reserved-bits':
      return parts.payload >= GRE_FLAGS;
    case 'unknown-protocol':
      return isProtocolKnown(outer, parts);
    case 'inner-truncated':
      // Nothing behind the headers is known from the lengths alone; too little, with the version.
      return isProtocolKnown(outer, parts) && (parts.inner > 0 || !hasInner(outer));
    case 'inner-version':
      return parts.inner > 0;
    case 'inner-header':
    case 'inner-martian':
    case 'inner-src-spoof':
    case 'inner-dst-policy':
    case 'inner-ttl':
    case 'nesting-limit':
    case 'ecn':
      return parts.innerKnown;
    default:
      return true; // said by the outer header, or by the lookup, which needs a whole GRE header
  }
}

/** Whether what the tunnel carries is known. A tunnel looks at it after it was found, form alone at once. */
function isProtocolKnown({ isGre }: Outer, { payload, greKnown, isJudged }: Parts): boolean {
  return !isGre || (payload >= GRE_BASE && (greKnown || !isJudged));
}

function hasInner({ isGre, payload }: Outer): boolean {
  return payload.length > (isGre ? greLength(u16(payload, 0)) : 0);
}

function knownGre(gre: DecodedGre, outer: Outer, { payload }: Parts): DecodedGre | null {
  if (payload < GRE_BASE) return null;
  const flags = u16(outer.payload, 0);
  const keyEnd = greLength(flags & (GRE_CHECKSUM | GRE_KEY));
  return {
    ...gre,
    checksumValid: null,
    key: payload >= keyEnd ? gre.key : null,
    sequence: payload >= greLength(flags) ? gre.sequence : null,
  };
}
