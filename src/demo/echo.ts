// A small ping: one echo request at a time, the next one as soon as its answer is there. It exists so that
// the demo needs no other program; the answers are the kernel's own.
import { performance } from 'node:perf_hooks';
import { addressBytes, parseAddress } from '../packet/address.js';
import { checksum } from '../packet/checksum.js';
import { EXIT, Failure } from '../sys/failure.js';
import { close, errno, errnoName, NativeBlock, poll, read, sendto } from '../sys/libc.js';
import { AF_INET, AF_INET6, openSocket, SOCK_RAW } from '../sys/socket.js';
import { type EchoResult, summarize } from './result.js';

const POLLIN = 1;
const SOCKADDR_SIZE = 28; // the larger one, sockaddr_in6
const SOCKADDR_IN_SIZE = 16;
const SOCKADDR_IN_ADDRESS = 4;
const SOCKADDR_IN6_ADDRESS = 8;

// RFC 792 and RFC 4443, 4: type, code, checksum, identifier, sequence number, data
const ICMP_HEADER = 8;
const PACKET_SIZE = 65535;

/** What differs between ICMP over IPv4 (RFC 792) and over IPv6 (RFC 4443). */
interface Family {
  readonly family: number;
  readonly protocol: number;
  readonly request: number;
  readonly reply: number;
}
const ICMP: Family = { family: AF_INET, protocol: 1, request: 8, reply: 0 };
const ICMPV6: Family = { family: AF_INET6, protocol: 58, request: 128, reply: 129 };

/**
 * Sends `count` echo requests with `size` data bytes to `address` and waits up to `timeoutMs` for each
 * answer. Blocks; meant for a process of its own. Needs CAP_NET_RAW.
 */
export function echo(address: string, count: number, size: number, timeoutMs: number): EchoResult {
  const client = new EchoClient(address, size);
  const roundTrips: number[] = [];
  try {
    for (let sequence = 1; sequence <= count; sequence++) {
      const ms = client.roundTrip(sequence & 0xffff, timeoutMs);
      if (ms !== undefined) roundTrips.push(ms);
    }
  } finally {
    client.close();
  }
  return summarize(count, roundTrips);
}

class EchoClient {
  readonly #family: Family;
  readonly #fd: number;
  readonly #to = new NativeBlock(SOCKADDR_SIZE);
  readonly #request: NativeBlock;
  readonly #answer = new NativeBlock(PACKET_SIZE);
  readonly #poll = new NativeBlock(8);

  constructor(address: string, size: number) {
    const to = parseAddress(address);
    if (to === null) throw new Failure(EXIT.usage, `${address} is no IP address`);
    this.#family = to.version === 4 ? ICMP : ICMPV6;
    const { family, protocol } = this.#family;
    this.#to.view.setUint16(0, family, true);
    this.#to.bytes.set(
      addressBytes(to),
      to.version === 4 ? SOCKADDR_IN_ADDRESS : SOCKADDR_IN6_ADDRESS,
    );
    this.#request = new NativeBlock(ICMP_HEADER + size);
    for (let n = 0; n < size; n++) this.#request.bytes[ICMP_HEADER + n] = n;
    this.#fd = openSocket(family, SOCK_RAW, protocol, 'raw socket for ICMP');
    this.#poll.view.setInt32(0, this.#fd, true);
    this.#poll.view.setInt16(4, POLLIN, true);
  }

  /** Sends one request and waits for its answer: the round trip in ms, or undefined when there was none. */
  roundTrip(sequence: number, timeoutMs: number): number | undefined {
    this.#prepare(sequence);
    const { address, bytes } = this.#request;
    const start = performance.now();
    const length = this.#family === ICMP ? SOCKADDR_IN_SIZE : SOCKADDR_SIZE;
    if (sendto(this.#fd, address, bytes.length, 0, this.#to.address, length) < 0) {
      const name = errnoName(errno());
      // No route yet or any more: the same to the user as no answer, but the socket works.
      if (name === 'ENETUNREACH' || name === 'EHOSTUNREACH') return undefined;
      throw new Failure(EXIT.kernelRefused, `cannot send an echo request: ${name}`);
    }
    for (;;) {
      const left = Math.ceil(start + timeoutMs - performance.now());
      if (left <= 0 || poll(this.#poll.address, 1, left) <= 0) return undefined;
      const received = read(this.#fd, this.#answer.address, PACKET_SIZE);
      if (received > 0 && this.#isAnswer(received)) return performance.now() - start;
    }
  }

  close(): void {
    close(this.#fd);
  }

  #prepare(sequence: number): void {
    const { view, bytes } = this.#request;
    view.setUint8(0, this.#family.request);
    view.setUint16(2, 0);
    view.setUint16(4, process.pid & 0xffff);
    view.setUint16(6, sequence);
    // The kernel sums ICMPv6 itself, because its sum covers the IPv6 addresses too.
    if (this.#family === ICMP) view.setUint16(2, checksum(bytes));
  }

  /** Whether the received packet is the answer to the last request, with all its data. */
  #isAnswer(received: number): boolean {
    const { bytes } = this.#answer;
    // A raw socket shows the IPv4 header, but not the IPv6 header.
    const start = this.#family === ICMP ? ((bytes[0] ?? 0) & 15) * 4 : 0;
    if (received - start !== this.#request.bytes.length) return false;
    const answer = bytes.subarray(start, received);
    if (answer[0] !== this.#family.reply) return false;
    // All but type and checksum comes back as it was sent.
    return this.#request.bytes.subarray(4).every((byte, n) => byte === answer[4 + n]);
  }
}
