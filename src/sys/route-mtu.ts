import { close, connect, getsockopt, NativeBlock, socket } from './libc.js';
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, setDevice, socketAddress } from './socket.js';

const IPPROTO_IP = 0;
const IP_MTU = 14;
const IPPROTO_IPV6 = 41;
const IPV6_MTU = 24;
/** Any will do: nothing is sent. */
const PORT = 9;

/**
 * What the kernel takes the way to `remote`, 4 or 16 bytes, to take, through `device` where one is named; undefined
 * while there is no way. Sends nothing.
 */
export function routeMtu(remote: Uint8Array, device?: string): number | undefined {
  const isIpv4 = remote.length === 4;
  const fd = socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  try {
    if (device !== undefined && !setDevice(fd, device)) return undefined;
    const name = socketAddress(remote, PORT);
    if (connect(fd, name.address, name.bytes.length) !== 0) return undefined;
    const value = new NativeBlock(4);
    const length = new NativeBlock(4);
    length.view.setUint32(0, 4, true);
    const [level, option] = isIpv4 ? [IPPROTO_IP, IP_MTU] : [IPPROTO_IPV6, IPV6_MTU];
    if (getsockopt(fd, level, option, value.address, length.address) !== 0) return undefined;
    return value.view.getInt32(0, true);
  } finally {
    close(fd);
  }
}
