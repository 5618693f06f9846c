// What the kernel dropped before the router had it: asked of the sockets when somebody wants to know.
import { receiveDrops } from '../sys/socket.js';
import type { KernelDrops } from './contract.js';
import { readStatistics } from './xdp/xsk-statistics.js';

const NAMES = [
  'rawSocket',
  'udpSocket',
  'xdpRingFull',
  'xdpNoFrame',
  'xdpInvalid',
] as const satisfies readonly (keyof KernelDrops)[];

/** Drops of all of these sockets, or undefined where there are none or the kernel does not say of each. */
export function sumReceiveDrops(fds: readonly number[]): number | undefined {
  let sum = 0;
  for (const fd of fds) {
    const drops = receiveDrops(fd);
    if (drops === undefined) return undefined;
    sum += drops;
  }
  return fds.length === 0 ? undefined : sum;
}

/** What these AF_XDP sockets tell; nothing where there are none or the kernel does not say of each. */
export function xdpDrops(fds: readonly number[]): KernelDrops {
  const drops = fds.map((fd): KernelDrops | undefined => {
    const found = readStatistics(fd);
    return (
      found && {
        xdpRingFull: found.receiveRingFull,
        xdpNoFrame: found.receiveDropped,
        xdpInvalid: found.fillInvalid + found.transmitInvalid,
      }
    );
  });
  const known = drops.filter((one) => one !== undefined);
  return known.length < drops.length ? {} : addKernelDrops(known);
}

/** Adds up what several sockets, underlays or lanes tell; a field that none of them has stays absent. */
export function addKernelDrops(parts: readonly KernelDrops[]): KernelDrops {
  const sum: { -readonly [name in keyof KernelDrops]: KernelDrops[name] } = {};
  for (const name of NAMES) {
    for (const { [name]: count } of parts) {
      if (count !== undefined) sum[name] = (sum[name] ?? 0) + count;
    }
  }
  return sum;
}
