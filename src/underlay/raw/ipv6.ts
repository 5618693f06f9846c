// Receiving by raw sockets over IPv6: the kernel has reassembled fragments and acted on extension headers, and hands
// over what comes behind all of them. What it tells besides is enough to write the header anew:
//
//   version, traffic class, flow label   IPV6_FLOWINFO, which is left out where both are 0
//   payload length                       bytes received
//   next header                          the socket's protocol
//   hop limit                            IPV6_HOPLIMIT
//   source                               the sender's address
//   destination                          IPV6_PKTINFO, and the device with it
import { swap16 } from '../../packet/bytes.js';
import { IPV6_HEADER } from '../../packet/ipv6.js';
import { AF_INET6, SOCKADDR_IN6_ADDRESS, SOCKADDR_IN6_SIZE, setOption } from '../../sys/socket.js';
import type { MessageBatch } from '../batch.js';
import {
  ControlCursor,
  IPPROTO_IPV6,
  IPV6_FLOWINFO,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
} from '../control-messages.js';
import { openRaw, type RawArrival } from './receiver.js';

const IPV6_RECVPKTINFO = 49;
const IPV6_RECVHOPLIMIT = 51;

/** Of the header, as 32-bit words. */
const SOURCE = 2;
const DESTINATION = 6;
const ADDRESS_WORDS = 4;
/** struct in6_pktinfo: address, index of the device. */
const PKTINFO_SIZE = 20;
const PKTINFO_INTERFACE = 16;
/** IPV6_PKTINFO 40, IPV6_HOPLIMIT and IPV6_FLOWINFO 24 each, and what a kernel may add. */
const CONTROL_SIZE = 128;

/** Opens a socket for packets of `protocol`. */
export function openIpv6Receiver(protocol: number): number {
  const fd = openRaw(AF_INET6, protocol);
  for (const option of [IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_FLOWINFO]) {
    setOption(fd, IPPROTO_IPV6, option, 1);
  }
  return fd;
}

/** Packets that arrive without their header. */
export class Ipv6Arrival implements RawArrival {
  readonly headLength = IPV6_HEADER;
  readonly parts = { nameSize: SOCKADDR_IN6_SIZE, controlSize: CONTROL_SIZE };
  readonly #words: Uint32Array;
  readonly #cursor = new ControlCursor();

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Uint32Array(memory.buffer);
  }

  complete(
    batch: MessageBatch,
    index: number,
    address: number,
    length: number,
    protocol: number,
  ): number {
    const header = address >>> 2;
    const words = this.#words;
    const { names, nameStride, controls, controlStride } = batch;
    const cursor = this.#cursor;
    const start = index * controlStride;
    let flowInfo = 0;
    let hopLimit = 0;
    let link = 0;
    for (let n = 0; n < ADDRESS_WORDS; n++) words[header + DESTINATION + n] = 0;
    cursor.begin(controls, start, start + batch.controlLength(index));
    while (cursor.next()) {
      const { level, type, size, data } = cursor;
      if (level !== IPPROTO_IPV6 || size < 4) continue;
      if (type === IPV6_FLOWINFO) flowInfo = controls.getUint32(data, true);
      else if (type === IPV6_HOPLIMIT) hopLimit = controls.getUint8(data);
      else if (type === IPV6_PKTINFO && size >= PKTINFO_SIZE) {
        copyAddress(words, header + DESTINATION, controls, data);
        link = controls.getUint32(data + PKTINFO_INTERFACE, true);
      }
    }
    // Both words as a little-endian machine loads them from the wire.
    words[header] = flowInfo | 0x60;
    words[header + 1] = swap16(length) | (protocol << 16) | (hopLimit << 24);
    copyAddress(words, header + SOURCE, names, index * nameStride + SOCKADDR_IN6_ADDRESS);
    batch.reset(index);
    return link;
  }
}

function copyAddress(words: Uint32Array, to: number, from: DataView, offset: number): void {
  for (let n = 0; n < ADDRESS_WORDS; n++) words[to + n] = from.getUint32(offset + n * 4, true);
}
