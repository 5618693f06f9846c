// ICMP echo to the remotes of tunnels: whether they are there, how long the way takes, and the largest packet that gets
// through. The only thing that the doctor sends, and only where it was asked to.
import { setTimeout as sleep } from 'node:timers/promises';
import { addressBytes, parseAddress } from '../packet/address.js';
import { setU16, u8, u16 } from '../packet/bytes.js';
import { checksum } from '../packet/checksum.js';
import { close, NativeBlock, recvfrom, sendto } from '../sys/libc.js';
import {
  AF_INET,
  AF_INET6,
  bindSocket,
  openSocket,
  SOCK_NONBLOCK,
  SOCK_RAW,
  setDevice,
  setOption,
  socketAddress,
} from '../sys/socket.js';

/** What came of asking one remote. */
export interface Echo {
  /** Shortest time there and back; undefined: it does not answer. */
  readonly roundTripMs: number | undefined;
  /** Bytes of the largest IP packet that was answered, of `fullSize` at most; 0 where none was. */
  readonly largest: number;
  /** What the way takes as far as the kernel knows. */
  readonly fullSize: number;
}

export interface EchoTarget {
  readonly remote: string;
  readonly local: string | undefined;
  readonly dev: string | undefined;
  /** MTU of the way, as the kernel has it. */
  readonly mtu: number;
}

const PROTOCOL = { 4: 1, 6: 58 } as const;
const REQUEST = { 4: 8, 6: 128 } as const;
const REPLY = { 4: 0, 6: 129 } as const;
const IP_HEADER = { 4: 20, 6: 40 } as const;
const ECHO_HEADER = 8;
/** Smallest packets that every way takes (RFC 791, RFC 8200, 5), from where the search begins. */
const SMALL = { 4: 84, 6: 104 } as const;
const FLOOR = { 4: 576, 6: 1280 } as const;

/** An answer that takes longer counts as none. Where one came, larger packets get several times as long as it took. */
const WAIT_MS = 600;
const WAIT_MIN_MS = 100;
const WAIT_FACTOR = 5;
/** Packets get lost: so many go unanswered before it is believed. */
const TRIES = 3;
const POLL_MS = 2;

const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IPPROTO_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
/** IP_PMTUDISC_PROBE: DF is set, and what the kernel knows of the way is not heeded. */
const PMTUDISC_PROBE = 3;
const MSG_DONTWAIT = 0x40;
const RECEIVE_SIZE = 65536;

/** Asks a remote. Throws a Failure where this process may not send echo requests. */
export async function echo(target: EchoTarget): Promise<Echo> {
  const line = new EchoLine(target);
  try {
    const { version } = line;
    const roundTripMs = await line.ask(SMALL[version]);
    const fullSize = target.mtu;
    if (roundTripMs === undefined) return { roundTripMs, largest: 0, fullSize };
    line.waitMs = Math.min(WAIT_MS, Math.max(WAIT_MIN_MS, roundTripMs * WAIT_FACTOR));
    if ((await line.ask(fullSize)) !== undefined)
      return { roundTripMs, largest: fullSize, fullSize };
    return { roundTripMs, largest: await largestOf(line, fullSize), fullSize };
  } finally {
    line.close();
  }
}

/** Halves the range of sizes until the largest that is answered is known. */
async function largestOf(line: EchoLine, fullSize: number): Promise<number> {
  let answered: number = SMALL[line.version];
  let refused = fullSize;
  let size: number = FLOOR[line.version];
  while (refused - answered > 1) {
    if (size <= answered || size >= refused) size = (answered + refused) >>> 1;
    if ((await line.ask(size)) === undefined) refused = size;
    else answered = size;
  }
  return answered;
}

let lines = 0;

/** A socket for echo requests to one remote, and their answers. */
class EchoLine {
  readonly version: 4 | 6;
  waitMs = WAIT_MS;
  readonly #fd: number;
  readonly #address: NativeBlock;
  readonly #buffer = new NativeBlock(RECEIVE_SIZE);
  /** One of its own: each socket hears the answers to all of them. */
  readonly #identifier = (process.pid + lines++) & 0xffff;
  #sequence = 0;

  constructor({ remote, local, dev }: EchoTarget) {
    const address = parseAddress(remote);
    if (address === null) throw new RangeError(`${remote} is no address`);
    this.version = address.version;
    const family = this.version === 4 ? AF_INET : AF_INET6;
    const what = `ICMP echo to ${remote}`;
    this.#fd = openSocket(family, SOCK_RAW | SOCK_NONBLOCK, PROTOCOL[this.version], what);
    if (this.version === 4) setOption(this.#fd, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
    else {
      setOption(this.#fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
      setOption(this.#fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
    }
    if (dev !== undefined) setDevice(this.#fd, dev);
    const from = local === undefined ? null : parseAddress(local);
    if (from !== null) bindSocket(this.#fd, addressBytes(from), 0);
    this.#address = socketAddress(addressBytes(address), 0);
  }

  /** Sends a packet of `size` bytes, its IP header included; resolves with ms until the answer, undefined: none. */
  async ask(size: number): Promise<number | undefined> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const start = performance.now();
      const sequence = this.#send(size);
      if (sequence === undefined) return undefined;
      while (performance.now() - start < this.waitMs) {
        if (this.#isAnswered(sequence)) return performance.now() - start;
        await sleep(POLL_MS);
      }
    }
    return undefined;
  }

  close(): void {
    close(this.#fd);
  }

  /** Returns the number of the request; undefined where the kernel takes none of this size. */
  #send(size: number): number | undefined {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const block = new NativeBlock(size - IP_HEADER[this.version]);
    const { bytes, address } = block;
    bytes[0] = REQUEST[this.version];
    setU16(bytes, 4, this.#identifier);
    setU16(bytes, 6, this.#sequence);
    // That of ICMPv6 is the kernel's to fill in: it covers the addresses.
    if (this.version === 4) setU16(bytes, 2, checksum(bytes));
    const { address: to, bytes: name } = this.#address;
    const sent = sendto(this.#fd, address, bytes.length, MSG_DONTWAIT, to, name.length);
    return sent === bytes.length ? this.#sequence : undefined;
  }

  #isAnswered(sequence: number): boolean {
    const { address, bytes } = this.#buffer;
    for (;;) {
      const length = recvfrom(this.#fd, address, RECEIVE_SIZE, MSG_DONTWAIT, 0, 0);
      if (length < ECHO_HEADER) return false;
      // An IPv4 raw socket gets the IP header, too.
      const start = this.version === 4 ? (u8(bytes, 0) & 0x0f) * 4 : 0;
      if (length < start + ECHO_HEADER || u8(bytes, start) !== REPLY[this.version]) continue;
      const isOurs = u16(bytes, start + 4) === this.#identifier;
      if (isOurs && u16(bytes, start + 6) === sequence) return true;
    }
  }
}
