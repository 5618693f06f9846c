// What the kernel is told of the tunnels' devices: MTU, addresses, link state, routes; and how a reload changes it.
//
//   1. first    addresses that come again with another length: gone before they are back
//   2. strict   larger MTUs, new devices, new addresses and routes: the first that fails ends the reload, but for what
//               somebody gave the device by hand before the config said so
//   3. last     what is no longer wanted, which may be gone already; smaller MTUs
//
// A route that goes from one tunnel to another is replaced: there is no moment without it.
import { writeFileSync } from 'node:fs';
import { SEGMENT_LIMIT } from '../../asm/layout.js';
import type { TunnelConfig } from '../config/config.js';
import { formatPrefix, network } from '../packet/address.js';
import { carries } from '../packet/tunnel.js';
import { forceBatch, type IpLine, runIp, tryBatch } from '../sys/ip.js';
import { deviceMtu } from './device-mtu.js';
import type { Member } from './fleet.js';
import { hardwareAddress, readMachineId } from './hardware-address.js';

/** Packets that wait for the lane while it is busy: the driver's default of 500 drops under load. */
const QUEUE_LENGTH = 1000;

/** A line, and the one that takes it back; absent: that goes with the device. */
export interface NetworkLine extends IpLine {
  readonly undo?: string;
  /** Words of ip(8) that print `answer`, or where it is absent anything, when the device has what the line adds. */
  readonly question?: { readonly words: readonly string[]; readonly answer?: string };
}

/** In this order; a failure counts in `strict` alone. */
export interface NetworkChange {
  readonly first: readonly NetworkLine[];
  readonly strict: readonly NetworkLine[];
  readonly last: readonly NetworkLine[];
}

/** What the devices of `fresh` are to have, which are new, and those of `kept`, as they were and as they will be. */
export interface NetworkPlan {
  readonly fresh: readonly Pick<Member, 'config' | 'tunnel'>[];
  readonly kept: readonly (readonly [before: Member, after: Member])[];
  /** Name of the device that has a route, of all devices that there were. */
  readonly routeOwners: ReadonlyMap<string, string>;
  /** What devices of `kept` lack of what they had, in the words of `prefixWords`; they get it again. */
  readonly absent?: ReadonlyMap<string, readonly string[]>;
}

/** Prepares new devices for what `planNetwork` says of them: settings that ip(8) does not have. */
export function prepareDevices(configs: readonly TunnelConfig[]): void {
  // One that carries only IPv6 has nothing of the kind: the kernel sends IPv4 out of a device when somebody asks.
  for (const { mode, name } of configs) {
    if (carries(mode) === 4) writeSetting('ipv6', name, 'disable_ipv6', '1');
    // Answers to who sends into a tunnel come out of its device with the device's own address for a source, which the
    // kernel takes for forged elsewhere. From the far end no such packet gets in: the codec drops it as inner-src-spoof.
    if (carries(mode) !== 'ethernet') writeSetting('ipv4', name, 'accept_local', '1');
    // An address that goes takes no other one of its network with it.
    writeSetting('ipv4', name, 'promote_secondaries', '1');
  }
}

export function planNetwork({
  fresh,
  kept,
  routeOwners,
  absent = new Map(),
}: NetworkPlan): NetworkChange {
  const machine = readMachineId();
  const routes = new Map(
    [...fresh, ...kept.map(([, after]) => after)].flatMap(({ config }) =>
      [...routesOf(config)].map((route) => [route, config.name] as const),
    ),
  );
  const changes = kept.map(([before, after]) =>
    changeOf(before, after, { routeOwners, routes, absent }),
  );
  return {
    first: changes.flatMap(({ first }) => first),
    strict: [
      ...fresh.flatMap((member) => freshLines(member, machine, routeOwners)),
      ...changes.flatMap(({ strict }) => strict),
    ],
    last: changes.flatMap(({ last }) => last),
  };
}

/** Makes the change; what was done of it is undone when it throws its Failure. Returns what undoes it. */
export async function applyNetwork(change: NetworkChange): Promise<() => Promise<void>> {
  const { first, strict, last } = change;
  await forceBatch(first);
  const made: NetworkLine[] = [...first];
  for (let rest = strict; rest.length > 0; ) {
    const { done, failure } = await tryBatch(rest);
    made.push(...rest.slice(0, done));
    if (failure !== undefined && !(await isThere(rest[done]))) {
      await undoLines(made);
      throw failure;
    }
    rest = rest.slice(done + 1);
  }
  await forceBatch(last);
  return () => undoLines([...made, ...last]);
}

/** Whether the device has what a line that failed was to add. It stays when the line is undone: it is not ours. */
async function isThere(line: NetworkLine | undefined): Promise<boolean> {
  if (line?.question === undefined) return false;
  const { words, answer } = line.question;
  const { stdout } = await runIp(words, '');
  return answer === undefined ? stdout.trim() !== '' : stdout.split(/\s+/).includes(answer);
}

function undoLines(lines: readonly NetworkLine[]): Promise<void> {
  return forceBatch(
    lines
      .toReversed()
      .flatMap(({ undo, owner }) => (undo === undefined ? [] : [{ line: undo, owner }])),
  );
}

/** Hardware address, MTU, addresses, link state and routes of a new device, in this order. */
function freshLines(
  { config, tunnel }: Pick<Member, 'config' | 'tunnel'>,
  machine: ReturnType<typeof readMachineId>,
  owners: ReadonlyMap<string, string>,
): NetworkLine[] {
  const { name, mode } = config;
  const own = carries(mode) === 'ethernet' ? hardwareAddress(config, machine) : undefined;
  const lines = [
    ...(own === undefined ? [] : [`link set dev ${name} address ${own}`]),
    // Of a TAP device, as of any Ethernet, without the frame's header.
    `link set dev ${name} mtu ${deviceMtu(config, tunnel)} txqueuelen ${QUEUE_LENGTH} gso_max_segs ${SEGMENT_LIMIT}`,
    ...config.address.map((prefix) => `address add ${formatPrefix(prefix)} dev ${name}`),
    `link set dev ${name} up`,
  ].map((line): NetworkLine => ({ line, owner: `tunnel ${name}` }));
  return [...lines, ...[...routesOf(config)].map((route) => routeLine(route, name, owners))];
}

/** The route to the device, wherever of ours it led before. */
function routeLine(route: string, name: string, owners: ReadonlyMap<string, string>): NetworkLine {
  const owner = `tunnel ${name}`;
  const from = owners.get(route);
  if (from === undefined || from === name) {
    return {
      line: `route add ${route} dev ${name}`,
      undo: `route del ${route} dev ${name}`,
      owner,
      question: { words: [familyWord(route), 'route', 'show', route, 'dev', name] },
    };
  }
  return {
    line: `route replace ${route} dev ${name}`,
    undo: `route replace ${route} dev ${from}`,
    owner,
  };
}

function familyWord(prefix: string): string {
  return prefix.includes(':') ? '-6' : '-4';
}

interface Routes {
  /** Before, and after. */
  readonly routeOwners: ReadonlyMap<string, string>;
  readonly routes: ReadonlyMap<string, string>;
  readonly absent: ReadonlyMap<string, readonly string[]>;
}

function changeOf(
  before: Member,
  after: Member,
  { routeOwners, routes, absent }: Routes,
): NetworkChange {
  const { name } = after.config;
  const owner = `tunnel ${name}`;
  const lacks = new Set(absent.get(name));
  const had = prefixWords(before.config);
  const was = had.addresses.filter((prefix) => !lacks.has(addressWord(prefix)));
  const is = prefixWords(after.config).addresses;
  const [gone, come] = [missing(was, is), missing(is, was)];
  const swap = (prefix: string, isThere: boolean): NetworkLine => {
    const verbs = ['add', 'del'].map((verb) => `address ${verb} ${prefix} dev ${name}`);
    const [line = '', undo = ''] = isThere ? verbs : verbs.toReversed();
    const [address = ''] = prefix.split('/');
    const words = [familyWord(prefix), '-o', 'address', 'show', 'dev', name, 'to', address];
    const question = { words, answer: prefix };
    return { line, undo, owner, ...(isThere ? { question } : {}) };
  };
  const isAgain = (prefix: string): boolean =>
    come.some((one) => one.split('/')[0] === prefix.split('/')[0]);
  const routesBefore = had.routes.filter((prefix) => !lacks.has(routeWord(prefix)));
  const routesAfter = prefixWords(after.config).routes;
  const mtu = mtuLine(before, after);
  const isLarger = mtuOf(after) > mtuOf(before);
  const late = gone.filter((prefix) => !isAgain(prefix));
  return {
    first: gone.filter(isAgain).map((prefix) => swap(prefix, false)),
    strict: [
      ...(isLarger ? mtu : []),
      ...come.map((prefix) => swap(prefix, true)),
      ...missing(routesAfter, routesBefore).map((route) => routeLine(route, name, routeOwners)),
    ],
    last: [
      ...missing(routesBefore, routesAfter)
        .filter((route) => !routes.has(route)) // that of another tunnel has replaced it
        .map((route) => ({
          line: `route del ${route} dev ${name}`,
          undo: `route add ${route} dev ${name}`,
          owner,
        })),
      ...late.map((prefix) => swap(prefix, false)),
      ...(gone.length === 0 ? [] : restoring(after)),
      ...(isLarger ? [] : mtu),
    ],
  };
}

/** Where the kernel could not be told to promote addresses, others went with one, and routes with the last. */
function restoring({ config }: Member): NetworkLine[] {
  const { name } = config;
  return [
    ...config.address.map((prefix) => `address replace ${formatPrefix(prefix)} dev ${name}`),
    ...[...routesOf(config)].map((route) => `route replace ${route} dev ${name}`),
  ].map((line) => ({ line, owner: `tunnel ${name}` }));
}

function mtuLine(before: Member, after: Member): NetworkLine[] {
  const { name } = after.config;
  const [was, is] = [mtuOf(before), mtuOf(after)];
  const line = (mtu: number): string => `link set dev ${name} mtu ${mtu}`;
  return was === is ? [] : [{ line: line(is), undo: line(was), owner: `tunnel ${name}` }];
}

function mtuOf({ config, tunnel }: Member): number {
  return deviceMtu(config, tunnel);
}

/** Those of `all` that are not in `others`. */
function missing(all: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return all.filter((one) => !known.has(one));
}

/** Which device has which route. */
export function routeOwners(members: readonly Pick<Member, 'config'>[]): Map<string, string> {
  return new Map(
    members.flatMap(({ config }) =>
      [...routesOf(config)].map((route) => [route, config.name] as const),
    ),
  );
}

/** What a device gets: its addresses, and the networks that are routed to it. */
export function prefixWords(config: TunnelConfig): {
  readonly addresses: string[];
  readonly routes: string[];
} {
  return { addresses: config.address.map(formatPrefix), routes: [...routesOf(config)] };
}

export function addressWord(prefix: string): string {
  return `address ${prefix}`;
}

export function routeWord(prefix: string): string {
  return `route ${prefix}`;
}

/** Networks that are routed to the device: a peer may well have the subnet of `address`, or a part of `routes` again. */
function routesOf({ address, routes, peers }: TunnelConfig): Set<string> {
  const subnets = new Set(address.map((one) => formatPrefix(network(one) ?? one)));
  const behind = peers.flatMap((peer) => peer.routes).map(formatPrefix);
  return new Set([...routes.map(formatPrefix), ...behind.filter((route) => !subnets.has(route))]);
}

/** Where kernel settings are read-only, or there is no IPv6, the default stays. */
function writeSetting(
  family: 'ipv4' | 'ipv6',
  device: string,
  setting: string,
  value: string,
): void {
  try {
    writeFileSync(`/proc/sys/net/${family}/conf/${device}/${setting}`, value);
  } catch {
    // What follows is said where each is written.
  }
}
