// What the control socket answers, and what `-j` prints. Within a schema's number fields are only added.
//
//   GET /v1/status              StatusMessage
//   GET /v1/codecs              CodecsMessage
//   PUT /v1/codec {"name"}      CodecMessage
//   GET /metrics                Prometheus text or OpenMetrics: metrics.ts
//   GET /v1/events?packets=     server-sent events: event.ts
//   GET /v1/web                 WebMessage
//   GET /v1/openapi.json        the description of all of this, made from routes.ts
//   GET /v1/trace?tunnel=&drops=&rate=   lines of JSON until one end closes: TraceStart, then TraceLine
//   GET /v1/pcap?tunnel=&snap=&count=    pcapng as packets pass, until one end closes or `count` of them have
//   GET /v1/recorder?tunnel=    pcapng: the last packets of every tunnel
//   anything that fails         ErrorMessage, with a status from 400 on

import type { BuildListing } from '../codec/builds.js';
import type { Tunnel } from '../packet/tunnel.js';
import type {
  Drops,
  PeerStatus,
  RouterStatus,
  Trace,
  TracedPacket,
  TunnelStatus,
} from '../router/contract.js';
import type { ExitCode } from '../sys/failure.js';

export interface StatusMessage extends RouterStatus {
  readonly schema: 'grebe.status/1';
}

export interface CodecsMessage {
  readonly schema: 'grebe.codecs/1';
  /** Name of the build that runs, null where no router was asked. */
  readonly live: string | null;
  readonly builds: readonly BuildListing[];
}

export interface CodecMessage {
  readonly schema: 'grebe.codec/1';
  /** The build that every lane runs. */
  readonly codec: string;
}

/** Where the web page is, for whoever may use the control socket. */
export interface WebMessage {
  readonly schema: 'grebe.web/1';
  /** With the token behind `#`, or null: the router has no TCP listener. */
  readonly url: string | null;
}

export interface ErrorMessage {
  readonly error: string;
  readonly hint: string | null;
  readonly exitCode: ExitCode;
}

/** The first line of a trace: what is needed to explain the packets that follow. */
export interface TraceStart {
  readonly kind: 'start';
  /** By record, the first is 1; null: nobody's, or a peer's. */
  readonly tunnels: readonly (Tunnel | null)[];
  /** Devices that tunnels are bound to. */
  readonly links: readonly (readonly [index: number, name: string])[];
}

/** A packet of a trace. */
export interface TracePacket extends Omit<TracedPacket, 'bytes'> {
  readonly kind: 'packet';
  /** Hex digits of its first bytes. */
  readonly bytes: string;
}

export type TraceLine =
  | TraceStart
  | TracePacket
  /** Packets that were to be shown and came too fast. */
  | { readonly kind: 'missed'; readonly count: number };

export function traceStart({ tunnels, links }: Trace): TraceStart {
  const written = Array.from(tunnels, (tunnel) => tunnel ?? null);
  return { kind: 'start', tunnels: written, links: [...links] };
}

export function tracePacket({ bytes, ...packet }: TracedPacket): TracePacket {
  return { kind: 'packet', ...packet, bytes: Buffer.from(bytes).toString('hex') };
}

/** Whether a line of a trace is one, in all that the command line reads from it. */
export function isTraceLine(value: unknown): value is TraceLine {
  if (!isFields(value)) return false;
  switch (value.kind) {
    case 'start':
      return Array.isArray(value.tunnels) && Array.isArray(value.links);
    case 'packet':
      return (
        typeof value.bytes === 'string' &&
        [value.lane, value.record, value.link, value.length, value.packets, value.timeMs].every(
          (one) => typeof one === 'number',
        ) &&
        (value.direction === 'decap' || value.direction === 'encap') &&
        isOr(value.reason, 'string')
      );
    case 'missed':
      return typeof value.count === 'number';
    default:
      return false;
  }
}

/** A status as it is sent and printed: the fields of the contract, in its order. */
export function statusMessage(status: RouterStatus): StatusMessage {
  return {
    schema: 'grebe.status/1',
    codec: status.codec,
    underlay: status.underlay,
    uptimeSeconds: status.uptimeSeconds,
    tunnels: status.tunnels.map(tunnelMessage),
    drops: status.drops,
    kernelDrops: status.kernelDrops,
    received: status.received,
    generated: status.generated,
    icmp: status.icmp,
    lanes: status.lanes,
    ...(status.gone === undefined ? {} : { gone: status.gone }),
  };
}

function tunnelMessage(tunnel: TunnelStatus): TunnelStatus {
  const { name, mode, local, remote, state, mtu, rx, tx, drops } = tunnel;
  const { pathMtu, remoteAddress, downReason, queueDrops, localPackets, peers } = tunnel;
  const { lastReceivedMs, lastHeardMs, liveness } = tunnel;
  return {
    ...{ name, mode, local, remote },
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    state,
    ...(downReason === undefined ? {} : { downReason }),
    mtu,
    ...(pathMtu === undefined ? {} : { pathMtu }),
    ...{ rx, tx, drops },
    ...(queueDrops === undefined ? {} : { queueDrops }),
    ...{ lastReceivedMs, localPackets, lastHeardMs },
    ...(liveness === undefined ? {} : { liveness }),
    ...(peers === undefined ? {} : { peers }),
  };
}

type Fields = { readonly [key: string]: unknown };

/** Whether an answer is a status of this schema, in all that the command line reads from it. */
export function isStatusMessage(value: unknown): value is StatusMessage {
  return (
    isFields(value) &&
    value.schema === 'grebe.status/1' &&
    typeof value.codec === 'string' &&
    typeof value.underlay === 'string' &&
    typeof value.uptimeSeconds === 'number' &&
    isDrops(value.drops) &&
    isDrops(value.kernelDrops ?? {}) && // a router that is older tells none
    Array.isArray(value.tunnels) &&
    value.tunnels.every(isTunnelStatus)
  );
}

function isTunnelStatus(value: unknown): value is TunnelStatus {
  return (
    isFields(value) &&
    [value.name, value.mode, value.local, value.remote].every((one) => typeof one === 'string') &&
    (value.state === 'up' || value.state === 'down') &&
    typeof value.mtu === 'number' &&
    isTraffic(value.rx) &&
    isTraffic(value.tx) &&
    isDrops(value.drops) &&
    [value.queueDrops, value.localPackets].every(isNumberOrAbsent) && // a router that is older tells none
    [value.remoteAddress, value.downReason].every(isTextOrAbsent) &&
    (value.peers === undefined || (Array.isArray(value.peers) && value.peers.every(isPeerStatus)))
  );
}

function isPeerStatus(value: unknown): value is PeerStatus {
  return (
    isFields(value) &&
    typeof value.remote === 'string' &&
    [value.remoteAddress, value.downReason].every(isTextOrAbsent) &&
    isTraffic(value.rx) &&
    isTraffic(value.tx) &&
    isDrops(value.drops)
  );
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function isNumberOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'number';
}

function isTraffic(value: unknown): boolean {
  return isFields(value) && typeof value.packets === 'number' && typeof value.bytes === 'number';
}

function isDrops(value: unknown): value is Drops {
  return isFields(value) && Object.values(value).every((count) => typeof count === 'number');
}

export function isCodecsMessage(value: unknown): value is CodecsMessage {
  return (
    isFields(value) &&
    value.schema === 'grebe.codecs/1' &&
    (value.live === null || typeof value.live === 'string') &&
    Array.isArray(value.builds) &&
    value.builds.every(isBuildListing)
  );
}

function isBuildListing(value: unknown): value is BuildListing {
  return (
    isFields(value) &&
    typeof value.name === 'string' &&
    typeof value.live === 'boolean' &&
    isOr(value.file, 'string') &&
    isOr(value.size, 'number') &&
    isOr(value.abi, 'number') &&
    isOr(value.fault, 'string')
  );
}

function isOr(value: unknown, type: 'string' | 'number'): boolean {
  return value === null || typeof value === type;
}

export function isWebMessage(value: unknown): value is WebMessage {
  return isFields(value) && value.schema === 'grebe.web/1' && isOr(value.url, 'string');
}

export function isCodecMessage(value: unknown): value is CodecMessage {
  return isFields(value) && value.schema === 'grebe.codec/1' && typeof value.codec === 'string';
}

/** Whether a parsed JSON value is an object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
