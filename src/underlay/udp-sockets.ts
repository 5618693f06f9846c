import { randomInt } from 'node:crypto';
import { close, errno, socket } from '../sys/libc.js';
import {
  AF_INET,
  bindSocket,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  setBuffers,
  setDevice,
  setOption,
  shrinkReceiveBuffer,
} from '../sys/socket.js';

const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DONT = 0;
const IP_PMTUDISC_DO = 2;

/** Source ports of the flows of one local address: a power of two. */
const PORT_COUNT = 16;
/** Range of source ports (RFC 8086, 2.1.1). */
const PORT_FIRST = 49152;
const PORT_LIMIT = 65536;
/** Ports tried before the kernel may choose one. */
const PORT_TRIES = 16;
const BUFFER_SIZE = 8 << 20;

/** A socket that some flows leave by. */
export class FlowSocket {
  readonly fd: number;
  #dontFragment = false;

  constructor(fd: number) {
    this.fd = fd;
    setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  }

  get dontFragment(): boolean {
    return this.#dontFragment;
  }

  /** Sets DF on what is sent from here on; with it the kernel refuses what a path is known not to take. */
  setDontFragment(on: boolean): void {
    setOption(this.fd, IPPROTO_IP, IP_MTU_DISCOVER, on ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
    this.#dontFragment = on;
  }
}

/** The sockets that datagrams are sent by: some for each local address and device, opened with their first flow. */
export class FlowSockets {
  readonly #links: ReadonlyMap<number, string>;
  readonly #byLink = new Map<number, Map<number, (FlowSocket | undefined)[]>>();
  /** What was asked for last: nearly always the same again. */
  #last: { source: number; link: number; sockets: (FlowSocket | undefined)[] } | undefined;

  /** `links`: device names by index, for tunnels bound to one. */
  constructor(links: ReadonlyMap<number, string>) {
    this.#links = links;
  }

  /**
   * The socket for packets from `source`, an address in host order (0 = the kernel chooses), out of the device
   * `link` (0 = any), of the flow whose source port is `port`; or the error number that kept it from being opened.
   */
  of(source: number, link: number, port: number): FlowSocket | number {
    const sockets = this.#socketsOf(source, link);
    const place = port & (PORT_COUNT - 1);
    const open = sockets[place];
    if (open !== undefined) return open;
    const opened = this.#open(source, link);
    if (typeof opened !== 'number') sockets[place] = opened;
    return opened;
  }

  close(): void {
    for (const bySource of this.#byLink.values()) {
      for (const sockets of bySource.values())
        for (const socket of sockets) if (socket) close(socket.fd);
    }
    this.#byLink.clear();
  }

  #socketsOf(source: number, link: number): (FlowSocket | undefined)[] {
    const last = this.#last;
    if (last !== undefined && last.source === source && last.link === link) return last.sockets;
    let bySource = this.#byLink.get(link);
    if (bySource === undefined) {
      bySource = new Map();
      this.#byLink.set(link, bySource);
    }
    let sockets = bySource.get(source);
    if (sockets === undefined) {
      sockets = new Array(PORT_COUNT).fill(undefined);
      bySource.set(source, sockets);
    }
    this.#last = { source, link, sockets };
    return sockets;
  }

  #open(source: number, link: number): FlowSocket | number {
    const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno();
    const device = this.#links.get(link);
    if (device !== undefined && !setDevice(fd, device)) return closed(fd);
    setBuffers(fd, BUFFER_SIZE);
    shrinkReceiveBuffer(fd); // what strangers send to these ports waits nowhere
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      if (bindSocket(fd, source, randomInt(PORT_FIRST, PORT_LIMIT))) return new FlowSocket(fd);
    }
    if (bindSocket(fd, source, 0)) return new FlowSocket(fd);
    return closed(fd);
  }
}

/** Closes a socket that could not be made ready. Returns the error number of what failed. */
function closed(fd: number): number {
  const error = errno();
  close(fd);
  return error;
}
