// Packets that ended at the router itself, by what they were:
//
//   keepalive   the peer's: back to the peer as it is, without a tunnel around it
//   answer      to a keepalive of ours: noted
//   probe       the answer to an echo request of ours: noted
//   reflect     back into the tunnel that it came by
//
// What goes on has one hop less left, as for any router.
import { LOCAL_ANSWER, LOCAL_KEEPALIVE, LOCAL_PROBE, LOCAL_REFLECT } from '../../asm/layout.js';
import { REASON_LOCAL } from '../../asm/reason.js';
import { checkInner, readInner, setTtl } from '../packet/inner.js';
import type { Dropped, Responder } from './aside.js';
import type { Board } from './board.js';
import type { Lane } from './lane.js';

const ECHO_HEADER = 8;

export class LocalPackets implements Responder {
  readonly #lane: Lane;
  readonly #board: Board;

  constructor(lane: Lane, board: Board) {
    this.#lane = lane;
    this.#board = board;
  }

  wants(reason: number): boolean {
    return reason === REASON_LOCAL;
  }

  onDecapDrop({ record, local, bytes }: Dropped): void {
    const { aside } = this.#lane;
    const row = this.#lane.ownerOf(record);
    this.#board.setLastHeard(row, Date.now());
    switch (local) {
      case LOCAL_KEEPALIVE:
        if (lowerTtl(bytes)) aside.sendBack(record, bytes);
        break;
      case LOCAL_REFLECT:
        if (lowerTtl(bytes)) aside.emit(record, bytes);
        break;
      case LOCAL_ANSWER:
        // A peer that answers by itself instead of sending ours back, as some do, says nothing but that.
        if (bytes.length === 0) this.#board.takeBare(row, 'keepalive');
        else this.#board.take(row, 'keepalive', bytes);
        break;
      case LOCAL_PROBE:
        this.#takeProbe(row, bytes);
        break;
    }
  }

  #takeProbe(record: number, bytes: Uint8Array): void {
    const inner = read(bytes);
    if (inner === null) return;
    this.#board.take(record, 'probe', inner.bytes.subarray(inner.headerLength + ECHO_HEADER));
  }
}

/** Takes one hop of the packet. Returns false when none would be left, or it is none of a codec's that is right. */
function lowerTtl(bytes: Uint8Array): boolean {
  const inner = read(bytes);
  if (inner === null || inner.ttl <= 1) return false;
  setTtl(inner, inner.ttl - 1);
  return true;
}

function read(bytes: Uint8Array): ReturnType<typeof readInner> | null {
  const version = (bytes[0] ?? 0) >>> 4 === 6 ? 6 : 4;
  return checkInner(bytes, version) === null ? readInner(bytes, version) : null;
}
