// Outer packets that are longer than their way takes, and may be fragmented: by raw sockets, in fragments of our own. The
// kernel fragments nothing that brings its IP header along.
//
//   IPv4   whatever has no DF: tunnels with pmtudisc = false, and IPv6 that must pass (RFC 4213, 3.2.2)
//   IPv6   what carries IPv6 of up to 1280 bytes, which every link must take (RFC 2473, 7.1; RFC 7676, 3.3)
//
// A cold path: packet by packet, with copies.
import { randomInt } from 'node:crypto';
import { RING_STATES, SLOT_PACKET } from '../../../asm/layout.js';
import { REASON_NONE, REASON_TOO_BIG } from '../../../asm/reason.js';
import { setU16, u8, u16 } from '../../packet/bytes.js';
import { fragmentIpv4, fragmentIpv6 } from '../../packet/fragment.js';
import { PathMtus } from '../../ring/path-mtus.js';
import type { Ring } from '../../ring/ring.js';
import { errno, NativeBlock, sendto } from '../../sys/libc.js';
import { routeMtu } from '../../sys/route-mtu.js';
import { socketAddress } from '../../sys/socket.js';
import { sendReason } from '../send.js';
import { gather } from '../slot-copy.js';

const MSG_DONTWAIT = 0x40;
const IPV6_MTU_MIN = 1280;
/** Outer headers at most: IPv6, options, UDP and GRE, and an Ethernet header inside. */
const OVERHEAD_MAX = 94;
const DONT_FRAGMENT = 0x4000;

export class FragmentSender {
  readonly #memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  #block: NativeBlock | undefined;
  #pathMtus: PathMtus | undefined;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
  }

  /**
   * Whether an IPv6 packet of `length` bytes at `position` is to go in fragments because its path, though not the device
   * that it leaves by, takes less. Routers fragment no IPv6.
   */
  isDue(ring: Ring, position: number, length: number): boolean {
    if (length <= IPV6_MTU_MIN || length > IPV6_MTU_MIN + OVERHEAD_MAX) return false;
    const inner = ring.innerLength(position);
    const known = this.#known(ring, position);
    return known !== 0 && inner > known && this.#mayFragment(ring, position);
  }

  /**
   * Sends the packet at `position`, which the kernel would not send as it is, by `fd`, bound to `device` if any. Returns
   * 0 or the reason why it did not go.
   */
  send(fd: number, device: string | undefined, ring: Ring, position: number): number {
    if (ring.packets(position) !== 1 || !this.#mayFragment(ring, position)) return REASON_TOO_BIG;
    const packet = gather(this.#bytes, ring, position);
    const isIpv4 = u8(packet, 0) >>> 4 === 4;
    const destination = packet.slice(isIpv4 ? 16 : 24, isIpv4 ? 20 : 40);
    const own = routeMtu(destination, device) ?? packet.length;
    const known = this.#known(ring, position);
    const path = known === 0 ? own : known + packet.length - ring.innerLength(position);
    const fragments = fragmentsOf(packet, Math.max(Math.min(own, path), isIpv4 ? 0 : IPV6_MTU_MIN));
    if (fragments === null) return REASON_TOO_BIG;
    const name = socketAddress(destination, 0);
    this.#block ??= new NativeBlock(SLOT_PACKET);
    for (const fragment of fragments) {
      this.#block.bytes.set(fragment);
      const { address } = this.#block;
      const size = name.bytes.length;
      const sent = sendto(fd, address, fragment.length, MSG_DONTWAIT, name.address, size);
      if (sent < 0) return sendReason(errno());
    }
    return REASON_NONE;
  }

  /** What the path is known to take of inner packets, 0 = not known. */
  #known(ring: Ring, position: number): number {
    const states = this.#words[(ring.address + RING_STATES) >>> 2] as number;
    this.#pathMtus ??= new PathMtus(this.#memory, states);
    return this.#pathMtus.get(ring.tunnel(position));
  }

  #mayFragment(ring: Ring, position: number): boolean {
    const address = ring.processedAddress(position);
    const header = this.#bytes.subarray(address, address + ring.length(position));
    if (u8(header, 0) >>> 4 === 4) return (u16(header, 6) & DONT_FRAGMENT) === 0;
    const length = header.length + ring.payloadLength(position);
    const inner = ring.innerLength(position);
    return inner <= IPV6_MTU_MIN && u8(header, length - inner) >>> 4 === 6;
  }
}

function fragmentsOf(packet: Uint8Array, mtu: number): Uint8Array[] | null {
  if (u8(packet, 0) >>> 4 === 6) return fragmentIpv6(packet, mtu, randomInt(0x1_0000_0000));
  // The kernel would fill in an identification of 0, another for each fragment.
  if (u16(packet, 4) === 0) setU16(packet, 4, randomInt(1, 0x10000));
  return fragmentIpv4(packet, mtu);
}
