// What is examined: the config, the router that runs, and the machine, each as far as it can be had.
import type { Config, RouterConfig, TunnelConfig } from '../config/config.js';
import { DEFAULT_CONFIG_FILE, loadConfigOrFail } from '../config/load.js';
import { isName, resolveNames } from '../config/names.js';
import { didYouMean } from '../config/nearest.js';
import { tunnelOf } from '../config/tunnel.js';
import type { StatusMessage } from '../control/message.js';
import { parseAddress } from '../packet/address.js';
import { type Mode, type Tunnel, versionOf } from '../packet/tunnel.js';
import type { TunnelStatus } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Path } from '../sys/ip.js';
import { isGroupAddress } from './addresses.js';
import type { Echo } from './echo.js';
import { type Machine, readMachine } from './machine.js';

/** What came of asking the router. */
export type RouterState =
  | { readonly kind: 'running'; readonly socket: string; readonly status: StatusMessage }
  | { readonly kind: 'absent'; readonly fault: string }
  /** It may run: it could not be asked. */
  | { readonly kind: 'unknown'; readonly fault: string; readonly hint: string | undefined };

/** A tunnel that is examined. */
export interface Target {
  readonly name: string;
  readonly mode: Mode;
  readonly local: string;
  readonly dev: string | undefined;
  /** Outer addresses of its peers, single hosts, as far as they are known. */
  readonly remotes: readonly string[];
  /** Absent: the router has it and the config has not. */
  readonly config: TunnelConfig | undefined;
  /** Absent: no router tells of it. */
  readonly status: TunnelStatus | undefined;
}

/** Whoever is spoken to answers within this time, if at all. */
const QUIET_MS = 10_000;

/** Whether nothing was heard of the peer lately, or ever. */
export function isQuiet({ lastReceivedMs }: Pick<TunnelStatus, 'lastReceivedMs'>): boolean {
  return lastReceivedMs === null || Date.now() - lastReceivedMs > QUIET_MS;
}

export interface Subject {
  readonly file: string;
  /** Options of the command line that say which router and config are meant. */
  readonly given: { readonly socket?: string; readonly config?: string };
  /** Why the config cannot be used. */
  readonly configFault: Failure | undefined;
  readonly routerConfig: RouterConfig | undefined;
  readonly router: RouterState;
  readonly targets: readonly Target[];
  /** Host names of remotes that stand for nothing, with the cause. */
  readonly unresolved: readonly { readonly tunnel: string; readonly cause: string }[];
  readonly machine: Machine;
  /** By remote, what came of ICMP echo; undefined: nothing was sent. */
  readonly echoes: ReadonlyMap<string, Echo> | undefined;
}

/** Gathers what is to be examined of one tunnel, or of all. Throws a Failure for a name that is not there. */
export async function gatherSubject(
  router: RouterState,
  { given, name }: { readonly given: Subject['given']; readonly name?: string },
): Promise<Subject> {
  const { config: file = DEFAULT_CONFIG_FILE } = given;
  const config = readConfig(file);
  const status = router.kind === 'running' ? router.status.tunnels : [];
  const tunnels = config instanceof Failure ? [] : config.tunnels;
  const resolved = config instanceof Failure ? [] : await resolveNames(config);
  const addresses = new Map(
    resolved.flatMap(({ tunnel, name: host, answer }) =>
      'address' in answer ? [[`${tunnel} ${host}`, answer.address]] : [],
    ),
  );
  const all = [
    ...tunnels.map((one): Target => {
      const known = status.find((found) => found.name === one.name);
      return targetOf(one, known, (host) => addresses.get(`${one.name} ${host}`));
    }),
    ...status.filter((one) => !tunnels.some((found) => found.name === one.name)).map(unwritten),
  ];
  const targets = name === undefined ? all : all.filter((target) => target.name === name);
  if (name !== undefined && targets.length === 0) throw noSuchTunnel(name, all, config);
  const wanted = new Set(targets.map((target) => target.name));
  return {
    file,
    given,
    configFault: config instanceof Failure ? config : undefined,
    routerConfig: config instanceof Failure ? undefined : config.router,
    router,
    targets,
    unresolved: resolved.flatMap(({ tunnel, name: host, answer }) =>
      'fault' in answer && wanted.has(tunnel)
        ? [{ tunnel, cause: `${host}: ${answer.fault}` }]
        : [],
    ),
    machine: await readMachine(targets.flatMap(pathsOf)),
    echoes: undefined,
  };
}

function readConfig(file: string): Config | Failure {
  try {
    return loadConfigOrFail(file);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

function noSuchTunnel(name: string, all: readonly Target[], config: Config | Failure): Failure {
  if (config instanceof Failure && all.length === 0) return config;
  const names = all.map((target) => target.name);
  return new Failure(
    EXIT.noInput,
    `there is no tunnel ${JSON.stringify(name)}${didYouMean(name, names)}`,
    names.length === 0 ? 'there is none at all' : `tunnels: ${names.join(', ')}`,
  );
}

function targetOf(
  config: TunnelConfig,
  status: TunnelStatus | undefined,
  addressOf: (host: string) => string | undefined,
): Target {
  const { name, mode, local, dev, remote, peers } = config;
  const remotes = peers.length === 0 ? [remote] : peers.map((peer) => peer.remote);
  const known = remotes.map((one) => (isName(one) ? addressOf(one) : one));
  return { name, mode, local, dev, remotes: hosts(known), config, status };
}

/** A tunnel of the router that the config does not have: what its status tells. */
function unwritten(status: TunnelStatus): Target {
  const { name, mode, local, remote, remoteAddress, peers = [] } = status;
  const ends = peers.map((peer) => peer.remoteAddress ?? peer.remote);
  const remotes = hosts(ends.length > 0 ? ends : [remoteAddress ?? remote]);
  return { name, mode, local, dev: undefined, remotes, config: undefined, status };
}

/** Those of the ends that are addresses of single hosts. */
function hosts(ends: readonly (string | undefined)[]): string[] {
  const isHost = (end: string): boolean => parseAddress(end) !== null && !isGroupAddress(end);
  return ends.flatMap((end) => (end !== undefined && isHost(end) ? [end] : []));
}

export function pathsOf({ remotes, dev }: Target): Path[] {
  return remotes.map((remote) => ({ remote, dev }));
}

/** The tunnel as the packet path knows it. */
export function asTunnel({ config, remotes, status }: Target): Tunnel | undefined {
  if (config === undefined) return undefined;
  const tunnel = tunnelOf(config, { addressOf: () => remotes[0] });
  return { ...tunnel, mtu: status?.mtu ?? tunnel.mtu };
}

/** IP version of its outer header; undefined where nothing tells. */
export function outerVersionOf(target: Target): 4 | 6 {
  const ends = [target.local, ...target.remotes];
  const tunnel = asTunnel(target);
  if (tunnel !== undefined) return versionOf(tunnel);
  return ends.some((end) => end.includes(':')) ? 6 : 4;
}
