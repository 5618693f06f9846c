// Receiving by raw sockets over IPv4: the kernel has reassembled fragments and checked the header, and hands the
// packet over with it.
import { AF_INET, setOption } from '../../sys/socket.js';
import type { MessageBatch } from '../batch.js';
import { CONTROL_HEADER, IP_PKTINFO, IPPROTO_IP } from '../control-messages.js';
import { openRaw, type RawArrival } from './receiver.js';

/** One IP_PKTINFO: index of the device, two addresses, padded. */
const CONTROL_SIZE = 32;
const INTERFACE = CONTROL_HEADER;

/** Opens a socket for packets of `protocol`; `wantsLink`: it is to say which device each came in by. */
export function openIpv4Receiver(protocol: number, wantsLink: boolean): number {
  const fd = openRaw(AF_INET, protocol);
  if (wantsLink) tellLink(fd);
  return fd;
}

/** Lets the socket say of packets that come from here on which device each came in by. */
export function tellLink(fd: number): void {
  setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

/** Packets that arrive whole. */
export class Ipv4Arrival implements RawArrival {
  readonly headLength = 0;
  readonly parts: { readonly controlSize: number };
  readonly #wantsLink: boolean;

  constructor(wantsLink: boolean) {
    this.#wantsLink = wantsLink;
    this.parts = { controlSize: wantsLink ? CONTROL_SIZE : 0 };
  }

  complete(batch: MessageBatch, index: number): number {
    if (!this.#wantsLink || batch.controlLength(index) < CONTROL_HEADER + 4) return 0;
    const link = batch.controls.getUint32(index * batch.controlStride + INTERFACE, true);
    batch.reset(index);
    return link;
  }
}
