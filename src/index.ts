/**
 * grebe as a library: load a config and run a router in this process, or make one in memory.
 *
 * ```ts
 * import { createMemoryRouter, MemoryUnderlay } from 'grebe';
 * ```
 *
 * The packet codec alone, without anything of Node, is `grebe/packet`.
 */
import type { Logger } from 'pino';
import type { Config } from './config/config.js';
import type { Router } from './router/contract.js';

export type {
  Config,
  Keepalive,
  OffloadConfig,
  Peer,
  Probe,
  RouterConfig,
  TunnelConfig,
} from './config/config.js';
export type { Code, Diagnostic, Spot } from './config/diagnostic.js';
export type { ListenAddress } from './config/listen-address.js';
export { type LoadedConfig, loadConfig } from './config/load.js';
export type { PlacedName } from './config/names.js';
export type { RecorderConfig } from './config/recorder.js';
export type { RecordSubject } from './inspect/recorded-capture.js';
export type { Means } from './lane/board.js';
export type { Mode, Prefix, Tunnel } from './packet/tunnel.js';
export type { CapturedPackets, LostPackets } from './ring/capture-ring.js';
export type { RecordedPacket } from './ring/recorded.js';
export type {
  BatchSizes,
  Capture,
  CaptureRequest,
  DownReason,
  Drops,
  GoneStatus,
  KernelDrops,
  LastReload,
  PeerLiveness,
  PeerStatus,
  RecordChoice,
  Recording,
  ReloadControl,
  ReloadOptions,
  ReloadResult,
  Router,
  RouterMetrics,
  RouterStatus,
  Trace,
  TracedPacket,
  TraceRequest,
  TunnelMetrics,
  TunnelStatus,
} from './router/contract.js';
export type { ConfigDiff, KeyChange, TunnelChange } from './router/diff.js';
export { createMemoryRouter, type MemoryRouter } from './router/memory.js';
export { EXIT, type ExitCode, Failure } from './sys/failure.js';
export type { TunDevice } from './tun/contract.js';
export { MemoryTun } from './tun/memory.js';
export type { IcmpCounters } from './tunnel/counters.js';
export type { Underlay } from './underlay/contract.js';
export { MemoryUnderlay } from './underlay/memory.js';

/**
 * Starts the router of a config: needs Linux and the capabilities CAP_NET_ADMIN and CAP_NET_RAW. Rejects
 * with a Failure, and leaves nothing behind, when it cannot.
 */
export async function startRouter(config: Config, log: Logger): Promise<Router> {
  // Here, because it loads the C library: the rest of this module works everywhere.
  const router = await import('./router/router.js');
  return router.startRouter(config, log);
}
