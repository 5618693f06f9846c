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
    const open = deviceOpener(memory, encap);
    return devices.map((device) => [device.record, open(device)]);
  };
}

/** Opens devices of the kernel's that read into `encap`. */
export function deviceOpener(
  memory: WebAssembly.Memory,
  encap: Ring,
): (device: LaneDevice) => LinuxTun {
  const vectors = new DeviceVectors(addressOf(new Uint8Array(memory.buffer)), encap);
  return ({ name, fd }) => new LinuxTun(name, fd, vectors);
}
