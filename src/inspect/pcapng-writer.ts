// Writes pcapng: one section, any number of interfaces, enhanced packet blocks with times in ns.
// Little-endian, like the machines it is written on; readers take either.
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure } from '../sys/failure.js';

/** LINKTYPE_ETHERNET: packets begin with the Ethernet header. */
export const LINKTYPE_ETHERNET = 1;
/** LINKTYPE_RAW: packets begin with the IP header, version 4 or 6. */
export const LINKTYPE_RAW = 101;

export interface CaptureInterface {
  readonly name: string;
  readonly description?: string;
  readonly linkType: number;
}

export interface CapturePacket {
  /** What `addInterface` returned. */
  readonly interfaceId: number;
  /** Time since 1970. */
  readonly timestampNs: bigint;
  readonly bytes: Uint8Array;
  /** Bytes on the wire, where only some were kept. */
  readonly originalLength?: number;
  /** Seen from the interface: `rx` it received, `tx` it sent. */
  readonly direction?: 'rx' | 'tx';
  readonly comment?: string;
}

/** What is known of an interface up to a moment; a later one of the same interface replaces it. */
export interface CaptureStatistics {
  readonly interfaceId: number;
  readonly timestampNs: bigint;
  /** Packets that passed, those that are missing included. */
  readonly received: number;
  /** Packets that are missing: they came too fast. */
  readonly dropped: number;
}

const BLOCK_SECTION = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const BLOCK_STATISTICS = 5;
const BLOCK_ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPTION_COMMENT = 1;
const OPTION_PACKET_FLAGS = 2;
const OPTION_INTERFACE_NAME = 2;
const OPTION_INTERFACE_DESCRIPTION = 3;
const OPTION_APPLICATION = 4;
const OPTION_TIME_RESOLUTION = 9;
const OPTION_RECEIVED = 4;
const OPTION_DROPPED = 5;

/** 10^-9 s. */
const RESOLUTION_NS = 9;
/** Longest text of an option: its length is a u16. */
const TEXT_LIMIT = 65535;
/** Bytes gathered before they are written. */
const BUFFER_SIZE = 256 * 1024;

/** Takes blocks as they are made. */
export type WriteBlock = (block: Uint8Array) => void;

/** A capture that is being written. `application` names the writer in the section header. */
export class CaptureWriter {
  readonly #write: WriteBlock;
  #interfaces = 0;

  constructor(write: WriteBlock, application: string) {
    this.#write = write;
    write(encodeSection(application));
  }

  /** Adds an interface and returns its number for packets. */
  addInterface(description: CaptureInterface): number {
    this.#write(encodeInterface(description));
    return this.#interfaces++;
  }

  add(packet: CapturePacket): void {
    this.#write(encodePacket(packet));
  }

  addStatistics(statistics: CaptureStatistics): void {
    this.#write(encodeStatistics(statistics));
  }
}

/** A capture file that is being written. Throws a Failure that names the file when the disk refuses. */
export class CaptureFile extends CaptureWriter {
  readonly #file: BufferedFile;

  constructor(path: string, application: string) {
    const file = new BufferedFile(path);
    super((block) => file.write(block), application);
    this.#file = file;
  }

  /** Writes out what is gathered and closes the file. */
  close(): void {
    this.#file.close();
  }
}

class BufferedFile {
  readonly #path: string;
  readonly #fd: number;
  #blocks: Uint8Array[] = [];
  #size = 0;

  constructor(path: string) {
    this.#path = path;
    this.#fd = this.#guard(() => openSync(path, 'w', 0o644));
  }

  write(block: Uint8Array): void {
    this.#blocks.push(block);
    this.#size += block.length;
    if (this.#size >= BUFFER_SIZE) this.#flush();
  }

  close(): void {
    try {
      this.#flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#blocks);
    this.#blocks = [];
    this.#size = 0;
    this.#guard(() => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    });
  }

  #guard<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      const cause = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      throw new Failure(
        EXIT.failed,
        `${this.#path}: cannot be written (${cause})`,
        `df -h ${dirname(this.#path)}`,
      );
    }
  }
}

/** Magic | major, minor | section length (unknown) | options. */
function encodeSection(application: string): Uint8Array {
  const body = new DataView(new ArrayBuffer(16));
  body.setUint32(0, BYTE_ORDER_MAGIC, true);
  body.setUint16(4, 1, true);
  body.setBigInt64(8, -1n, true);
  return encodeBlock(BLOCK_SECTION, [toBytes(body), encodeText(OPTION_APPLICATION, application)]);
}

/** Link type | reserved | snap length (none) | options. */
function encodeInterface({ linkType, name, description }: CaptureInterface): Uint8Array {
  const body = new DataView(new ArrayBuffer(8));
  body.setUint16(0, linkType, true);
  const parts = [toBytes(body), encodeText(OPTION_INTERFACE_NAME, name)];
  if (description !== undefined) parts.push(encodeText(OPTION_INTERFACE_DESCRIPTION, description));
  parts.push(encodeOption(OPTION_TIME_RESOLUTION, Uint8Array.of(RESOLUTION_NS)));
  return encodeBlock(BLOCK_INTERFACE, parts);
}

/** Bytes of an enhanced packet block without packet and options: type, length, five words, length. */
const PACKET_BLOCK = 32;
const OPTION_HEADER = 4;

/**
 * Type | length | interface | time high | time low | captured | original | bytes | options | length. In one piece, other
 * than the blocks that a capture has few of.
 */
function encodePacket(packet: CapturePacket): Uint8Array {
  const { bytes, direction, comment, timestampNs } = packet;
  const text = comment === undefined ? undefined : toText(comment);
  const flagsSize = direction === undefined ? 0 : OPTION_HEADER + 4;
  const textSize = text === undefined ? 0 : OPTION_HEADER + padding(text.length);
  const endSize = flagsSize + textSize === 0 ? 0 : OPTION_HEADER;
  const length = PACKET_BLOCK + padding(bytes.length) + flagsSize + textSize + endSize;
  const block = Buffer.allocUnsafe(length);
  block.writeUInt32LE(BLOCK_ENHANCED_PACKET, 0);
  block.writeUInt32LE(length, 4);
  block.writeUInt32LE(packet.interfaceId, 8);
  block.writeUInt32LE(Number((timestampNs >> 32n) & 0xffffffffn), 12);
  block.writeUInt32LE(Number(timestampNs & 0xffffffffn), 16);
  block.writeUInt32LE(bytes.length, 20);
  block.writeUInt32LE(packet.originalLength ?? bytes.length, 24);
  let at = putPadded(block, 28, bytes);
  if (direction !== undefined) {
    at = putOptionHeader(block, at, OPTION_PACKET_FLAGS, 4);
    // Bits 0-1 of the flags: 1 inbound, 2 outbound.
    at = block.writeUInt32LE(direction === 'rx' ? 1 : 2, at);
  }
  if (text !== undefined) {
    at = putPadded(block, putOptionHeader(block, at, OPTION_COMMENT, text.length), text);
  }
  if (endSize > 0) at = block.writeUInt32LE(0, at); // end of options
  block.writeUInt32LE(length, at);
  return block;
}

function putOptionHeader(block: Buffer, at: number, code: number, length: number): number {
  block.writeUInt16LE(code, at);
  return block.writeUInt16LE(length, at + 2);
}

/** Writes bytes and zeros up to a multiple of 4. Returns where they end. */
function putPadded(block: Buffer, at: number, bytes: Uint8Array): number {
  const end = at + padding(bytes.length);
  block.set(bytes, at);
  block.fill(0, at + bytes.length, end);
  return end;
}

/** `length` rounded up to a multiple of 4. */
function padding(length: number): number {
  return (length + 3) & ~3;
}

/** Interface | time high | time low | options. */
function encodeStatistics(statistics: CaptureStatistics): Uint8Array {
  const { interfaceId, timestampNs, received, dropped } = statistics;
  const body = new DataView(new ArrayBuffer(12));
  body.setUint32(0, interfaceId, true);
  body.setUint32(4, Number((timestampNs >> 32n) & 0xffffffffn), true);
  body.setUint32(8, Number(timestampNs & 0xffffffffn), true);
  return encodeBlock(BLOCK_STATISTICS, [
    toBytes(body),
    encodeCount(OPTION_RECEIVED, received),
    encodeCount(OPTION_DROPPED, dropped),
  ]);
}

function encodeCount(code: number, count: number): Uint8Array {
  const value = new DataView(new ArrayBuffer(8));
  value.setBigUint64(0, BigInt(count), true);
  return encodeOption(code, toBytes(value));
}

/** Type | length | body, its options closed by an end of options | length. */
function encodeBlock(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 16);
  const block = new Uint8Array(length);
  const view = new DataView(block.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let offset = 8;
  for (const part of parts) {
    block.set(part, offset);
    offset += part.length;
  }
  view.setUint32(length - 4, length, true);
  return block;
}

function encodeText(code: number, text: string): Uint8Array {
  return encodeOption(code, toText(text));
}

/** The bytes of a text, as many as an option holds. */
function toText(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  if (bytes.length <= TEXT_LIMIT) return bytes;
  // INVARIANT: a cut inside a character decodes to U+FFFD; three bytes are kept free for it.
  return Buffer.from(new TextDecoder().decode(bytes.subarray(0, TEXT_LIMIT - 3)));
}

/** Code | length | value, padded to 4. */
function encodeOption(code: number, value: Uint8Array): Uint8Array {
  const option = new Uint8Array(4 + Math.ceil(value.length / 4) * 4);
  const view = new DataView(option.buffer);
  view.setUint16(0, code, true);
  view.setUint16(2, value.length, true);
  option.set(value, 4);
  return option;
}

function toBytes(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
