// A pcapng stream of this router as it passes by: cut into whole blocks, and its packets counted.
const BLOCK_INTERFACE = 1;
const BLOCK_STATISTICS = 5;
const BLOCK_ENHANCED_PACKET = 6;
const OPTION_INTERFACE_NAME = 2;
const OPTION_DROPPED = 5;
/** Every packet is on one interface of these, whatever other form it has. */
const COUNTED = / (encap inner|decap outer)$/;

export class CaptureCount {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #isCounted: boolean[] = [];
  readonly #dropped = new Map<number, number>();
  #packets = 0;

  /** Packets that passed. */
  get packets(): number {
    return this.#packets;
  }

  /** Packets that the router says are missing. */
  get lost(): number {
    return [...this.#dropped.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The whole blocks that there are with `bytes`; the rest is kept for the next call. */
  take(bytes: Uint8Array): Uint8Array {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    let end = 0;
    while (end + 12 <= all.length) {
      const length = view.getUint32(end + 4, true);
      if (length < 12 || end + length > all.length) break;
      this.#count(new DataView(all.buffer, all.byteOffset + end, length));
      end += length;
    }
    this.#rest = all.slice(end);
    return all.subarray(0, end);
  }

  #count(block: DataView): void {
    switch (block.getUint32(0, true)) {
      case BLOCK_INTERFACE: {
        const name = option(block, 16, OPTION_INTERFACE_NAME);
        this.#isCounted.push(name !== undefined && COUNTED.test(new TextDecoder().decode(name)));
        break;
      }
      case BLOCK_ENHANCED_PACKET:
        if (this.#isCounted[block.getUint32(8, true)] === true) this.#packets++;
        break;
      case BLOCK_STATISTICS: {
        const count = option(block, 20, OPTION_DROPPED);
        if (count === undefined || count.byteLength < 8) break;
        const id = block.getUint32(8, true);
        this.#dropped.set(
          id,
          Number(new DataView(count.buffer, count.byteOffset).getBigUint64(0, true)),
        );
        break;
      }
    }
  }
}

/** The value of the option `code` of a block whose options begin at `at`. */
function option(block: DataView, at: number, code: number): Uint8Array | undefined {
  const end = block.byteLength - 4;
  for (let next = at; next + 4 <= end; ) {
    const found = block.getUint16(next, true);
    const length = block.getUint16(next + 2, true);
    if (found === 0 || next + 4 + length > end) return undefined;
    if (found === code) return new Uint8Array(block.buffer, block.byteOffset + next + 4, length);
    next += 4 + Math.ceil(length / 4) * 4;
  }
  return undefined;
}
