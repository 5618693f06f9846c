// The service manager's end of sd_notify: what a process told, datagram by datagram.
import { bind, close, NativeBlock, recvfrom, socket } from '../../src/sys/libc.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const RECEIVE_SIZE = 4096;

export class NotifySocket {
  readonly #fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  readonly #block = new NativeBlock(RECEIVE_SIZE);

  /** Listens at `name`, a path, or an abstract address that begins with a zero byte. */
  constructor(name: string) {
    const bytes = new TextEncoder().encode(name);
    const address = new NativeBlock(2 + 108);
    address.view.setUint16(0, AF_UNIX, true);
    address.bytes.set(bytes, 2);
    if (bind(this.#fd, address.address, 2 + bytes.length) !== 0) {
      throw new Error(`cannot listen at ${JSON.stringify(name)}`);
    }
  }

  /** What has come since the last call. */
  take(): string[] {
    const told: string[] = [];
    for (;;) {
      const { address, bytes } = this.#block;
      const length = recvfrom(this.#fd, address, RECEIVE_SIZE, MSG_DONTWAIT, 0, 0);
      if (length <= 0) return told;
      told.push(Buffer.from(bytes.subarray(0, length)).toString('utf8'));
    }
  }

  close(): void {
    close(this.#fd);
  }
}
