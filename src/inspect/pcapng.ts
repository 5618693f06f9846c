// pcapng (draft-ietf-opsawg-pcapng): blocks, each with its length in front and behind.
//
//   block    type | total length | body | total length
//   section  a section header block sets the byte order; interfaces are numbered from 0 inside it
//   packets  enhanced (6), simple (3) and the obsolete packet block (2); every other block is passed over
//
// Only what a packet needs is held: options behind a packet and unknown blocks are read past.
import { type ByteSource, CaptureError } from './byte-source.js';
import { type CapturedPacket, checkPacketLength } from './captured-packet.js';

export const PCAPNG_MAGIC = 0x0a0d0d0a;

const BLOCK_SECTION = PCAPNG_MAGIC; // the same in both byte orders
const BLOCK_INTERFACE = 1;
const BLOCK_PACKET = 2;
const BLOCK_SIMPLE_PACKET = 3;
const BLOCK_ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const BYTE_ORDER_SWAPPED = 0x4d3c2b1a;
const MAJOR = 1;

const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;

/** Type and length in front, length behind. */
const FRAME_SIZE = 12;
/** Largest interface block: its options are a few texts of at most 64 KiB each. */
const INTERFACE_LIMIT = 1024 * 1024;
/** Most interfaces of a section, so that a file of nothing else stays small in memory. */
const INTERFACE_CAPACITY = 65536;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  readonly time: Clock;
}

/** How a timestamp of an interface is read: units of 1/perSecond, after `offsetSeconds`. */
interface Clock {
  readonly perSecond: bigint;
  readonly offsetSeconds: bigint;
}

const MICROSECONDS: Clock = { perSecond: 1_000_000n, offsetSeconds: 0n };

/** Byte order and interfaces of the section that is being read. */
interface Section {
  readonly little: boolean;
  readonly interfaces: Interface[];
}

/** The packets of a pcapng file. The source stands at its first byte. */
export function* readPcapng(source: ByteSource): Generator<CapturedPacket, void> {
  let section: Section = { little: true, interfaces: [] };
  for (let number = 1; ; ) {
    const start = source.position;
    const frame = source.take(8, 'a block header');
    if (frame === null) return;
    const header = viewOf(frame);
    if (header.getUint32(0) === BLOCK_SECTION) {
      section = readSection(source, header, start);
      continue;
    }
    const { little } = section;
    const length = header.getUint32(4, little);
    checkBlockLength(length, FRAME_SIZE, start);
    const block = new Block(source, header.getUint32(0, little), length, section, start);
    const packet = readBlock(block, number);
    block.end();
    if (packet === null) continue;
    yield packet;
    number++;
  }
}

function readSection(source: ByteSource, header: DataView, start: number): Section {
  const lengthField = header.getUint32(4);
  const body = viewOf(source.require(8, 'a section header'));
  const order = body.getUint32(0);
  if (order !== BYTE_ORDER_MAGIC && order !== BYTE_ORDER_SWAPPED) {
    throw new CaptureError(`the section at byte ${start} has no byte-order magic`);
  }
  const little = order === BYTE_ORDER_SWAPPED;
  const length = little ? swap(lengthField) : lengthField;
  checkBlockLength(length, 28, start);
  const major = body.getUint16(4, little);
  if (major !== MAJOR)
    throw new CaptureError(`pcapng version ${major} is not known, only ${MAJOR}`);
  const section: Section = { little, interfaces: [] };
  const block = new Block(source, BLOCK_SECTION, length, section, start, 8);
  block.end();
  return section;
}

/** Reads what matters of a block; null when it holds no packet. */
function readBlock(block: Block, number: number): CapturedPacket | null {
  switch (block.type) {
    case BLOCK_INTERFACE:
      addInterface(block);
      return null;
    case BLOCK_ENHANCED_PACKET: {
      const fields = block.take(20);
      return readPacket(block, number, fields.getUint32(0, block.little), fields);
    }
    case BLOCK_PACKET: {
      // A drop count of 16 bits shares the word with the interface; the rest is as in its successor.
      const fields = block.take(20);
      return readPacket(block, number, fields.getUint16(0, block.little), fields);
    }
    case BLOCK_SIMPLE_PACKET:
      return readSimplePacket(block, number);
    default:
      return null;
  }
}

function addInterface(block: Block): void {
  const { interfaces } = block.section;
  if (interfaces.length === INTERFACE_CAPACITY) {
    throw new CaptureError(`more than ${INTERFACE_CAPACITY} interfaces at byte ${block.start}`);
  }
  if (block.left > INTERFACE_LIMIT) {
    throw new CaptureError(`the interface at byte ${block.start} claims ${block.left} bytes`);
  }
  const fields = block.take(8);
  const linkType = fields.getUint16(0, block.little);
  const snapLength = fields.getUint32(4, block.little);
  interfaces.push({ linkType, snapLength, time: readClock(block.take(block.left), block.little) });
}

/** Finds the clock among an interface's options: code and length (u16 each), value padded to 4. */
function readClock(options: DataView, little: boolean): Clock {
  let { perSecond, offsetSeconds } = MICROSECONDS;
  for (let offset = 0; offset + 4 <= options.byteLength; ) {
    const code = options.getUint16(offset, little);
    const length = options.getUint16(offset + 2, little);
    const value = offset + 4;
    if (code === 0 || value + length > options.byteLength) break;
    if (code === OPTION_TIME_RESOLUTION && length >= 1) {
      const power = options.getUint8(value);
      perSecond = (power & 0x80 ? 2n : 10n) ** BigInt(power & 0x7f);
    }
    if (code === OPTION_TIME_OFFSET && length >= 8) {
      offsetSeconds = options.getBigInt64(value, little);
    }
    offset = value + Math.ceil(length / 4) * 4;
  }
  return { perSecond, offsetSeconds };
}

/** Interface | timestamp high | timestamp low | captured | original | bytes | options. */
function readPacket(block: Block, number: number, id: number, fields: DataView): CapturedPacket {
  const { little } = block;
  const { linkType, snapLength, time } = interfaceOf(block, number, id);
  const units = (BigInt(fields.getUint32(4, little)) << 32n) | BigInt(fields.getUint32(8, little));
  const captured = fields.getUint32(12, little);
  const originalLength = fields.getUint32(16, little);
  return {
    number,
    timestampNs: time.offsetSeconds * 1_000_000_000n + (units * 1_000_000_000n) / time.perSecond,
    linkType,
    bytes: readBytes(block, number, captured, snapLength),
    originalLength,
  };
}

/** Original length | bytes: cut at the snap length of the first interface, without a time. */
function readSimplePacket(block: Block, number: number): CapturedPacket {
  const originalLength = block.take(4).getUint32(0, block.little);
  const { linkType, snapLength } = interfaceOf(block, number, 0);
  const captured = snapLength === 0 ? originalLength : Math.min(originalLength, snapLength);
  const bytes = readBytes(block, number, captured, snapLength);
  return { number, timestampNs: null, linkType, bytes, originalLength };
}

function interfaceOf(block: Block, number: number, id: number): Interface {
  const found = block.section.interfaces[id];
  if (found !== undefined) return found;
  const count = block.section.interfaces.length;
  throw new CaptureError(
    `packet ${number} at byte ${block.start} names interface ${id}, its section has ${count}`,
  );
}

function readBytes(block: Block, number: number, captured: number, snapLength: number): Uint8Array {
  checkPacketLength(captured, snapLength, number);
  if (captured > block.left) {
    throw new CaptureError(
      `packet ${number} at byte ${block.start} claims ${captured} bytes, its block has ${block.left}`,
    );
  }
  const view = block.take(captured);
  return new Uint8Array(view.buffer, view.byteOffset, captured).slice();
}

function checkBlockLength(length: number, least: number, start: number): void {
  if (length >= least && length % 4 === 0) return;
  throw new CaptureError(
    `the block at byte ${start} has length ${length}: a multiple of 4 from ${least} on is expected`,
  );
}

/** The body of one block while it is read. */
class Block {
  readonly #source: ByteSource;
  readonly #length: number;
  /** Bytes of the body that are not read yet. */
  left: number;

  constructor(
    source: ByteSource,
    readonly type: number,
    length: number,
    readonly section: Section,
    readonly start: number,
    alreadyRead = 0,
  ) {
    this.#source = source;
    this.#length = length;
    this.left = length - FRAME_SIZE - alreadyRead;
  }

  get little(): boolean {
    return this.section.little;
  }

  /** The next bytes of the body, valid until the next call. */
  take(length: number): DataView {
    if (length > this.left) {
      throw new CaptureError(
        `the block at byte ${this.start} has ${this.left} bytes where ${length} are needed`,
      );
    }
    this.left -= length;
    return viewOf(this.#source.require(length, `the block at byte ${this.start}`));
  }

  /** Passes over the rest and checks the length behind the block. */
  end(): void {
    const what = `the block at byte ${this.start}`;
    this.#source.skip(this.left, what);
    this.left = 0;
    const behind = viewOf(this.#source.require(4, what)).getUint32(0, this.little);
    if (behind === this.#length) return;
    throw new CaptureError(`${what} has length ${this.#length} in front but ${behind} behind`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function swap(word: number): number {
  return (
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
  );
}
