import type { Ring } from '../ring/ring.js';
import { addressOf } from '../sys/libc.js';
import { LinuxTun } from '../tun/linux.js';
import { DeviceVectors } from '../tun/vectors.js';
import type { LaneDevice } from './message.js';

/** What `openLane` takes as devices where they are the kernel's. */
export function kernelDevices(
  memory: WebAssembly.Memory,
  devices: readonly LaneDevice[],
): (encap: Ring) => [number, LinuxTun][] {
  return (encap) => {
    const vectors = new DeviceVectors(addressOf(new Uint8Array(memory.buffer)), encap);
    return devices.map(({ record, name, fd }) => [record, new LinuxTun(name, fd, vectors)]);
  };
}
