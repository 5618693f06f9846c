// One packet into one tunnel, without describing the tunnel any further: what scripts and tests want.
import { type Encapped, encap } from './encap.js';
import { createTunnelState } from './state.js';
import type { GreTunnel, Inherit, IpTunnel } from './tunnel.js';

/** How one packet is put into a tunnel that is not described any further. */
export interface EncapOptions {
  /** Outer source, IPv4 or IPv6 text: it says which the outer header is. */
  readonly local: string;
  /** Outer destination, of the same family. */
  readonly remote: string;
  /** Default 64. */
  readonly ttl?: number | Inherit;
  /** Default `inherit`. */
  readonly tos?: number | Inherit;
  /** Sets DF (default); otherwise it follows the inner packet. */
  readonly pmtudisc?: boolean;
  /** Identification of the outer packet where DF is clear. Default 0. */
  readonly identification?: number;
}

export interface GreOptions extends EncapOptions {
  readonly key?: number;
  readonly sequence?: number;
  readonly checksum?: boolean;
}

/** Puts an IPv4 or IPv6 packet into GRE. Throws RangeError for options that are out of range. */
export function encapGre(inner: Uint8Array, options: GreOptions): Encapped {
  return encapGreMode(isOver6(options) ? 'ip6gre' : 'gre', inner, options);
}

/** Puts an Ethernet frame, without its check sequence, into GRE. */
export function encapGretap(frame: Uint8Array, options: GreOptions): Encapped {
  return encapGreMode(isOver6(options) ? 'ip6gretap' : 'gretap', frame, options);
}

/** Puts an IPv4 or IPv6 packet into GRE-in-UDP (RFC 8086). */
export function encapGreUdp(inner: Uint8Array, options: GreOptions): Encapped {
  return encapGreMode('gre-udp', inner, options);
}

function encapGreMode(mode: GreTunnel['mode'], inner: Uint8Array, options: GreOptions): Encapped {
  const { key, sequence, checksum: checksumOut = false } = options;
  if (key !== undefined) requireInteger('key', key, 0xffffffff);
  if (sequence !== undefined) requireInteger('sequence', sequence, 0xffffffff);
  const tunnel: GreTunnel = {
    ...describe(options),
    mode,
    ...(key === undefined ? {} : { keyOut: key }),
    checksumOut,
    sequenceIn: false,
    sequenceOut: sequence !== undefined,
  };
  return encap(inner, tunnel, createTunnelState(sequence, options.identification));
}

/** Puts an IPv4 packet into IPv4 (RFC 2003) or IPv6 (RFC 2473). */
export function encapIpip(inner: Uint8Array, options: EncapOptions): Encapped {
  return encapIpMode(isOver6(options) ? 'ip4ip6' : 'ipip', inner, options);
}

/** Puts an IPv6 packet into IPv4 (RFC 4213) or IPv6 (RFC 2473). */
export function encapSit(inner: Uint8Array, options: EncapOptions): Encapped {
  return encapIpMode(isOver6(options) ? 'ip6ip6' : 'sit', inner, options);
}

function encapIpMode(mode: IpTunnel['mode'], inner: Uint8Array, options: EncapOptions): Encapped {
  const tunnel: IpTunnel = { ...describe(options), mode };
  return encap(inner, tunnel, createTunnelState(0, options.identification));
}

function isOver6({ remote }: EncapOptions): boolean {
  return remote.includes(':');
}

/** What all modes share of a tunnel that exists for one packet. */
function describe(options: EncapOptions) {
  const { local, remote, ttl = 64, tos = 'inherit', pmtudisc = true, identification } = options;
  if (ttl !== 'inherit') requireInteger('ttl', ttl, 255);
  if (tos !== 'inherit') requireInteger('tos', tos, 255);
  if (identification !== undefined) requireInteger('identification', identification, 0xffff);
  return {
    name: 'packet',
    local,
    remote,
    ttl,
    tos,
    pmtudisc,
    mtu: 65535,
    link: 0,
    allow: 'any',
    addresses: [],
  } as const;
}

function requireInteger(option: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw new RangeError(`${option} must be an integer from 0 to ${most}, not ${value}`);
}
