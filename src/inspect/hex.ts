import { EXIT, Failure } from '../sys/failure.js';

/** Longest packet that can be given as text: IPv4's largest. */
const PACKET_LIMIT = 65535;

/** `0x0010:` in front of a line of tcpdump -x: an offset, not bytes of the packet. */
const TCPDUMP_OFFSET = /^[ \t]*0x[0-9a-f]{4}:(?=[ \t]{2})/gim;
/** What people put between bytes: blanks, newlines, colons, commas, and `0x` in front of each. */
const SEPARATORS = /[\s:,]+|\b0x/gi;

const HINT = "grebe decode --hex '45 00 00 1c ...', beginning at the outer IP header";

/** The bytes of a packet written in hex digits. Throws a usage Failure that shows what is wrong. */
export function parseHex(text: string): Uint8Array {
  const digits = text.replace(TCPDUMP_OFFSET, '').replace(SEPARATORS, '');
  const strange = /[^0-9a-f]/i.exec(digits);
  if (strange !== null) {
    throw new Failure(EXIT.usage, `--hex: ${JSON.stringify(strange[0])} is no hex digit`, HINT);
  }
  if (digits.length === 0) throw new Failure(EXIT.usage, '--hex: no bytes given', HINT);
  if (digits.length % 2 !== 0) {
    throw new Failure(EXIT.usage, `--hex: ${digits.length} digits are no whole bytes`, HINT);
  }
  if (digits.length > PACKET_LIMIT * 2) {
    throw new Failure(
      EXIT.usage,
      `--hex: ${digits.length / 2} bytes are more than a packet holds (${PACKET_LIMIT})`,
      HINT,
    );
  }
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}
