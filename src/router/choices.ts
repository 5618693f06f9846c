// What a router is made of, where its config leaves that open or the machine has a say in it.
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Underlay } from '../underlay/contract.js';
import { endpointsOf } from './endpoints.js';
import { type RouterRecords, recordTunnels } from './records.js';
import { openXdpPath, type XdpPath } from './xdp-path.js';

/** More lanes than this gain nothing that was ever measured. */
const AUTO_LANES_MAX = 4;

export type UnderlayName = Underlay['name'];

/** `auto` is raw. */
export function chooseUnderlay(config: Config, log: Logger): UnderlayName {
  const { underlay } = config.router;
  if (underlay === 'memory') {
    log.warn({ event: 'underlay' }, 'underlay memory is joined to nothing: no packet leaves');
  }
  return underlay === 'auto' ? 'raw' : underlay;
}

/** Whether lanes are threads that wait for descriptors; otherwise there is one, on the event loop. */
export function isThreaded(underlay: UnderlayName): boolean {
  return underlay === 'raw' || underlay === 'xdp';
}

/** As many as are configured, or as the machine has processors, within reason. */
export function chooseLanes({ router: { lanes } }: Config): number {
  return lanes === 'auto' ? Math.min(availableParallelism(), AUTO_LANES_MAX) : lanes;
}

/**
 * What packets need that leave or come past the IP stack. Undefined where none are to, and, the reason being logged,
 * when no device can have it.
 */
export async function openXdp(
  config: Config,
  underlay: UnderlayName,
  records: RouterRecords,
  log: Logger,
): Promise<XdpPath | undefined> {
  const { gso } = config.router.offload;
  const receive = underlay === 'xdp';
  if (!receive && (underlay !== 'raw' || gso !== true)) return undefined;
  const options = {
    records,
    receive,
    segment: gso !== false,
    segmentUdp: gso === true,
    log,
  };
  const xdp = await openXdpPath(options);
  if (xdp === undefined && receive) warnOfRaw(log);
  return xdp;
}

export function warnOfRaw(log: Logger): void {
  log.warn({ event: 'underlay' }, 'no device has AF_XDP for these tunnels: underlay raw instead');
}

/** IP protocols of the tunnels. */
export function protocolsOf(records: RouterRecords): number[] {
  return endpointsOf(recordTunnels(records)).protocols.map(({ protocol }) => protocol);
}

/** Throws a Failure where the npm package has no sockets for a tunnel. */
export function requirePlain(records: RouterRecords): void {
  const { groups, udp, versions } = endpointsOf(recordTunnels(records));
  if (!versions.includes(6) && udp.records.length === 0 && groups.length === 0) return;
  throw new Failure(
    EXIT.config,
    'underlay = "raw-socket" carries no tunnel over IPv6 or UDP, nor one to a multicast group',
    'choose underlay = "auto"',
  );
}
