import { EXIT, Failure } from '../sys/failure.js';
import { CaptureError, openFile } from './byte-source.js';

/** Longest packet that can be given as text: IPv4's largest. */
const PACKET_LIMIT = 65535;

/** `0x0010:` in front of a line of tcpdump -x: an offset, not bytes of the packet. */
const TCPDUMP_OFFSET = /^[ \t]*0x[0-9a-f]{4}:(?=[ \t]{2})/gim;
/** What people put between bytes: blanks, newlines, colons, commas, and `0x` in front of each. */
const SEPARATORS = /[\s:,]+|\b0x/gi;

/** Most text that hex digits of one packet can take, separators included. */
const TEXT_LIMIT = 1024 * 1024;

/** The bytes of a packet in hex digits, or with `-` of those on the standard input. */
export function readHex(text: string, command: 'decode' | 'explain'): Uint8Array {
  return parseHex(text === '-' ? readText('-') : text, command);
}

/** The bytes of a packet written in hex digits. Throws a usage Failure that shows what is wrong. */
export function parseHex(text: string, command = 'decode'): Uint8Array {
  const hint = `grebe ${command} --hex '45 00 00 1c ...', beginning at the outer IP header`;
  const digits = text.replace(TCPDUMP_OFFSET, '').replace(SEPARATORS, '');
  const strange = /[^0-9a-f]/i.exec(digits);
  if (strange !== null) {
    throw new Failure(EXIT.usage, `--hex: ${JSON.stringify(strange[0])} is no hex digit`, hint);
  }
  if (digits.length === 0) throw new Failure(EXIT.usage, '--hex: no bytes given', hint);
  if (digits.length % 2 !== 0) {
    throw new Failure(EXIT.usage, `--hex: ${digits.length} digits are no whole bytes`, hint);
  }
  if (digits.length > PACKET_LIMIT * 2) {
    throw new Failure(
      EXIT.usage,
      `--hex: ${digits.length / 2} bytes are more than a packet holds (${PACKET_LIMIT})`,
      hint,
    );
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

/** Everything a file or standard input holds, as text. */
function readText(path: string): string {
  const { source, close } = openFile(path);
  try {
    const bytes = source.peek(TEXT_LIMIT + 1);
    if (bytes.length <= TEXT_LIMIT) return Buffer.from(bytes).toString('latin1');
    throw new Failure(
      EXIT.usage,
      '--hex: standard input is longer than any packet',
      'head -c 200000',
    );
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    throw new Failure(EXIT.noInput, `--hex: standard input ${error.message}`);
  } finally {
    close();
  }
}
