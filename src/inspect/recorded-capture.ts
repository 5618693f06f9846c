// Packets that a router recorded, as a capture: each in every form it had, on an interface of its own.
//
//   NAME encap inner   what the host sent into the tunnel     NAME encap outer   the same, as it left
//   NAME decap outer   what the peer sent                     NAME decap inner   the same, as the host got it
//
// What was dropped has the form in which it was dropped, and the reason as its comment.
import { DIRECTION_ENCAP } from '../../asm/layout.js';
import { REASON_LOCAL, REASON_NONE } from '../../asm/reason.js';
import { type Reason, reasonName } from '../packet/reason.js';
import type { RecordedPacket } from '../ring/recorded.js';
import { type CaptureWriter, LINKTYPE_ETHERNET, LINKTYPE_RAW } from './pcapng-writer.js';

/** What a record stands for. */
export interface RecordSubject {
  /** Name of the tunnel. */
  readonly name: string;
  /** Whether frames are inside, not packets. */
  readonly isEthernet: boolean;
}

/** What a packet of no tunnel, or of one that is gone, is filed under. */
const NOBODY: RecordSubject = { name: 'no-tunnel', isEthernet: false };

type Way = 'encap' | 'decap';
type Layer = 'inner' | 'outer';

export class RecordedCapture {
  readonly #writer: CaptureWriter;
  readonly #subjectOf: (record: number) => RecordSubject | undefined;
  readonly #interfaces = new Map<string, number>();
  readonly #packets = { encap: 0, decap: 0 };

  constructor(
    writer: CaptureWriter,
    subjectOf: (record: number) => RecordSubject | undefined = () => undefined,
  ) {
    this.#writer = writer;
    this.#subjectOf = subjectOf;
  }

  add(packet: RecordedPacket): void {
    const { record, inner, length, bytes } = packet;
    const subject = this.#subjectOf(record) ?? NOBODY;
    const way: Way = packet.direction === DIRECTION_ENCAP ? 'encap' : 'decap';
    const timestampNs = toNs(packet.timeMs);
    const direction = way === 'encap' ? 'tx' : 'rx';
    const comment = commentOf(packet);
    const put = (layer: Layer, from: number): void => {
      const captured = bytes.subarray(Math.min(from, bytes.length));
      this.#writer.add({
        timestampNs,
        direction,
        comment,
        interfaceId: this.#interface(subject, way, layer),
        bytes: captured,
        // A codec that is wrong may leave any length: a reader takes none that is less than what is there.
        originalLength: Math.max(length - from, captured.length),
      });
    };
    this.#packets[way] += packet.packets;
    if (way === 'encap') put('inner', inner);
    if (way === 'decap' || inner > 0) put('outer', 0);
    if (way === 'decap' && inner > 0) put('inner', inner);
  }

  /** Says how many packets of each way are missing, as of now, in a capture of one tunnel or, with null, of all. */
  addLost(name: string | null, isEthernet: boolean, lost: { encap: number; decap: number }): void {
    for (const way of ['encap', 'decap'] as const) {
      if (lost[way] === 0) continue;
      this.#writer.addStatistics({
        interfaceId: this.#interface({ name: name ?? 'all', isEthernet }, way, 'outer'),
        timestampNs: toNs(Date.now()),
        received: this.#packets[way] + lost[way],
        dropped: lost[way],
      });
    }
  }

  #interface({ name, isEthernet }: RecordSubject, way: Way, layer: Layer): number {
    const title = `${name} ${way} ${layer}`;
    const known = this.#interfaces.get(title);
    if (known !== undefined) return known;
    const linkType = isEthernet && layer === 'inner' ? LINKTYPE_ETHERNET : LINKTYPE_RAW;
    const description = DESCRIPTIONS[`${way} ${layer}`];
    const id = this.#writer.addInterface({ name: title, linkType, description });
    this.#interfaces.set(title, id);
    return id;
  }
}

const DESCRIPTIONS: Readonly<Record<`${Way} ${Layer}`, string>> = {
  'encap inner': 'what the host sends into the tunnel',
  'encap outer': 'what leaves for the peer',
  'decap outer': 'what comes from the peer',
  'decap inner': 'what the host gets out of the tunnel',
};

/** `drop: gre-checksum; codec after 2.1 us; end after 40.3 us`. */
function commentOf({ reason, codecNs, endNs, packets }: RecordedPacket): string {
  const parts = [verdictOf(reason)];
  if (codecNs > 0) parts.push(`codec after ${us(codecNs)}`);
  if (endNs !== undefined) parts.push(`end after ${us(endNs)}`);
  if (packets !== 1) parts.push(`stands for ${packets} packets`);
  return parts.join('; ');
}

function verdictOf(reason: number | undefined): string {
  if (reason === undefined) return 'under way';
  if (reason === REASON_NONE) return 'forwarded';
  if (reason === REASON_LOCAL) return 'for the router itself';
  return `drop: ${dropName(reason)}`;
}

/** A codec that is wrong may leave any number as a reason: such a packet is counted as its fault. */
function dropName(reason: number): Reason | null {
  try {
    return reasonName(reason);
  } catch {
    return 'codec-fault';
  }
}

function us(ns: number): string {
  return `${(ns / 1000).toFixed(1)} us`;
}

/** A double has room for the time of day in microseconds. */
function toNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n;
}
