// The underlay over raw sockets: recvmmsg and sendmmsg straight from and to the slots.
//
//   receive   one socket for each protocol of a family; the kernel has reassembled fragments and checked the header
//   send      one socket for each family with the header included, and one more for each device that tunnels are
//             bound to; the kernel routes by the outer destination
//
// As long as a raw socket for a protocol is open, the kernel answers no "protocol unreachable" for it, nor over IPv6
// a "parameter problem"; from Linux 6.10 on it does over IPv4, within its rate limit, for packets that find the
// receive buffer full. Details of the families are in ipv4.ts, ipv6.ts and sender.ts.
import { REASON_NONE, REASON_TX_ERROR } from '../../../asm/reason.js';
import type { Ring } from '../../ring/ring.js';
import { addressOf, close } from '../../sys/libc.js';
import type { KernelDrops, OuterProtocol, Underlay } from '../contract.js';
import { type Group, GroupMembership } from '../groups.js';
import { sumReceiveDrops } from '../kernel-drops.js';
import { SendRoom } from '../send-room.js';
import { filterFlows } from './flow-filter.js';
import { FragmentSender } from './fragment-sender.js';
import { Ipv4Arrival, openIpv4Receiver } from './ipv4.js';
import { Ipv6Arrival, openIpv6Receiver } from './ipv6.js';
import { RawReceiver, type RawSocket } from './receiver.js';
import { RawSender } from './sender.js';

export interface RawUnderlayOptions {
  readonly protocols: readonly OuterProtocol[];
  /** Versions of IP to send. */
  readonly versions: readonly (4 | 6)[];
  /** Multicast groups to receive from. */
  readonly groups: readonly Group[];
  /** Device names by index, for tunnels bound to one. */
  readonly links: ReadonlyMap<number, string>;
  /** Index of the device that the tunnel of a record is bound to, 0 = none. */
  readonly linkOf: (record: number) => number;
  /** Number of the lane that receives, of `laneCount`: each flow goes to one. */
  readonly lane: number;
  readonly laneCount: number;
}

/** A socket, and how packets come out of it. */
interface Source {
  readonly socket: RawSocket;
  readonly receiver: RawReceiver;
}

export class RawUnderlay implements Underlay {
  readonly name = 'raw';
  readonly fds: readonly number[];
  readonly #sources: readonly Source[];
  readonly #bytes: Uint8Array;
  /** By version. */
  readonly #senders: (RawSender | undefined)[] = [];
  /** The only sender, where there is one. */
  readonly #onlySender: RawSender | undefined;
  readonly #groups: GroupMembership;
  readonly #fragments: FragmentSender;
  readonly #hasLinks: boolean;
  readonly #linkOf: (record: number) => number;
  readonly #room = new SendRoom();
  #nextSocket = 0;

  /** Opens the sockets. Throws a Failure when a right is missing. */
  constructor(memory: WebAssembly.Memory, options: RawUnderlayOptions) {
    const { links, groups, versions } = options;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#fragments = new FragmentSender(memory);
    this.#hasLinks = links.size > 0;
    this.#linkOf = options.linkOf;
    const base = addressOf(this.#bytes);
    const undo: (() => void)[] = [];
    try {
      for (const version of versions) {
        const sender = new RawSender(version, memory, base, links, this.#room, this.#fragments);
        undo.push(() => sender.close());
        this.#senders[version] = sender;
      }
      this.#sources = openSources(memory, base, options, undo);
      this.#groups = new GroupMembership(groups);
    } catch (error) {
      for (const step of undo) step();
      throw error;
    }
    this.fds = this.#sources.map(({ socket }) => socket.fd);
    this.#onlySender = versions.length === 1 ? this.#senders[versions[0] ?? 4] : undefined;
  }

  receive(ring: Ring, max: number): number {
    // Begins with another socket each time, so that a flood of one protocol leaves room for the others.
    const first = this.#nextSocket++;
    const count = this.#sources.length;
    let total = 0;
    for (let n = 0; n < count && total < max; n++) {
      const { receiver, socket } = this.#sources[(first + n) % count] as Source;
      total += receiver.receive(socket, ring, max - total);
    }
    return total;
  }

  send(ring: Ring, from: number, to: number): void {
    this.#room.begin();
    // What waits to be sent leaves by this sender, out of this device, before anything else is added.
    let current: RawSender | undefined;
    let currentLink = 0;
    for (let position = from; position !== to; position = (position + 1) >>> 0) {
      if (ring.reason(position) !== REASON_NONE) continue;
      const address = ring.processedAddress(position);
      const link = this.#hasLinks ? this.#linkOf(ring.tunnel(position)) : 0;
      const sender = this.#onlySender ?? this.#senders[(this.#bytes[address] as number) >>> 4];
      if (sender === undefined) {
        ring.setReason(position, REASON_TX_ERROR); // a codec wrote what no tunnel asked for
        continue;
      }
      if (sender !== current || link !== currentLink) {
        current?.flush(ring, currentLink);
        current = sender;
        currentLink = link;
      }
      const length = ring.length(position) + ring.payloadLength(position);
      if (sender.version === 6 && this.#fragments.isDue(ring, position, length)) {
        sender.flush(ring, link);
        sender.sendFragments(ring, position, link);
        continue;
      }
      sender.add(ring, position, address);
    }
    current?.flush(ring, currentLink);
  }

  kernelDrops(): KernelDrops {
    const rawSocket = sumReceiveDrops(this.fds);
    return rawSocket === undefined ? {} : { rawSocket };
  }

  close(): void {
    for (const fd of this.fds) close(fd);
    for (const sender of this.#senders) sender?.close();
    this.#groups.close();
  }
}

/** Opens the sockets to receive from; `undo` gets what closes them. */
function openSources(
  memory: WebAssembly.Memory,
  base: number,
  options: RawUnderlayOptions,
  undo: (() => void)[],
): Source[] {
  const { protocols, links, lane, laneCount } = options;
  const wantsLink = links.size > 0;
  const receivers = new Map<4 | 6, RawReceiver>();
  return protocols.map(({ version, protocol }) => {
    const fd = version === 4 ? openIpv4Receiver(protocol, wantsLink) : openIpv6Receiver(protocol);
    undo.push(() => close(fd));
    if (laneCount > 1) filterFlows(fd, { version, protocol }, lane, laneCount);
    let receiver = receivers.get(version);
    if (receiver === undefined) {
      const arrival = version === 4 ? new Ipv4Arrival(wantsLink) : new Ipv6Arrival(memory);
      receiver = new RawReceiver(base, arrival);
      receivers.set(version, receiver);
    }
    return { socket: { fd, protocol }, receiver };
  });
}
