// grebe decode: tunnel packets of a capture or of hex digits, one line each, with their verdicts
//
//   1. optionsOf       the tunnels of a config, if one is given
//   2. decodeCapture   capture -> link layer -> IP bytes; or readHex: one packet
//   3. Report.packet   header fields and the verdict: JSON or a line for people; what is no tunnel keeps its number and is
//                      not shown
//   4. Report.summary  what was read, what was dropped and what could not be looked into, to stderr
import type { Paint } from '../config/diagnostic.js';
import type { Decoded, DecodeOptions } from '../packet/decode.js';
import { createState } from '../packet/state.js';
import { createTable } from '../packet/table.js';
import { EXIT, type ExitCode, Failure } from '../sys/failure.js';
import { type ByteSource, CaptureError, openFile } from './byte-source.js';
import { readCapture } from './capture.js';
import { decodeCaptured } from './cut.js';
import { formatPacket } from './format-packet.js';
import { readHex } from './hex.js';
import { ipOffset, isKnownLinkType } from './link.js';
import { loadTunnels } from './tunnels.js';

export interface DecodeCommand {
  /** A pcap or pcapng file, `-` for standard input. */
  readonly file?: string;
  /** Hex digits of one packet from its outer IP header on, `-` for standard input. */
  readonly hex?: string;
  readonly json: boolean;
  /** A config whose tunnels judge the packets; otherwise their form alone does. */
  readonly config?: string;
  /** Colours lines of data. */
  readonly paint?: Paint;
  /** Takes lines of data. */
  readonly out: (line: string) => void;
  /** Takes lines of messages. */
  readonly warn: (line: string) => void;
}

/** Packets after which other work of the process gets its turn: writing to a pipe that closed, signals. */
const BREATH = 256;

/**
 * Decodes every tunnel packet of a capture file or of hex digits. Returns 0 whatever the verdicts. Throws a
 * Failure for a missing file, bad hex, a bad config, and, after all that could be read is printed, for a
 * file that cannot be read to its end.
 */
export async function runDecode(command: DecodeCommand): Promise<ExitCode> {
  if ((command.file === undefined) === (command.hex === undefined)) {
    throw new Failure(
      EXIT.usage,
      'decode: give either a capture file or --hex',
      'grebe decode FILE.pcap, or grebe decode --hex 4500...',
    );
  }
  const report = new Report(command, await optionsOf(command));
  if (command.hex !== undefined) {
    const bytes = readHex(command.hex, 'decode');
    report.packet(1, bytes, bytes.length);
    if (report.shown === 0) command.warn('no tunnel packet: it holds no GRE, IPIP or SIT');
    return EXIT.ok;
  }
  return decodeFile(command.file ?? '-', command, report);
}

async function optionsOf({ config: file, warn }: DecodeCommand): Promise<DecodeOptions> {
  if (file === undefined) return {};
  const { tunnels } = await loadTunnels(file, warn);
  return { tunnels: createTable(tunnels), state: createState() };
}

async function decodeFile(file: string, command: DecodeCommand, report: Report): Promise<ExitCode> {
  const { name, source, close } = openFile(file);
  try {
    await decodeCapture(source, report);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    throw new Failure(EXIT.failed, `${name}: ${error.message}`, error.hint?.replace('FILE', file));
  } finally {
    close();
    for (const line of report.summary()) command.warn(`${name}: ${line}`);
  }
}

async function decodeCapture(source: ByteSource, report: Report): Promise<void> {
  for (const { number, linkType, bytes, originalLength } of readCapture(source)) {
    if (isKnownLinkType(linkType)) {
      const offset = ipOffset(linkType, bytes);
      if (offset === null) report.other();
      else report.packet(number, bytes.subarray(offset), originalLength - offset);
    } else {
      report.unknownLink(linkType);
    }
    if (number % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Prints packets and keeps what the summary says of them. */
class Report {
  readonly #command: DecodeCommand;
  readonly #options: DecodeOptions;
  readonly #drops = new Map<string, number>();
  readonly #unknownLinks = new Map<number, number>();
  #read = 0;
  #shown = 0;

  constructor(command: DecodeCommand, options: DecodeOptions) {
    this.#command = command;
    this.#options = options;
  }

  /** Tunnel packets printed so far. */
  get shown(): number {
    return this.#shown;
  }

  /** A packet from its IP header on, of which `originalLength` bytes were on the wire. */
  packet(number: number, bytes: Uint8Array, originalLength: number): void {
    this.#read++;
    const decoded = decodeCaptured(bytes, originalLength, this.#options);
    if (decoded === null) return;
    this.#shown++;
    if (decoded.reason !== null) count(this.#drops, decoded.reason);
    this.#command.out(this.#format(number, decoded));
  }

  /** A packet without IP. */
  other(): void {
    this.#read++;
  }

  /** A packet of a link layer that is not understood. */
  unknownLink(linkType: number): void {
    this.#read++;
    if (!this.#unknownLinks.has(linkType)) {
      this.#command.warn(
        `link type ${linkType} is not supported, its packets are skipped ` +
          '(Ethernet, raw IP, Linux cooked and null/loop are)',
      );
    }
    count(this.#unknownLinks, linkType);
  }

  summary(): string[] {
    const dropped = [...this.#drops.values()].reduce((sum, drops) => sum + drops, 0);
    const reasons = [...this.#drops]
      .sort(([, a], [, b]) => b - a)
      .map(([reason, drops]) => `${reason} ${drops}`);
    const lines = [
      `${this.#read} packets, ${this.#shown} of tunnels: ${this.#shown - dropped} ok, ${dropped} to drop` +
        (reasons.length === 0 ? '' : ` (${reasons.join(', ')})`),
    ];
    for (const [linkType, skipped] of this.#unknownLinks) {
      lines.push(`${skipped} packets skipped for their link type ${linkType}`);
    }
    return lines;
  }

  #format(number: number, decoded: Decoded): string {
    if (!this.#command.json) {
      return formatPacket(number, decoded, this.#command.paint ?? ((_style, text) => text));
    }
    return JSON.stringify({ schema: 'grebe.packet/1', n: number, ...decoded });
  }
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
