// What the sender of a packet is told that its tunnel cannot carry or deliver: ICMP errors, within a rate.
//
//   too big             to our side: RFC 1191, 8201; with DF clear it goes in fragments instead (RFC 7588, 3.3)
//   encapsulation limit to our side: RFC 2473, 4.1.1
//   no way to the peer  to our side: RFC 2003, 4
//   TTL ran out         to the far side, back into the tunnel that the packet came by and nowhere else
//
// A packet that no tunnel took is never answered.
import {
  REASON_ENCAP_LIMIT,
  REASON_INNER_TTL,
  REASON_NO_ROUTE,
  REASON_TOO_BIG,
} from '../../asm/reason.js';
import { addressBytes, contains, parseAddress, toBlock } from '../packet/address.js';
import { u8, u16 } from '../packet/bytes.js';
import { encapLimitAt } from '../packet/encap-limit.js';
import { fragmentIpv4 } from '../packet/fragment.js';
import { findIp } from '../packet/frame.js';
import { type IcmpError, icmpError } from '../packet/icmp.js';
import { checkInner, type Inner, readInner } from '../packet/inner.js';
import { insideOf } from '../packet/inside.js';
import { IPV4_HEADER } from '../packet/ipv4.js';
import { IPV6_HEADER, IPV6_MTU_MIN } from '../packet/ipv6.js';
import { isFromGroup } from '../packet/policy.js';
import { isGroup } from '../packet/table.js';
import { carries, ETHERNET_HEADER, type Tunnel } from '../packet/tunnel.js';
import type { Aside, Dropped, Responder } from './aside.js';
import { type Rate, TokenBuckets } from './bucket.js';
import type { Paths } from './paths.js';
import type { LaneTunnels } from './tunnels.js';

const NEAR_RATE: Rate = { perSecond: 100, burst: 50 };
const FAR_RATE: Rate = { perSecond: 10, burst: 10 };
/** Smallest MTU that a sender is told of (RFC 791). */
const IPV4_MTU_MIN = 68;
const MAC_LENGTH = 6;
/** Bytes behind the IP header that an error must quote (RFC 792). */
const QUOTE_MIN = 8;

export interface AnswersOptions {
  readonly aside: Aside;
  readonly tunnels: LaneTunnels;
  readonly paths: Paths;
  /** Told of each answer, and of each that the rate did not allow. */
  readonly onAnswer: (isSent: boolean) => void;
}

/** An IP packet, alone or in a frame. */
interface Carried {
  readonly ip: Inner;
  /** Bytes in front of it. */
  readonly start: number;
}

export class Answers implements Responder {
  readonly #options: AnswersOptions;
  readonly #near = new TokenBuckets(NEAR_RATE);
  readonly #far = new TokenBuckets(FAR_RATE);

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  wants(reason: number): boolean {
    return (
      reason === REASON_TOO_BIG ||
      reason === REASON_INNER_TTL ||
      reason === REASON_ENCAP_LIMIT ||
      reason === REASON_NO_ROUTE
    );
  }

  onEncapDrop(dropped: Dropped): boolean {
    const { record, reason, bytes } = dropped;
    const tunnel = this.#tunnel(record);
    const carried = tunnel && readCarried(bytes, tunnel);
    if (tunnel === undefined || !carried) return false;
    if (reason === REASON_TOO_BIG) return this.#answerTooBig(dropped, tunnel, carried);
    if (reason === REASON_NO_ROUTE && this.#isOfGroup(record, carried.ip)) return false;
    const error = errorOf(reason, carried.ip);
    if (error !== null) this.#answerNear(dropped, tunnel, carried, error);
    return false;
  }

  /**
   * Whether a packet may have come by the group that it was to go to: it got there without us, and the error would go to
   * the group, too (RFC 1122, 3.2.2).
   */
  #isOfGroup(record: number, ip: Inner): boolean {
    const { table } = this.#options.tunnels;
    const entry = table.entries[record - 1];
    return entry !== undefined && isFromGroup(ip, entry, table) !== 'no';
  }

  onDecapDrop({ record, reason, bytes }: Dropped): void {
    const tunnel = this.#tunnel(record);
    if (reason !== REASON_INNER_TTL || tunnel === undefined || !hasPeer(tunnel)) return;
    const ip = insideOf(bytes);
    // Who has an address of ours is no sender to be told of anything.
    if (ip !== null && this.#options.tunnels.isOwn(ip.source)) return;
    const source = ip && sourceOf(tunnel, ip);
    const answer = source && icmpError(ip, { kind: 'time-exceeded' }, source);
    if (!answer) return;
    const isAllowed = this.#far.take(record, performance.now());
    this.#options.onAnswer(isAllowed && this.#options.aside.emit(record, answer));
  }

  #tunnel(record: number): Tunnel | undefined {
    return this.#options.tunnels.of(record);
  }

  /** Returns whether the packet goes out in fragments. */
  #answerTooBig(dropped: Dropped, tunnel: Tunnel, carried: Carried): boolean {
    const { paths, aside } = this.#options;
    const { record, bytes, packets } = dropped;
    const isFrame = carries(tunnel.mode) === 'ethernet';
    const length = bytes.length - (isFrame ? ETHERNET_HEADER : 0);
    // Taken by the tunnel, refused by the kernel: the way is not what it was.
    if (length <= paths.mtu(record)) paths.learnFromKernel(record);
    const mtu = paths.mtu(record);
    if (length <= mtu) return false; // and how it is now, nobody says
    const { ip } = carried;
    if (ip.version === 4 && !ip.dontFragment && !isFrame && packets === 1) {
      const fragments = fragmentIpv4(ip.bytes, mtu);
      return fragments !== null && aside.emitInstead(record, fragments);
    }
    this.#answerNear(dropped, tunnel, carried, tooBig(ip, mtu));
    return false;
  }

  /** Answers through the device that the packet came from. */
  #answerNear(
    { record, bytes }: Dropped,
    tunnel: Tunnel,
    { ip, start }: Carried,
    error: IcmpError,
  ): void {
    const source = sourceOf(tunnel, ip);
    const answer = source && icmpError(ip, error, source);
    if (!answer) return;
    const isAllowed = this.#near.take(record, performance.now());
    const packet = start === 0 ? answer : frameBack(bytes.subarray(0, start), answer);
    this.#options.onAnswer(isAllowed && this.#options.aside.inject(record, packet));
  }

  /**
   * Tells the sender of a packet that the tunnel of `record` sent what became of it on the way. `bytes`: the packet or
   * frame as far as it is known. The rate is the caller's.
   */
  relay(record: number, bytes: Uint8Array, error: IcmpError): void {
    const tunnel = this.#tunnel(record);
    const carried = tunnel && readCut(bytes, tunnel);
    if (tunnel === undefined || !carried) return;
    const { ip, start } = carried;
    if (error.kind === 'too-big') {
      if (carriedLength(ip) <= error.mtu) return;
      if (ip.version === 4 ? !ip.dontFragment : carriedLength(ip) <= IPV6_MTU_MIN) return;
    }
    const source = sourceOf(tunnel, ip);
    const told = error.kind === 'too-big' ? tooBig(ip, error.mtu) : error;
    const answer = source && icmpError(ip, told, source);
    if (!answer) return;
    const packet = start === 0 ? answer : frameBack(bytes.subarray(0, start), answer);
    this.#options.onAnswer(this.#options.aside.inject(record, packet));
  }
}

/** What is answered for a reason to drop `ip`, or null: nothing. */
function errorOf(reason: number, ip: Inner): IcmpError | null {
  if (reason === REASON_NO_ROUTE) return { kind: 'unreachable', what: 'host' };
  const pointer = reason === REASON_ENCAP_LIMIT ? encapLimitAt(ip) : null;
  return pointer === null ? null : { kind: 'encap-limit', pointer };
}

function tooBig({ version }: Inner, mtu: number): IcmpError {
  return { kind: 'too-big', mtu: Math.max(version === 4 ? IPV4_MTU_MIN : IPV6_MTU_MIN, mtu) };
}

/** Bytes that a packet says it has. */
function carriedLength({ version, bytes }: Inner): number {
  return version === 4 ? u16(bytes, 2) : IPV6_HEADER + u16(bytes, 4);
}

/** An IP packet of which the end may be missing, but not the 8 bytes behind its header; null: there is none. */
function readCut(bytes: Uint8Array, tunnel: Tunnel): Carried | null {
  const start = carries(tunnel.mode) === 'ethernet' ? ETHERNET_HEADER : 0;
  if (start > 0 && isForSeveral(bytes)) return null;
  const packet = bytes.subarray(start);
  const version = u8(packet, 0) >>> 4;
  if (version !== 4 && version !== 6) return null;
  if (start > 0 && u16(bytes, start - 2) !== (version === 4 ? 0x0800 : 0x86dd)) return null;
  const header = version === 4 ? (u8(packet, 0) & 15) * 4 : IPV6_HEADER;
  if (header < IPV4_HEADER || packet.length < header + QUOTE_MIN) return null;
  return { ip: readInner(packet, version), start };
}

function readCarried(bytes: Uint8Array, tunnel: Tunnel): Carried | null {
  if (carries(tunnel.mode) === 'ethernet') {
    const framed = isForSeveral(bytes) ? null : findIp(bytes);
    return framed && { ip: framed.inner, start: framed.start };
  }
  const version = u8(bytes, 0) >>> 4 === 4 ? 4 : 6;
  return checkInner(bytes, version) === null ? { ip: readInner(bytes, version), start: 0 } : null;
}

/** Whether a frame is for several: nobody of them is to answer (RFC 1122, 3.2.2). */
function isForSeveral(frame: Uint8Array): boolean {
  return (u8(frame, 0) & 1) !== 0;
}

/** A frame back to where one with this header came from. */
function frameBack(header: Uint8Array, packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(header.length + packet.length);
  frame.set(header);
  frame.set(header.subarray(MAC_LENGTH, 2 * MAC_LENGTH), 0);
  frame.set(header.subarray(0, MAC_LENGTH), MAC_LENGTH);
  frame.set(packet, header.length);
  return frame;
}

/**
 * The address that answers about a packet come from: the tunnel device's, of the sender's network where it has one, or
 * over IPv4 the local end of the tunnel. Of an Ethernet segment we are no router: as Linux does for its bridges, the
 * destination is made to answer.
 */
function sourceOf(tunnel: Tunnel, { version, source, destination }: Inner): Uint8Array | null {
  if (carries(tunnel.mode) === 'ethernet') return isGroup(destination) ? null : destination;
  const own = tunnel.addresses.filter(({ address }) => address.includes(':') === (version === 6));
  const near = own.find((prefix) => {
    const block = toBlock(prefix);
    return block !== null && contains(block, source);
  });
  const text = (near ?? own[0])?.address ?? tunnel.local;
  const parsed = parseAddress(text);
  return parsed?.version === version ? addressBytes(parsed) : null;
}

/** Whether the far end is one host. */
function hasPeer({ remote }: Tunnel): boolean {
  const parsed = parseAddress(remote);
  return parsed !== null && !isGroup(addressBytes(parsed));
}
