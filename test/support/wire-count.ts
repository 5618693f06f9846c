// Which way packets took: counted where one way passes and the other does not.
import type { Namespaces } from '../../src/demo/namespaces.js';
import { PacketSocket } from '../../src/demo/packet-socket.js';
import { close, errno, errnoName, NativeBlock, recvfrom } from '../../src/sys/libc.js';
import { AF_INET, AF_INET6, openSocket, SOCK_RAW, setBuffers } from '../../src/sys/socket.js';
import { enterNamespace, namespacePath } from './enter-namespace.js';

const MSG_DONTWAIT = 0x40;
const BUFFER_SIZE = 8 << 20;

/** Frames that an XDP program in the driver has redirected, over all queues: a veth device counts them. */
export function redirected(namespaces: Namespaces, namespace: string, device: string): number {
  return byQueue(namespaces, namespace, device).reduce((sum, count) => sum + count, 0);
}

/** `redirected` by queue. */
export function byQueue(namespaces: Namespaces, namespace: string, device: string): number[] {
  const text = namespaces.run(namespace, 'ethtool', ['-S', device]);
  return [...text.matchAll(/rx_queue_\d+_xdp_redirect: (\d+)/g)].map(([, count]) => Number(count));
}

/** A raw socket of the test beside the router's: gets a copy of each packet that the kernel's IP stack sees. */
export class RawWitness {
  readonly #fd: number;
  readonly #block = new NativeBlock(65536);
  #count = 0;

  constructor(namespace: string, protocol = 47, version: 4 | 6 = 4) {
    this.#fd = enterNamespace(namespacePath(namespace), () => {
      const family = version === 4 ? AF_INET : AF_INET6;
      const fd = openSocket(family, SOCK_RAW, protocol, 'raw socket of the test');
      setBuffers(fd, BUFFER_SIZE);
      return fd;
    });
  }

  /** How many it has seen since it was opened. */
  count(): number {
    const { address, bytes } = this.#block;
    while (recvfrom(this.#fd, address, bytes.length, MSG_DONTWAIT, 0, 0) >= 0) this.#count++;
    if (errnoName(errno()) !== 'EAGAIN') throw new Error(`raw socket: ${errnoName(errno())}`);
    return this.#count;
  }

  close(): void {
    close(this.#fd);
  }
}

const ETHERNET_LENGTH = 14;
const SNAP_LENGTH = 64;

/**
 * A packet socket of the test on a router's device: sees what the kernel's stack sends and takes, and what packet
 * sockets send; not what AF_XDP sends, nor what an XDP program in the driver has taken.
 */
export class FrameWitness {
  readonly #socket: PacketSocket;
  #count = 0;

  constructor(
    namespace: string,
    device: string,
    readonly protocol = 47,
    readonly version: 4 | 6 = 4,
  ) {
    this.#socket = enterNamespace(
      namespacePath(namespace),
      () => new PacketSocket(device, SNAP_LENGTH),
    );
  }

  /** How many packets of the protocol it has seen since it was opened; a superpacket is one. */
  count(): number {
    for (let frame = this.#socket.next(0); frame !== undefined; frame = this.#socket.next(0)) {
      const { bytes } = frame;
      const type = ((bytes[12] ?? 0) << 8) | (bytes[13] ?? 0);
      if (type !== (this.version === 4 ? 0x0800 : 0x86dd)) continue;
      if (bytes[ETHERNET_LENGTH + (this.version === 4 ? 9 : 6)] === this.protocol) this.#count++;
    }
    return this.#count;
  }

  close(): void {
    this.#socket.close();
  }
}
