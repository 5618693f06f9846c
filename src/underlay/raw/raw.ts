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
import { Ipv4Arrival, openIpv4Receiver, tellLink } from './ipv4.js';
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

/** What the sockets are opened for, of that which may change while they are open. */
export type RawSockets = Omit<RawUnderlayOptions, 'linkOf' | 'lane' | 'laneCount'>;

/** A socket, and how packets come out of it. */
interface Source {
  readonly socket: RawSocket;
  readonly version: 4 | 6;
  readonly receiver: RawReceiver;
}

export class RawUnderlay implements Underlay {
  readonly name = 'raw';
  #sources: readonly Source[] = [];
  readonly #options: RawUnderlayOptions;
  readonly #memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  /** By version. */
  readonly #senders: (RawSender | undefined)[] = [];
  /** The only sender, where there is one. */
  #onlySender: RawSender | undefined;
  readonly #receivers = new Map<string, RawReceiver>();
  #groups = new GroupMembership([]);
  #groupNames = '';
  readonly #fragments: FragmentSender;
  #hasLinks = false;
  readonly #room = new SendRoom();
  #nextSocket = 0;

  /** Opens the sockets. Throws a Failure when a right is missing. */
  constructor(memory: WebAssembly.Memory, options: RawUnderlayOptions) {
    this.#memory = memory;
    this.#options = options;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#base = addressOf(this.#bytes);
    this.#fragments = new FragmentSender(memory);
    try {
      this.change(options);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get fds(): readonly number[] {
    return this.#sources.map(({ socket }) => socket.fd);
  }

  /**
   * Opens what is missing, between two batches; what is open already loses no packet. Returns the descriptors that are
   * no longer among `fds`: the caller's to close. Throws a Failure when the kernel refuses; what was open is then
   * open still.
   */
  change({ protocols, versions, groups, links }: RawSockets): number[] {
    for (const version of [4, 6] as const) this.#changeSender(version, versions, links);
    const senders = this.#senders.filter((sender) => sender !== undefined);
    this.#onlySender = senders.length === 1 ? senders[0] : undefined;
    const names = groups.map(({ address, link }) => `${address} ${link}`).join();
    if (names !== this.#groupNames) {
      const joined = new GroupMembership(groups);
      this.#groups.close();
      this.#groups = joined;
      this.#groupNames = names;
    }
    this.#hasLinks = links.size > 0;
    const before = this.#sources;
    const opened: number[] = [];
    try {
      this.#sources = protocols.map((outer) => {
        const open = before.find(({ version, socket }) => {
          return version === outer.version && socket.protocol === outer.protocol;
        });
        return this.#source(outer, open?.socket.fd ?? this.#open(outer, opened));
      });
    } catch (error) {
      for (const fd of opened) close(fd);
      throw error;
    }
    const kept = new Set(this.fds);
    return before.map(({ socket }) => socket.fd).filter((fd) => !kept.has(fd));
  }

  #changeSender(
    version: 4 | 6,
    versions: readonly (4 | 6)[],
    links: ReadonlyMap<number, string>,
  ): void {
    const sender = this.#senders[version];
    if (!versions.includes(version)) {
      sender?.close();
      this.#senders[version] = undefined;
    } else if (sender !== undefined) {
      sender.bind(links);
    } else {
      const shared = [this.#room, this.#fragments] as const;
      this.#senders[version] = new RawSender(version, this.#memory, this.#base, links, ...shared);
    }
  }

  #open({ version, protocol }: OuterProtocol, opened: number[]): number {
    const { lane, laneCount } = this.#options;
    const fd =
      version === 4 ? openIpv4Receiver(protocol, this.#hasLinks) : openIpv6Receiver(protocol);
    opened.push(fd);
    if (laneCount > 1) filterFlows(fd, { version, protocol }, lane, laneCount);
    return fd;
  }

  /** A socket with the receiver of its family, which says where packets came in where tunnels ask for it. */
  #source({ version, protocol }: OuterProtocol, fd: number): Source {
    const wantsLink = version === 4 && this.#hasLinks;
    if (wantsLink) tellLink(fd);
    const id = `${version} ${wantsLink}`;
    let receiver = this.#receivers.get(id);
    if (receiver === undefined) {
      const arrival = version === 4 ? new Ipv4Arrival(wantsLink) : new Ipv6Arrival(this.#memory);
      receiver = new RawReceiver(this.#base, arrival);
      this.#receivers.set(id, receiver);
    }
    return { socket: { fd, protocol }, version, receiver };
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
      const link = this.#hasLinks ? this.#options.linkOf(ring.tunnel(position)) : 0;
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
