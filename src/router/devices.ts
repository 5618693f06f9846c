// TUN and TAP devices of the kernel: made, and removed.
import { setTimeout as sleep } from 'node:timers/promises';
import type { OffloadConfig, TunnelConfig } from '../config/config.js';
import { carries } from '../packet/tunnel.js';
import { forceBatch, tunNames } from '../sys/ip.js';
import { close, interfaceIndex } from '../sys/libc.js';
import { addQueue, createTun } from '../tun/linux.js';

/** Devices that are closed one by one when the router stops: together well within its second. */
const CLOSE_LIMIT = 8;
/** Device group of more, for their removal: of this process alone. */
const GROUP = 0x67000000 + process.pid;

/** A tunnel's device as the kernel made it; it exists as long as one of its descriptors is open. */
export interface Device {
  readonly name: string;
  /** By lane: its queue. Where there is one queue, all have the same. */
  readonly fds: readonly number[];
  /** The lane that alone reads the device; undefined: each reads its queue. */
  readonly reader: number | undefined;
}

/** Devices of a killed router are waited for as long as one of them vanished this recently. */
const LEFTOVER_PATIENCE_MS = 1000;
const LEFTOVER_POLL_MS = 20;

/**
 * Makes the TUN or TAP device of every tunnel, with a queue for each lane, by record; on a failure none of them stays.
 */
export async function createDevices(
  tunnels: readonly Placed[],
  laneCount: number,
  offload: OffloadConfig,
): Promise<Map<number, Device>> {
  const devices = new Map<number, Device>();
  await waitForLeftovers(tunnels.map(({ config }) => config));
  try {
    for (const { config, record } of tunnels) {
      // Numbered packets must leave in the order of their numbers: one lane sends them.
      const reader = config.sequenceOut ? (record - 1) % laneCount : undefined;
      const isTap = carries(config.mode) === 'ethernet';
      const isShared = reader !== undefined;
      const { name } = config;
      const fds = createQueues(name, { laneCount, offload, isShared, isTap });
      devices.set(record, { name, fds, reader });
    }
    return devices;
  } catch (error) {
    closeDevices([...devices.values()]);
    throw error;
  }
}

interface Placed {
  readonly config: TunnelConfig;
  readonly record: number;
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
  if (devices.length > CLOSE_LIMIT) {
    const names = devices.map(({ name }) => ({
      line: `link set dev ${name} group ${GROUP}`,
      owner: 'stop',
    }));
    await forceBatch([...names, { line: `link del group ${GROUP}`, owner: 'stop' }]);
  }
  closeDevices(devices);
}
