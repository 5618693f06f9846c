import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SEGMENT_LIMIT } from '../../asm/layout.js';
import type { OffloadConfig, TunnelConfig } from '../config/config.js';
import { isName } from '../config/host-name.js';
import { tunnelOf } from '../config/tunnel.js';
import { network } from '../packet/address.js';
import { carries, type Prefix, type Tunnel } from '../packet/tunnel.js';
import { SOURCE_PORTS } from '../packet/udp.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type IpLine, ipBatch, type Path, pathMtus, tunNames } from '../sys/ip.js';
import { close, interfaceIndex } from '../sys/libc.js';
import { addQueue, createTun } from '../tun/linux.js';
import { deviceMtu, requireRoom } from './device-mtu.js';
import { hardwareAddress, readMachineId } from './hardware-address.js';

/** Packets that wait for the lane while it is busy: the driver's default of 500 drops under load. */
const QUEUE_LENGTH = 1000;

/** Devices that are closed one by one when the router stops: together well within its second. */
const CLOSE_LIMIT = 8;
/** Device group of more, for their removal: of this process alone. */
const GROUP = 0x67000000 + process.pid;

/** A tunnel's device as the kernel made it; it exists as long as one of its descriptors is open. */
export interface Device {
  readonly config: TunnelConfig;
  /** By lane: its queue. Where there is one queue, all have the same. */
  readonly fds: readonly number[];
  /** The lane that alone reads the device; undefined: each reads its queue. */
  readonly reader: number | undefined;
}

/** Devices of a killed router are waited for as long as one of them vanished this recently. */
const LEFTOVER_PATIENCE_MS = 1000;
const LEFTOVER_POLL_MS = 20;

/** Makes the TUN or TAP device of every tunnel, with a queue for each lane; on a failure none of them stays. */
export async function createDevices(
  configs: readonly TunnelConfig[],
  laneCount: number,
  offload: OffloadConfig,
): Promise<Device[]> {
  const devices: Device[] = [];
  await waitForLeftovers(configs);
  try {
    for (const [index, config] of configs.entries()) {
      // Numbered packets must leave in the order of their numbers: one lane sends them.
      const reader = config.sequenceOut ? index % laneCount : undefined;
      const isTap = carries(config.mode) === 'ethernet';
      const isShared = reader !== undefined;
      const fds = createQueues(config.name, { laneCount, offload, isShared, isTap });
      devices.push({ config, fds, reader });
    }
    return devices;
  } catch (error) {
    closeDevices(devices);
    throw error;
  }
}

interface QueueOptions {
  readonly laneCount: number;
  readonly offload: OffloadConfig;
  /** One queue for all lanes, which any of them writes to. */
  readonly isShared: boolean;
  readonly isTap: boolean;
}

/** A queue for each lane, or one for all. */
function createQueues(name: string, options: QueueOptions): number[] {
  const { laneCount, offload, isShared, isTap } = options;
  if (laneCount === 1 || isShared) {
    return new Array<number>(laneCount).fill(createTun(name, { offload, isTap }));
  }
  const first = createTun(name, { offload, isTap, isMultiQueue: true });
  const fds = [first];
  try {
    while (fds.length < laneCount) fds.push(addQueue(name, isTap));
    return fds;
  } catch (error) {
    for (const fd of fds) close(fd);
    throw error;
  }
}

/**
 * The kernel removes the devices of a killed router one by one, 20 to 30 ms each: TUN devices that have our
 * names may be on their way out. Whatever is still there at the end is for `createTun` to refuse by name.
 */
async function waitForLeftovers(configs: readonly TunnelConfig[]): Promise<void> {
  const isTaken = ({ name }: TunnelConfig): boolean => interfaceIndex(name) !== 0;
  if (!configs.some(isTaken)) return;
  const tunDevices = await tunNames();
  let leftovers = configs.filter(({ name }) => tunDevices.has(name));
  let lastChange = Date.now();
  while (leftovers.length > 0 && Date.now() - lastChange < LEFTOVER_PATIENCE_MS) {
    await sleep(LEFTOVER_POLL_MS);
    const before = leftovers.length;
    leftovers = leftovers.filter(isTaken);
    if (leftovers.length < before) lastChange = Date.now();
  }
}

/** Closes the devices, and with that removes them, their addresses and their routes. */
function closeDevices(devices: readonly Device[]): void {
  for (const { fds } of devices) for (const fd of new Set(fds)) close(fd);
}

/**
 * Removes the devices, also many of them at once: closing takes the kernel 20 to 30 ms each, a group of a
 * thousand 0.4 s.
 */
export async function removeDevices(devices: readonly Device[]): Promise<void> {
  // What this leaves, closing removes.
  if (isGrouped(devices))
    await ipBatch([{ line: `link del group ${GROUP}`, owner: 'stop' }]).catch(() => {});
  closeDevices(devices);
}

/** Whether there are so many devices that they form a group. */
function isGrouped(devices: readonly unknown[]): boolean {
  return devices.length > CLOSE_LIMIT;
}

/** What a host name stands for in a tunnel, where that is known. */
export type AddressOf = (tunnel: string, name: string) => string | undefined;

/** Paths to the remote of a tunnel, or to all of its peers, as far as they have addresses. */
function pathsOf({ name, remote, peers, dev }: TunnelConfig, addressOf: AddressOf): Path[] {
  const remotes = peers.length === 0 ? [remote] : peers.map((peer) => peer.remote);
  const known = remotes.map((one) => (isName(one) ? addressOf(name, one) : one));
  // Where none is known there is still the device that it is bound to.
  return [...new Set(known)].map((one) => ({ remote: one ?? 'any', dev }));
}

/** Resolves what a config leaves to the system: the MTU of the path and the index of the bound device. */
export async function resolveTunnels(
  configs: readonly TunnelConfig[],
  addressOf: AddressOf = () => undefined,
): Promise<Tunnel[]> {
  const pathMtu = await pathMtus(
    configs.filter(({ mtu }) => mtu === undefined).flatMap((config) => pathsOf(config, addressOf)),
  );
  return configs.map((config) => {
    const link = config.dev === undefined ? 0 : interfaceIndex(config.dev);
    if (config.dev !== undefined && link === 0) {
      throw new Failure(
        EXIT.kernelRefused,
        `tunnel ${config.name}: dev ${config.dev}: no such device: ENODEV`,
        'see which devices there are: ip link',
      );
    }
    const mtus = pathsOf(config, addressOf).flatMap((path) => pathMtu(path) ?? []);
    const tunnel = tunnelOf(config, {
      ...(mtus.length === 0 ? {} : { pathMtu: Math.min(...mtus) }),
      link,
      addressOf: (name) => addressOf(config.name, name),
      probeIdentifier: randomInt(1, 0x10000),
      sourcePort: randomInt(SOURCE_PORTS.first, SOURCE_PORTS.last + 1), // RFC 8086, 2.1.1
    });
    requireRoom(config, tunnel);
    return tunnel;
  });
}

/** Sets hardware address, MTU, addresses, link state and routes of the devices, in this order. */
export function configureDevices(
  configs: readonly TunnelConfig[],
  tunnels: readonly Tunnel[],
): Promise<void> {
  // One that carries only IPv6 has nothing of the kind: the kernel sends IPv4 out of a device when somebody asks.
  for (const { mode, name } of configs) if (carries(mode) === 4) disableIpv6(name);
  for (const { mode, name } of configs) if (carries(mode) !== 'ethernet') acceptOwnSources(name);
  const machine = readMachineId();
  const group = isGrouped(configs) ? ` group ${GROUP}` : '';
  const lines = configs.flatMap((config, index): IpLine[] => {
    const { name, mode } = config;
    const tunnel = tunnels[index];
    const mtu = tunnel && deviceMtu(config, tunnel); // of a TAP device, as of any Ethernet, without the frame's header
    const own = carries(mode) === 'ethernet' ? hardwareAddress(config, machine) : undefined;
    return [
      ...(own === undefined ? [] : [`link set dev ${name} address ${own}`]),
      `link set dev ${name} mtu ${mtu} txqueuelen ${QUEUE_LENGTH} gso_max_segs ${SEGMENT_LIMIT}${group}`,
      ...config.address.map((prefix) => `address add ${formatPrefix(prefix)} dev ${name}`),
      `link set dev ${name} up`,
      ...[...routesOf(config)].map((route) => `route add ${route} dev ${name}`),
    ].map((line) => ({ line, owner: `tunnel ${name}` }));
  });
  return ipBatch(lines);
}

/** Networks that are routed to the device: a peer may well have the subnet of `address`, or a part of `routes` again. */
function routesOf({ address, routes, peers }: TunnelConfig): Set<string> {
  const subnets = new Set(address.map((one) => formatPrefix(network(one) ?? one)));
  const behind = peers.flatMap((peer) => peer.routes).map(formatPrefix);
  return new Set([...routes.map(formatPrefix), ...behind.filter((route) => !subnets.has(route))]);
}

/**
 * Answers to who sends into a tunnel come out of its device with the device's own address for a source, which the
 * kernel takes for forged elsewhere. From the far end no such packet gets in: the codec drops it as inner-src-spoof.
 */
function acceptOwnSources(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv4/conf/${name}/accept_local`, '1');
  } catch {
    // With read-only kernel settings such answers do not arrive.
  }
}

/**
 * A tunnel that carries IPv4 alone: the kernel's multicast reports and router solicitations would only be dropped. Where the setting cannot be written they are, and are counted.
 */
function disableIpv6(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
  } catch {
    // A kernel without IPv6, or a service with read-only kernel settings.
  }
}

function formatPrefix({ address, bits }: Prefix): string {
  return `${address}/${bits}`;
}
