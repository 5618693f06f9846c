import { EXIT, Failure } from './failure.js';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
const MSG_NOSIGNAL = 0x4000;
/** Bytes of sun_path. */
const PATH_MAX = 108;

/**
 * Tells the service manager about a state, as sd_notify(3) does: one datagram to NOTIFY_SOCKET. Returns
 * false, and does nothing, when nobody asked for it. Throws a Failure when it cannot be delivered.
 */
export async function notify(state: string): Promise<boolean> {
  const path = process.env.NOTIFY_SOCKET;
  if (path === undefined || path === '') return false;
  const { close, errno, errnoName, NativeBlock, sendto, socket } = await import('./libc.js');

  // A leading @ stands for the zero byte of an abstract address, which has no file.
  const name = new TextEncoder().encode(path.replace(/^@/, '\0'));
  if (name.length >= PATH_MAX || !/^[@/]/.test(path)) {
    throw new Failure(EXIT.failed, `NOTIFY_SOCKET is no socket address: ${JSON.stringify(path)}`);
  }
  const address = new NativeBlock(2 + PATH_MAX);
  address.view.setUint16(0, AF_UNIX, true);
  address.bytes.set(name, 2);
  const text = new TextEncoder().encode(state);
  const data = new NativeBlock(text.length);
  data.bytes.set(text);

  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const size = 2 + name.length;
  const sent = sendto(fd, data.address, text.length, MSG_NOSIGNAL, address.address, size);
  const error = errno();
  close(fd);
  if (sent === text.length) return true;
  throw new Failure(EXIT.kernelRefused, `cannot notify ${path}: ${errnoName(error)}`);
}
