// Tunnel protocols that no tunnel of ours receives: a raw socket for each takes what comes and keeps nothing of it.
//
// Without one the kernel answers packets of a protocol that nothing on the machine receives: protocol unreachable, and
// over IPv6 a parameter problem. Whoever scans for tunnels is told by that which there are, and a forged source gets
// what it never asked for. A packet that a raw socket matches counts as delivered, whatever the filter of the socket
// makes of it (raw_local_deliver, raw6_local_deliver). It goes on to everybody else as before: to tunnels of the kernel,
// which answer for themselves, and to raw sockets of other programs.
//
// A protocol that is received has no sink: one costs each packet 0.2 us in the kernel. The price is paid in a flood:
// since Linux 6.10 a packet that finds the socket of the only lane full counts as taken by nobody, and is answered, once
// a second for each source (net.ipv4.icmp_ratelimit, net.ipv6.icmp.ratelimit).
import { EXIT, Failure } from '../sys/failure.js';
import { close, ERRNO, errno, errnoName, socket } from '../sys/libc.js';
import { AF_INET, AF_INET6, openSocket, SOCK_CLOEXEC, SOCK_RAW } from '../sys/socket.js';
import { dropAll } from '../sys/socket-filter.js';
import type { OuterProtocol } from './contract.js';

/** IPv4 and IPv6 in IP, and GRE. */
const PROTOCOLS = [4, 41, 47];

export class ProtocolSinks {
  readonly #all: readonly OuterProtocol[];
  /** By what they say. */
  readonly #open = new Map<string, { readonly outer: OuterProtocol; readonly fd: number }>();

  /** Opens a socket for each tunnel protocol but `received`. Throws a Failure when a right is missing. */
  constructor(received: readonly OuterProtocol[]) {
    const versions = hasIpv6() ? ([4, 6] as const) : ([4] as const);
    this.#all = versions.flatMap((version) => PROTOCOLS.map((protocol) => ({ version, protocol })));
    try {
      this.change(received);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The protocols that are silent. */
  get protocols(): readonly OuterProtocol[] {
    return [...this.#open.values()].map(({ outer }) => outer);
  }

  /** Others are received from here on, or are about to be no more. Throws a Failure when a right is missing. */
  change(received: readonly OuterProtocol[]): void {
    const isReceived = new Set(received.map(idOf));
    for (const outer of this.#all) {
      const id = idOf(outer);
      const open = this.#open.get(id);
      if (open === undefined && !isReceived.has(id)) {
        this.#open.set(id, { outer, fd: openSink(outer) });
      } else if (open !== undefined && isReceived.has(id)) {
        close(open.fd);
        this.#open.delete(id);
      }
    }
  }

  close(): void {
    for (const { fd } of this.#open.values()) close(fd);
    this.#open.clear();
  }
}

function idOf({ version, protocol }: OuterProtocol): string {
  return `${version} ${protocol}`;
}

function openSink({ version, protocol }: OuterProtocol): number {
  const what = `raw socket against answers to IP protocol ${protocol}`;
  const fd = openSocket(version === 4 ? AF_INET : AF_INET6, SOCK_RAW, protocol, what);
  if (dropAll(fd)) return fd;
  const cause = errnoName(errno());
  close(fd);
  throw new Failure(EXIT.kernelRefused, `${what}: the kernel refused: ${cause}`);
}

/** Whether the kernel has IPv6 at all: without it nobody answers. */
function hasIpv6(): boolean {
  const fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, PROTOCOLS[0] ?? 0);
  if (fd >= 0) close(fd);
  return fd >= 0 || errno() !== ERRNO.EAFNOSUPPORT;
}
