import type { Ring } from '../ring/ring.js';
import type { KernelDrops, Underlay } from './contract.js';
import { addKernelDrops } from './kernel-drops.js';

/**
 * Two underlays beside each other: tunnels over UDP send by sockets of the kernel's, all others by the `plain` one;
 * both are heard.
 * Its name is that of the plain one.
 */
export class CombinedUnderlay implements Underlay {
  readonly name: Underlay['name'];
  readonly fds: readonly number[];
  readonly #plain: Underlay;
  readonly #udp: Underlay;
  readonly #isUdp: (record: number) => boolean;
  #isUdpsTurn = false;

  /** `isUdp`: whether the tunnel of a record sends by UDP sockets. Both are closed with this one. */
  constructor(plain: Underlay, udp: Underlay, isUdp: (record: number) => boolean) {
    this.name = plain.name;
    this.fds = [...plain.fds, ...udp.fds];
    this.#plain = plain;
    this.#udp = udp;
    this.#isUdp = isUdp;
  }

  /** In turn, so that a flood of one leaves room for the other. */
  receive(ring: Ring, max: number): number {
    this.#isUdpsTurn = !this.#isUdpsTurn;
    const [first, second] = this.#isUdpsTurn ? [this.#udp, this.#plain] : [this.#plain, this.#udp];
    const count = first.receive(ring, max);
    return count < max ? count + second.receive(ring, max - count) : count;
  }

  release(ring: Ring, from: number, to: number): void {
    this.#plain.release?.(ring, from, to);
  }

  keeps(record: number): number {
    return this.#isUdp(record) ? 0 : (this.#plain.keeps?.(record) ?? 0);
  }

  send(ring: Ring, from: number, to: number): void {
    let start = from;
    while (start !== to) {
      const isUdp = this.#isUdp(ring.tunnel(start));
      let end = (start + 1) >>> 0;
      while (end !== to && this.#isUdp(ring.tunnel(end)) === isUdp) end = (end + 1) >>> 0;
      (isUdp ? this.#udp : this.#plain).send(ring, start, end);
      start = end;
    }
  }

  kernelDrops(): KernelDrops {
    const both = [this.#plain, this.#udp];
    return addKernelDrops(both.map((underlay) => underlay.kernelDrops?.() ?? {}));
  }

  close(): void {
    this.#plain.close();
    this.#udp.close();
  }
}
