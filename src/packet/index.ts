/**
 * grebe/packet: packets of GRE, GRE-in-UDP, IPIP, SIT and their relatives over IPv6 in plain TypeScript, for Node and browsers.
 *
 * ```ts
 * import { decap, decode, encapGre } from 'grebe/packet';
 *
 * // inner: a Uint8Array with a whole IPv4 or IPv6 packet
 * const sent = encapGre(inner, { local: '192.0.2.1', remote: '192.0.2.2', key: 42, checksum: true });
 * if (sent.verdict === 'drop') throw new Error(sent.reason); // 'inner-header', 'inner-ttl', ...
 *
 * decode(sent.packet)?.gre; // { checksum: true, checksumValid: true, key: 42, sequence: null, ... }
 *
 * // What a router with these tunnels does with it, by the same rules as grebe's own packet path:
 * const received = decap(sent.packet, tunnels, state);
 * if (received.verdict === 'drop') console.log(received.reason); // 'no-tunnel', 'inner-src-spoof', ...
 * else deliver(received.packet);
 *
 * explain(sent.packet, tunnels).stages; // every check with what it compared, and where the packet ended
 * ```
 *
 * Packets never make it throw; options that make no sense do. Nothing is remembered between calls
 * but what is in the `state` you pass.
 */
export {
  type Address,
  addressBytes,
  type Block,
  contains,
  formatAddress,
  formatIpv4,
  formatIpv6,
  formatPrefix,
  network,
  parseAddress,
  parseIpv4,
  parseIpv6,
  parsePrefix,
  prefixContains,
  toBlock,
} from './address.js';
export { checksum } from './checksum.js';
export { type Decapped, decap } from './decap.js';
export {
  type Decoded,
  type DecodedGre,
  type DecodedInner,
  type DecodedOuter,
  type DecodeOptions,
  decode,
} from './decode.js';
export { type Encapped, encap } from './encap.js';
export {
  type EncapOptions,
  encapGre,
  encapGretap,
  encapGreUdp,
  encapIpip,
  encapSit,
  type GreOptions,
} from './encap-options.js';
export {
  type Difference,
  type Direction,
  type ExplainOptions,
  type Explanation,
  explain,
  type Nearest,
  type Stage,
  type StageName,
} from './explain.js';
export type { Local } from './local.js';
export type { Reason } from './reason.js';
export {
  createState,
  createTunnelState,
  type State,
  type TunnelState,
} from './state.js';
export { createTable, type OwnAddresses, type Table, type Tunnels } from './table.js';
export {
  type Arrival,
  type GreTunnel,
  type Inherit,
  type IpTunnel,
  type Mode,
  overhead,
  type Peer,
  type Prefix,
  type Reorder,
  type Tunnel,
} from './tunnel.js';
