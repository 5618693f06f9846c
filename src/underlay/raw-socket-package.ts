// The underlay over the npm package raw-socket: one call and one copy a packet, on the main thread
// (docs/decisions: the package's native part knows only the default event loop). It exists to compare
// with, and for systems where koffi has no binary but a compiler is at hand.
import { createRequire } from 'node:module';
import { SLOT_PACKET } from '../../asm/layout.js';
import {
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TX_ENOBUFS,
  REASON_TX_ERROR,
} from '../../asm/reason.js';
import type { Ring } from '../ring/ring.js';
import { EXIT, Failure } from '../sys/failure.js';
import { CAPABILITY_HINT } from '../sys/socket.js';
import type { Underlay } from './contract.js';
import { fillFrom, gather } from './slot-copy.js';

/** What grebe uses of the package. */
interface RawSocketModule {
  createSocket(options: { protocol: number; bufferSize?: number }): RawSocket;
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number };
}

interface RawSocket {
  on(event: 'message', listener: (packet: Buffer, source: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  setOption(level: number, option: number, value: number): void;
  pauseRecv(): void;
  resumeRecv(): void;
  close(): void;
  /**
   * The native socket. `Socket.send` would queue the packet, send one an event-loop turn and tell of a
   * failure long after the slot was settled; this is the call it ends in.
   */
  readonly wrap: {
    send(
      buffer: Buffer,
      offset: number,
      length: number,
      address: string,
      sent: (bytes: number) => void,
    ): void;
  };
}

const IPPROTO_RAW = 255;
/** Packets that wait for the lane; at that many the rest is left in the kernel's socket buffers. */
const QUEUE_LENGTH = 1024;
const IPV4_DESTINATION = 16;

export class RawSocketUnderlay implements Underlay {
  readonly name = 'raw-socket';
  readonly fds: readonly number[] = [];
  onReadable: (() => void) | undefined;
  readonly #bytes: Uint8Array;
  readonly #sockets: RawSocket[] = [];
  readonly #receivers: RawSocket[] = [];
  #paused = false;
  readonly #sender: RawSocket;
  readonly #waiting: Buffer[] = [];
  readonly #packet = Buffer.alloc(SLOT_PACKET);

  /** Opens the sockets. Throws a Failure when the package or a right is missing. */
  constructor(memory: WebAssembly.Memory, protocols: readonly number[]) {
    const raw = loadPackage();
    this.#bytes = new Uint8Array(memory.buffer);
    try {
      this.#sender = raw.createSocket({ protocol: IPPROTO_RAW });
      this.#sockets.push(this.#sender);
      this.#sender.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
      for (const protocol of protocols) this.#listen(raw, protocol);
    } catch (error) {
      for (const socket of this.#sockets) socket.close();
      if (!/not permitted|denied/i.test(String(error))) throw error;
      throw new Failure(
        EXIT.noPermission,
        `raw-socket: ${String(error)}: the capability CAP_NET_RAW is missing`,
        CAPABILITY_HINT,
      );
    }
  }

  receive(ring: Ring, max: number): number {
    const count = fillFrom(this.#waiting, this.#bytes, ring, max);
    if (this.#paused && this.#waiting.length === 0) {
      this.#paused = false;
      for (const socket of this.#receivers) socket.resumeRecv();
    }
    return count;
  }

  send(ring: Ring, from: number, to: number): void {
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      if (ring.reason(position) !== REASON_NONE) continue;
      const packet = gather(this.#bytes, ring, position);
      const { length } = packet;
      this.#packet.set(packet);
      const destination = this.#packet.subarray(IPV4_DESTINATION, IPV4_DESTINATION + 4).join('.');
      try {
        this.#sender.wrap.send(this.#packet, 0, length, destination, () => {});
      } catch (error) {
        ring.setReason(position, sendReason(String(error)));
      }
    }
  }

  close(): void {
    this.onReadable = undefined;
    for (const socket of this.#sockets) socket.close();
  }

  #listen(raw: RawSocketModule, protocol: number): void {
    const socket = raw.createSocket({ protocol, bufferSize: SLOT_PACKET });
    this.#sockets.push(socket);
    this.#receivers.push(socket);
    socket.on('error', () => {}); // a receive that failed: the next packet comes all the same
    socket.on('message', (packet) => {
      this.#waiting.push(Buffer.from(packet)); // the package reads into one buffer again and again
      if (this.#waiting.length >= QUEUE_LENGTH && !this.#paused) {
        this.#paused = true;
        for (const receiver of this.#receivers) receiver.pauseRecv();
      }
      this.onReadable?.();
    });
  }
}

function loadPackage(): RawSocketModule {
  try {
    return createRequire(import.meta.url)('raw-socket') as RawSocketModule;
  } catch (error) {
    throw new Failure(
      EXIT.failed,
      `underlay raw-socket: the npm package raw-socket cannot be loaded (${firstLine(error)})`,
      'install it (it needs a compiler): npm install raw-socket; or choose underlay = "raw", which needs nothing',
    );
  }
}

function firstLine(error: unknown): string {
  return String(error).split('\n', 1)[0] ?? '';
}

/** The drop reason for a failed send; the package tells only strerror(3)'s words. */
function sendReason(message: string): number {
  if (/buffer space|temporarily unavailable|allocate memory/i.test(message))
    return REASON_TX_ENOBUFS;
  if (/too long/i.test(message)) return REASON_TOO_BIG;
  if (/unreachable|network is down|no route|no such device|invalid argument/i.test(message)) {
    return REASON_NO_ROUTE;
  }
  return REASON_TX_ERROR;
}
