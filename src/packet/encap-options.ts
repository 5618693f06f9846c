// One packet into one tunnel, without describing the tunnel any further: what scripts and tests want.
import { type Encapped, encap } from './encap.js';
import { createTunnelState } from './state.js';
import type { GreTunnel, Inherit, Tunnel } from './tunnel.js';

/** How one packet is put into a tunnel that is not described any further. */
export interface EncapOptions {
  /** Outer source, IPv4 text. */
  readonly local: string;
  /** Outer destination, IPv4 text. */
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

/** Puts an IPv4 or IPv6 packet into GRE over IPv4. Throws RangeError for options that are out of range. */
export function encapGre(inner: Uint8Array, options: GreOptions): Encapped {
  return encapGreMode('gre', inner, options);
}

/** Puts an IPv4 or IPv6 packet into GRE-in-UDP over IPv4 (RFC 8086). */
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

/** Puts an IPv4 packet into IPv4 (RFC 2003). */
export function encapIpip(inner: Uint8Array, options: EncapOptions): Encapped {
  const tunnel: Tunnel = { ...describe(options), mode: 'ipip' };
  return encap(inner, tunnel, createTunnelState(0, options.identification));
}

/** Puts an IPv6 packet into IPv4 (RFC 4213). */
export function encapSit(inner: Uint8Array, options: EncapOptions): Encapped {
  const tunnel: Tunnel = { ...describe(options), mode: 'sit' };
  return encap(inner, tunnel, createTunnelState(0, options.identification));
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
