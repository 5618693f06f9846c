// A test's own end of a virtual cable: whole Ethernet frames out and in, through AF_PACKET.
import type { PacketSocket } from '../../src/demo/packet-socket.js';
import {
  close,
  errno,
  errnoName,
  interfaceIndex,
  NativeBlock,
  sendto,
} from '../../src/sys/libc.js';
import { openSocket, SOCK_RAW } from '../../src/sys/socket.js';

const AF_PACKET = 17;
const SOCKADDR_LL_SIZE = 20;

/** Sends a frame from a device, as it is. */
export class FrameSender {
  readonly #fd = openSocket(AF_PACKET, SOCK_RAW, 0, 'sending frames');
  readonly #address = new NativeBlock(SOCKADDR_LL_SIZE);
  readonly #frame = new NativeBlock(65536);

  constructor(device: string) {
    this.#address.view.setUint16(0, AF_PACKET, true);
    this.#address.view.setInt32(4, interfaceIndex(device), true);
  }

  send(frame: Uint8Array): void {
    this.#frame.bytes.set(frame);
    const { address } = this.#address;
    const sent = sendto(this.#fd, this.#frame.address, frame.length, 0, address, SOCKADDR_LL_SIZE);
    if (sent !== frame.length) throw new Error(`cannot send a frame: ${errnoName(errno())}`);
  }

  close(): void {
    close(this.#fd);
  }
}

/** All frames that wait in `socket`, as copies. */
export function takeFrames(socket: PacketSocket, timeoutMs = 100): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let frame = socket.next(timeoutMs); frame !== undefined; frame = socket.next(timeoutMs)) {
    frames.push(frame.bytes.slice());
  }
  return frames;
}

/** An Ethernet frame between two addresses that no device has. */
export function ethernet(ethertype: number, payload: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(14 + payload.length);
  frame.write('020000000001020000000002', 'hex');
  frame.writeUInt16BE(ethertype, 12);
  frame.set(payload, 14);
  return Uint8Array.from(frame);
}
