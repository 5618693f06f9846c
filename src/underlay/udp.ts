// The underlay of GRE-in-UDP (RFC 8086) over UDP sockets of the kernel.
//
//   receive   a socket at port 4754 of each local address: the firewall lets it pass, nobody is told "port
//             unreachable", and the kernel verifies checksums and merges datagrams of a flow
//   send      a few sockets for each local address, a flow always by the same; the kernel takes apart what it is
//             given as one message
import { formatIpv4, parseIpv4 } from '../packet/address.js';
import { GRE_UDP_PORT } from '../packet/udp.js';
import type { Ring } from '../ring/ring.js';
import { EXIT, Failure } from '../sys/failure.js';
import { close, errno, errnoName } from '../sys/libc.js';
import {
  AF_INET,
  bindSocket,
  openSocket,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  setBuffers,
  setOption,
} from '../sys/socket.js';
import type { KernelDrops, Underlay } from './contract.js';
import { sumReceiveDrops } from './kernel-drops.js';
import { IP_PKTINFO, IPPROTO_IP, SOL_UDP, UDP_GRO } from './udp-message.js';
import { UdpReceiver } from './udp-receiver.js';
import { UdpSender, type UdpSenderOptions } from './udp-sender.js';

const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const IP_RECVTTL = 12;
const IP_RECVTOS = 13;

/** Socket buffers: a burst of several thousand full packets, while the lane is busy with the other way. */
const BUFFER_SIZE = 8 << 20;
/** Local addresses with a socket of their own; more share one, so that a batch asks few sockets. */
const LOCAL_LIMIT = 8;

export interface UdpUnderlayOptions extends UdpSenderOptions {
  /** Local addresses of the tunnels, IPv4 text or `any`. */
  readonly locals: readonly string[];
  /** Several lanes receive, each a share of the flows. */
  readonly isShared: boolean;
}

export class UdpUnderlay implements Underlay {
  readonly name = 'udp';
  readonly fds: readonly number[];
  readonly #receiver: UdpReceiver;
  readonly #sender: UdpSender;
  #nextSocket = 0;

  /** Opens the sockets to receive from. Throws a Failure when one is taken. */
  constructor(memory: WebAssembly.Memory, options: UdpUnderlayOptions) {
    const locals = [...new Set(options.locals)];
    const isForAll = locals.includes('any') || locals.length > LOCAL_LIMIT;
    const addresses = isForAll ? [0] : locals.map((local) => parseIpv4(local) ?? 0);
    const opened: number[] = [];
    try {
      for (const address of addresses) opened.push(openReceiver(address, options.isShared));
    } catch (error) {
      for (const fd of opened) close(fd);
      throw error;
    }
    this.fds = opened;
    this.#receiver = new UdpReceiver(memory, GRE_UDP_PORT, options.links.size > 0);
    this.#sender = new UdpSender(memory, options);
  }

  receive(ring: Ring, max: number): number {
    // Begins with another socket each time, so that a flood at one address leaves room for the others.
    const first = this.#nextSocket++;
    let total = 0;
    for (let n = 0; n < this.fds.length && total < max; n++) {
      const fd = this.fds[(first + n) % this.fds.length] as number;
      while (total < max) {
        const count = this.#receiver.receive(fd, ring);
        if (count === 0) break;
        total += count;
      }
    }
    return total;
  }

  send(ring: Ring, from: number, to: number): void {
    this.#sender.send(ring, from, to);
  }

  /** Of the sockets to receive from: what comes to the others is of no tunnel. */
  kernelDrops(): KernelDrops {
    const udpSocket = sumReceiveDrops(this.fds);
    return udpSocket === undefined ? {} : { udpSocket };
  }

  close(): void {
    for (const fd of this.fds) close(fd);
    this.#sender.close();
  }
}

/** Opens the socket for datagrams to `address`, 0 = to any of ours. */
function openReceiver(address: number, isShared: boolean): number {
  const fd = openSocket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0, 'UDP socket for gre-udp');
  setBuffers(fd, BUFFER_SIZE);
  setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
  setOption(fd, IPPROTO_IP, IP_RECVTOS, 1);
  setOption(fd, IPPROTO_IP, IP_RECVTTL, 1);
  setOption(fd, SOL_UDP, UDP_GRO, 1); // before Linux 5.0 datagrams come one by one
  if (isShared) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1); // a flow always comes to the same
  if (bindSocket(fd, address, GRE_UDP_PORT)) return fd;
  const error = errno();
  close(fd);
  const place = address === 0 ? 'all addresses' : formatIpv4(address);
  throw new Failure(
    EXIT.kernelRefused,
    `gre-udp: cannot take UDP port ${GRE_UDP_PORT} of ${place}: ${errnoName(error)}`,
    `see who has it: ss -lunp sport = :${GRE_UDP_PORT}; ip fou show`,
  );
}
