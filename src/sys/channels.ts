import { readdirSync, readFileSync } from 'node:fs';
import { close, interfaceIndex, ioctl, NativeBlock } from './libc.js';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.js';

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GCHANNELS = 0x3c;
const IFREQ_SIZE = 40;
const IFREQ_DATA = 16;
/** struct ethtool_channels: the command, four limits, then what is in use. */
const CHANNELS_SIZE = 36;
const RX_COUNT = 20;
const COMBINED_COUNT = 32;

/** How many receive queues the network device `name` uses: at least 1. */
export function receiveQueueCount(name: string): number {
  return channelCount(name) ?? listedQueueCount(name) ?? 1;
}

/** From the driver; undefined when it does not tell. */
function channelCount(name: string): number | undefined {
  const request = new NativeBlock(IFREQ_SIZE);
  const channels = new NativeBlock(CHANNELS_SIZE);
  request.bytes.set(new TextEncoder().encode(name).subarray(0, 15));
  request.view.setBigUint64(IFREQ_DATA, BigInt(channels.address), true);
  channels.view.setUint32(0, ETHTOOL_GCHANNELS, true);
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, `reading the queues of ${name}`);
  const answered = ioctl(fd, SIOCETHTOOL, request.address) === 0;
  close(fd);
  const count =
    channels.view.getUint32(RX_COUNT, true) + channels.view.getUint32(COMBINED_COUNT, true);
  return answered && count > 0 ? count : undefined;
}

/** From sysfs, where that shows this network namespace and not the one it was mounted in. */
function listedQueueCount(name: string): number | undefined {
  const folder = `/sys/class/net/${name}`;
  try {
    if (Number(readFileSync(`${folder}/ifindex`, 'utf8')) !== interfaceIndex(name))
      return undefined;
    return readdirSync(`${folder}/queues`).filter((entry) => entry.startsWith('rx-')).length;
  } catch {
    return undefined;
  }
}
