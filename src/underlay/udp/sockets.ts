// The sockets that flows of GRE-in-UDP leave by: a few for each local address and device, a flow always by the same.
import { randomInt } from 'node:crypto';
import { close, errno, socket } from '../../sys/libc.js';
import {
  bindSocket,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  setBuffers,
  setDevice,
  setOption,
  shrinkReceiveBuffer,
} from '../../sys/socket.js';
import { IPPROTO_IP, IPPROTO_IPV6 } from '../control-messages.js';
import type { UdpOuter } from './outer.js';

const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_DONT = 0;
const IP_PMTUDISC_DO = 2;
const IP_MULTICAST_LOOP = 34;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_MTU_DISCOVER = 23;
const IPV6_PMTUDISC_DONT = 0;
const IPV6_PMTUDISC_DO = 2;
const IPV6_DONTFRAG = 62;
const IPV6_AUTOFLOWLABEL = 70;

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

  constructor(fd: number, version: 4 | 6) {
    this.fd = fd;
    if (version === 4) {
      setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
      setOption(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0); // what goes to a group is for others
      return;
    }
    // What is too large is refused here, as by the other ways.
    this.setMayFragment(false);
    setOption(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0); // nor does it have a flow label
    setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
    this.#dontFragment = true;
  }

  get dontFragment(): boolean {
    return this.#dontFragment;
  }

  /** Over IPv6: lets the kernel send in fragments what its way does not take whole. */
  setMayFragment(on: boolean): void {
    const discover = on ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_DO;
    setOption(this.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, discover);
    setOption(this.fd, IPPROTO_IPV6, IPV6_DONTFRAG, on ? 0 : 1);
  }

  /** Over IPv4: sets DF on what is sent from here on; with it the kernel refuses what a path is known not to take. */
  setDontFragment(on: boolean): void {
    setOption(this.fd, IPPROTO_IP, IP_MTU_DISCOVER, on ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
    this.#dontFragment = on;
  }
}

type Sockets = (FlowSocket | undefined)[];

/** The sockets that datagrams are sent by: some for each local address and device, opened with their first flow. */
export class FlowSockets {
  readonly #outer: UdpOuter;
  readonly #links: ReadonlyMap<number, string>;
  /** By device and source address. */
  readonly #bySource = new Map<string, Sockets>();
  /** What was asked for last, nearly always the same again: device, source address, and what it came to. */
  #lastLink = -1;
  readonly #lastSource: DataView;
  #last: Sockets = [];

  /** `links`: device names by index, for tunnels bound to one. */
  constructor(outer: UdpOuter, links: ReadonlyMap<number, string>) {
    this.#outer = outer;
    this.#links = links;
    this.#lastSource = new DataView(new ArrayBuffer(outer.addressSize));
  }

  /**
   * The socket for packets from the source address of the outer header at `header` of `view` (0 = the kernel chooses),
   * out of the device `link` (0 = any), of the flow whose source port is `port`; or the error number that kept it from
   * being opened.
   */
  of(view: DataView, header: number, link: number, port: number): FlowSocket | number {
    const source = header + this.#outer.source;
    if (!this.#isLast(view, source, link)) this.#look(view, source, link);
    const sockets = this.#last;
    const place = port & (PORT_COUNT - 1);
    const open = sockets[place];
    if (open !== undefined) return open;
    const opened = this.#open(new Uint8Array(this.#lastSource.buffer), link);
    if (typeof opened !== 'number') sockets[place] = opened;
    return opened;
  }

  close(): void {
    for (const sockets of this.#bySource.values()) {
      for (const socket of sockets) if (socket) close(socket.fd);
    }
    this.#bySource.clear();
    this.#lastLink = -1;
  }

  #isLast(view: DataView, source: number, link: number): boolean {
    if (link !== this.#lastLink) return false;
    for (let at = 0; at < this.#outer.addressSize; at += 4) {
      if (view.getUint32(source + at) !== this.#lastSource.getUint32(at)) return false;
    }
    return true;
  }

  /** Finds the sockets for packets from `source`. */
  #look(view: DataView, source: number, link: number): void {
    this.#lastLink = link;
    for (let at = 0; at < this.#outer.addressSize; at += 4) {
      this.#lastSource.setUint32(at, view.getUint32(source + at));
    }
    const key = `${link} ${new Uint8Array(this.#lastSource.buffer)}`;
    let sockets = this.#bySource.get(key);
    if (sockets === undefined) {
      sockets = new Array(PORT_COUNT).fill(undefined);
      this.#bySource.set(key, sockets);
    }
    this.#last = sockets;
  }

  #open(source: Uint8Array, link: number): FlowSocket | number {
    const { family, version } = this.#outer;
    const fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno();
    const device = this.#links.get(link);
    if (device !== undefined && !setDevice(fd, device)) return closed(fd);
    setBuffers(fd, BUFFER_SIZE);
    shrinkReceiveBuffer(fd); // what strangers send to these ports waits nowhere
    const bind = (port: number): boolean => bindSocket(fd, source, port, link);
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      if (bind(randomInt(PORT_FIRST, PORT_LIMIT))) return new FlowSocket(fd, version);
    }
    return bind(0) ? new FlowSocket(fd, version) : closed(fd);
  }
}

/** Closes a socket that could not be made ready. Returns the error number of what failed. */
function closed(fd: number): number {
  const error = errno();
  close(fd);
  return error;
}
