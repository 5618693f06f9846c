// ICMP errors that reach this machine, for the lane that is told of them: a raw socket for each version of IP.
//
// Not the error queues of the tunnels' own sockets: an error there fails whatever the socket does next, a packet that
// has nothing to do with it; and of gre-udp every flow's socket would have to be watched. Which of the errors are
// about packets of ours is for src/packet/icmp-quote.ts to find.
import { type IcmpMessage, readIcmp } from '../packet/icmp-quote.js';
import { close, NativeBlock, recvfrom, recvmmsg, setsockopt } from '../sys/libc.js';
import {
  AF_INET,
  AF_INET6,
  openSocket,
  SOCK_NONBLOCK,
  SOCK_RAW,
  setBuffers,
  setOption,
} from '../sys/socket.js';
import { MessageBatch } from './batch.js';
import { CONTROL_HEADER, ControlCursor, IPPROTO_IPV6, IPV6_PKTINFO } from './control-messages.js';

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMPV6_FILTER = 1;
const IPV6_RECVPKTINFO = 49;
const MSG_DONTWAIT = 0x40;

/** Types that are taken: destination unreachable, time exceeded, parameter problem; and packet too big over IPv6. */
const TYPES4 = [3, 11, 12];
const TYPES6 = [1, 2, 3, 4];
/** struct icmp6_filter: a bit a type. */
const FILTER6_WORDS = 8;

/** More than an error has (RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c)). */
const MESSAGE_SIZE = 4096;
/** Errors that wait; a flood of more is lost. */
const BUFFER_SIZE = 256 << 10;
/** Errors taken at once: the packets of the tunnels want their turn. */
const BATCH = 64;
/** struct in6_pktinfo: address, index of the device. */
const PKTINFO_SIZE = 20;

export class IcmpErrors {
  readonly #block = new NativeBlock(MESSAGE_SIZE);
  readonly #message: MessageBatch;
  readonly #cursor = new ControlCursor();
  #fd4: number | undefined;
  #fd6: number | undefined;

  /** Opens the sockets. Throws a Failure when a right is missing. */
  constructor(versions: readonly (4 | 6)[]) {
    const controlSize = CONTROL_HEADER + PKTINFO_SIZE;
    this.#message = new MessageBatch(1, this.#block.address, { controlSize });
    this.#message.setData(0, 0, MESSAGE_SIZE);
    try {
      this.want(versions);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get fds(): readonly number[] {
    return [this.#fd4, this.#fd6].filter((fd) => fd !== undefined);
  }

  /** Opens what is missing for these versions of IP; what is open stays. Throws a Failure when a right is missing. */
  want(versions: readonly (4 | 6)[]): void {
    if (versions.includes(4)) this.#fd4 ??= open4();
    if (versions.includes(6)) this.#fd6 ??= open6();
  }

  /** Hands over what waits, a batch at most: the bytes are good until it returns. Never blocks. */
  receive(take: (message: IcmpMessage) => void): void {
    for (let count = 0; count < BATCH; count++) {
      const four = this.#fd4 === undefined ? undefined : this.#receive4(this.#fd4);
      if (four) take(four);
      const six = this.#fd6 === undefined ? undefined : this.#receive6(this.#fd6);
      if (six) take(six);
      if (four === undefined && six === undefined) return;
    }
  }

  close(): void {
    for (const fd of this.fds) close(fd);
  }

  /** Undefined: nothing waits; null: it was nothing that can be read. */
  #receive4(fd: number): IcmpMessage | null | undefined {
    const length = recvfrom(fd, this.#block.address, MESSAGE_SIZE, MSG_DONTWAIT, 0, 0);
    return length < 0 ? undefined : readIcmp(this.#block.bytes.subarray(0, length));
  }

  /** The kernel keeps the IPv6 header, and has checked the sum. */
  #receive6(fd: number): IcmpMessage | null | undefined {
    const message = this.#message;
    message.reset(0);
    if (recvmmsg(fd, message.header(0), 1, MSG_DONTWAIT) <= 0) return undefined;
    const bytes = this.#block.bytes.subarray(0, message.received(0));
    const cursor = this.#cursor;
    cursor.begin(message.controls, 0, message.controlLength(0));
    while (cursor.next()) {
      if (cursor.level !== IPPROTO_IPV6 || cursor.type !== IPV6_PKTINFO) continue;
      const { buffer, byteOffset } = message.controls;
      return {
        version: 6,
        destination: new Uint8Array(buffer, byteOffset + cursor.data, 16).slice(),
        bytes,
      };
    }
    return null;
  }
}

function open4(): number {
  const fd = openSocket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP, 'raw socket for ICMP');
  setBuffers(fd, BUFFER_SIZE);
  setOption(
    fd,
    SOL_RAW,
    ICMP_FILTER,
    TYPES4.reduce((mask, type) => mask & ~(1 << type), -1),
  );
  return fd;
}

function open6(): number {
  const type = SOCK_RAW | SOCK_NONBLOCK;
  const fd = openSocket(AF_INET6, type, IPPROTO_ICMPV6, 'raw socket for ICMPv6');
  setBuffers(fd, BUFFER_SIZE);
  const filter = new NativeBlock(FILTER6_WORDS * 4);
  filter.bytes.fill(0xff);
  filter.view.setInt32(
    0,
    TYPES6.reduce((mask, one) => mask & ~(1 << one), -1),
    true,
  );
  setsockopt(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, filter.address, filter.bytes.length);
  setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  return fd;
}
