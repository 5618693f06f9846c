// A host of level B: just enough of an IP stack to be pinged and to check numbered packets.

import { addressBytes, parseAddress } from '../packet/address.js';
import { setU8, setU16, setU32, u8, u16, u32 } from '../packet/bytes.js';
import { checksum, finish, sum, sumPseudoHeader } from '../packet/checksum.js';
import { IPV4_HEADER } from '../packet/ipv4.js';
import { IPV6_HEADER } from '../packet/ipv6.js';

const TTL = 64;
const ICMP_HEADER = 8;
const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;
/** For the numbered packets: "use for experimentation and testing" (RFC 3692, 2.1). */
const PROTOCOL_NUMBERED = 253;

/** What differs between the two versions of IP. */
interface Version {
  readonly header: number;
  readonly icmp: number;
  readonly request: number;
  readonly reply: number;
}
const V4: Version = { header: IPV4_HEADER, icmp: PROTOCOL_ICMP, request: 8, reply: 0 };
const V6: Version = { header: IPV6_HEADER, icmp: PROTOCOL_ICMPV6, request: 128, reply: 129 };

/** A network interface of a host: what it sends goes into a tunnel, what it takes came out of it. */
export interface HostInterface {
  send(packet: Uint8Array): boolean;
  take(): Uint8Array | undefined;
}

/** One host with one address, which talks to one other. */
export class MemoryHost {
  /** Sequence number of the last echo reply that came back whole. */
  lastReply = 0;
  /** Numbered packets that arrived in order and unharmed, and their bytes. */
  numbered = { packets: 0, bytes: 0, intact: true };
  readonly #interface: HostInterface;
  readonly #source: Uint8Array;
  readonly #destination: Uint8Array;
  readonly #version: Version;

  constructor(hostInterface: HostInterface, address: string, peer: string) {
    this.#interface = hostInterface;
    this.#source = toBytes(address);
    this.#destination = toBytes(peer);
    this.#version = this.#source.length === 4 ? V4 : V6;
  }

  /** Sends an echo request with `size` data bytes. */
  ping(sequence: number, size: number): void {
    const message = new Uint8Array(ICMP_HEADER + size);
    setU8(message, 0, this.#version.request);
    setU16(message, 6, sequence);
    for (let n = 0; n < size; n++) setU8(message, ICMP_HEADER + n, n);
    this.#sendIcmp(message);
  }

  /** Sends packet `number` of a series, `length` bytes of IP in all. Returns false when there is no room. */
  sendNumbered(number: number, length: number): boolean {
    const payload = new Uint8Array(length - this.#version.header);
    setU32(payload, 0, number);
    payload.fill(number & 0xff, 4);
    return this.#send(PROTOCOL_NUMBERED, payload);
  }

  /** Handles everything that has arrived. */
  work(): void {
    const { header, icmp } = this.#version;
    for (let packet = this.#interface.take(); packet; packet = this.#interface.take()) {
      const payload = packet.subarray(header);
      const protocol = u8(packet, header === IPV4_HEADER ? 9 : 6);
      if (protocol === PROTOCOL_NUMBERED) this.#checkNumbered(payload, packet.length);
      else if (protocol === icmp) this.#answer(payload);
    }
  }

  #checkNumbered(payload: Uint8Array, length: number): void {
    const number = u32(payload, 0);
    const expected = Buffer.alloc(payload.length - 4, number & 0xff);
    const isWhole = Buffer.compare(payload.subarray(4), expected) === 0;
    if (number !== this.numbered.packets || !isWhole) this.numbered.intact = false;
    this.numbered.packets++;
    this.numbered.bytes += length;
  }

  #answer(message: Uint8Array): void {
    const type = u8(message, 0);
    if (!this.#isSumRight(message)) return;
    if (type === this.#version.reply) {
      this.lastReply = u16(message, 6);
    } else if (type === this.#version.request) {
      const reply = message.slice();
      setU8(reply, 0, this.#version.reply);
      this.#sendIcmp(reply);
    }
  }

  #sendIcmp(message: Uint8Array): void {
    setU16(message, 2, 0);
    setU16(message, 2, finish(sum(message, this.#sumAddresses(message.length))));
    this.#send(this.#version.icmp, message);
  }

  #isSumRight(message: Uint8Array): boolean {
    // Their checksum field included, the words add up to all ones, whose complement is 0.
    return finish(sum(message, this.#sumAddresses(message.length))) === 0;
  }

  /** ICMPv6 sums the addresses too (RFC 4443, 2.3). */
  #sumAddresses(length: number): number {
    if (this.#version === V4) return 0;
    return sumPseudoHeader(this.#source, this.#destination, PROTOCOL_ICMPV6, length);
  }

  #send(protocol: number, payload: Uint8Array): boolean {
    const { header } = this.#version;
    const packet = new Uint8Array(header + payload.length);
    packet.set(payload, header);
    if (header === IPV4_HEADER) this.#writeIpv4(packet, protocol);
    else this.#writeIpv6(packet, protocol, payload.length);
    return this.#interface.send(packet);
  }

  /** RFC 791, 3.1 */
  #writeIpv4(packet: Uint8Array, protocol: number): void {
    setU8(packet, 0, 0x45);
    setU16(packet, 2, packet.length);
    setU8(packet, 8, TTL);
    setU8(packet, 9, protocol);
    packet.set(this.#source, 12);
    packet.set(this.#destination, 16);
    setU16(packet, 10, checksum(packet.subarray(0, IPV4_HEADER)));
  }

  /** RFC 8200, 3 */
  #writeIpv6(packet: Uint8Array, protocol: number, payloadLength: number): void {
    setU8(packet, 0, 0x60);
    setU16(packet, 4, payloadLength);
    setU8(packet, 6, protocol);
    setU8(packet, 7, TTL);
    packet.set(this.#source, 8);
    packet.set(this.#destination, 24);
  }
}

function toBytes(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === null) throw new RangeError(`${text} is no IP address`);
  return addressBytes(address);
}
