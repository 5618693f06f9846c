// What UDP sockets tell of a message besides its bytes -> the outer headers that they took off.
import { swap16 } from '../../packet/bytes.js';
import type { MessageBatch } from '../batch.js';
import {
  ControlCursor,
  IP_PKTINFO,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_FLOWINFO,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  SOL_UDP,
  UDP_GRO,
} from '../control-messages.js';
import { UDP_LENGTH, type UdpOuter } from './outer.js';

const PROTOCOL_UDP = 17;
/** struct in_pktinfo: device, our address, destination. struct in6_pktinfo: destination, device. */
const PKTINFO_SIZE = 12;
const PKTINFO_DESTINATION = 8;
const PKTINFO6_SIZE = 20;
const PKTINFO6_INTERFACE = 16;

/** What the kernel says of a message of a UDP socket besides its bytes: enough to write the outer headers anew. */
export class UdpArrival {
  /** Index of the device that it came in by, 0 = not known. */
  link = 0;
  /** Bytes of each datagram but the last, where the message is several; 0 = it is one. */
  segmentSize = 0;
  readonly #outer: UdpOuter;
  /** Address bytes as they lie in a packet, as little-endian words; IPv4 has one. */
  readonly #source = new Uint32Array(4);
  readonly #destination = new Uint32Array(4);
  #sourcePort = 0;
  #tos = 0;
  #ttl = 0;
  /** Traffic class and flow label as the first word of an IPv6 header has them. */
  #flowInfo = 0;
  readonly #cursor = new ControlCursor();

  constructor(outer: UdpOuter) {
    this.#outer = outer;
  }

  /** Takes what `batch` says of its message 0. */
  take(batch: MessageBatch): void {
    const { names, controls } = batch;
    this.#sourcePort = names.getUint16(2);
    load(this.#source, names, this.#outer.nameAddress, this.#outer.addressSize);
    this.#destination.fill(0);
    this.#tos = 0;
    this.#ttl = 0;
    this.#flowInfo = 0;
    this.link = 0;
    this.segmentSize = 0;
    const cursor = this.#cursor;
    cursor.begin(controls, 0, batch.controlLength(0));
    while (cursor.next()) {
      const { level, type, data, size } = cursor;
      if (level === IPPROTO_IP) this.#takeIpv4(controls, type, data, size);
      else if (level === IPPROTO_IPV6) this.#takeIpv6(controls, type, data, size);
      else if (level === SOL_UDP && type === UDP_GRO && size >= 2) {
        this.segmentSize = controls.getUint16(data, true);
      }
    }
  }

  #takeIpv4(controls: DataView, type: number, data: number, size: number): void {
    if (type === IP_TOS && size >= 1) this.#tos = controls.getUint8(data);
    else if (type === IP_TTL && size >= 4) this.#ttl = controls.getUint8(data);
    else if (type === IP_PKTINFO && size >= PKTINFO_SIZE) {
      this.link = controls.getUint32(data, true);
      load(this.#destination, controls, data + PKTINFO_DESTINATION, 4);
    }
  }

  #takeIpv6(controls: DataView, type: number, data: number, size: number): void {
    if (type === IPV6_FLOWINFO && size >= 4) this.#flowInfo = controls.getUint32(data, true);
    else if (type === IPV6_HOPLIMIT && size >= 4) this.#ttl = controls.getUint8(data);
    else if (type === IPV6_PKTINFO && size >= PKTINFO6_SIZE) {
      this.link = controls.getUint32(data + PKTINFO6_INTERFACE, true);
      load(this.#destination, controls, data, 16);
    }
  }

  /**
   * Writes IP and UDP header of a datagram to `port` with `length` bytes of payload, whose checksum the kernel has
   * verified: it is left 0. `words`: the dataplane's memory.
   */
  writeHead(words: Uint32Array, address: number, length: number, port: number): void {
    const word = address >>> 2;
    const udp = word + (this.#outer.headLength - UDP_LENGTH) / 4;
    if (this.#outer.version === 4) this.#writeIpv4(words, word, length);
    else this.#writeIpv6(words, word, length);
    words[udp] = swap16(this.#sourcePort) | (swap16(port) << 16);
    words[udp + 1] = swap16(UDP_LENGTH + length);
  }

  #writeIpv4(words: Uint32Array, word: number, length: number): void {
    const source = this.#source[0] as number;
    const destination = this.#destination[0] as number;
    const first = 0x45 | (this.#tos << 8) | (swap16(this.#outer.headLength + length) << 16);
    const third = this.#ttl | (PROTOCOL_UDP << 8);
    const sum = halves(first) + halves(third) + halves(source) + halves(destination);
    words[word] = first;
    words[word + 1] = 0;
    words[word + 2] = third | ((~fold(sum) & 0xffff) << 16);
    words[word + 3] = source;
    words[word + 4] = destination;
  }

  #writeIpv6(words: Uint32Array, word: number, length: number): void {
    words[word] = this.#flowInfo | 0x60;
    words[word + 1] = swap16(UDP_LENGTH + length) | (PROTOCOL_UDP << 16) | (this.#ttl << 24);
    for (let n = 0; n < 4; n++) {
      words[word + 2 + n] = this.#source[n] as number;
      words[word + 6 + n] = this.#destination[n] as number;
    }
  }
}

function load(words: Uint32Array, view: DataView, offset: number, size: number): void {
  for (let at = 0; at < size; at += 4) words[at >>> 2] = view.getUint32(offset + at, true);
}

/** Sum of the two 16-bit halves of a word. */
function halves(word: number): number {
  return (word & 0xffff) + (word >>> 16);
}

function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
