// A packet in words, as ip(8) and tcpdump have them.
//
//   packet    = received | sent
//   received  = MODE { outer } [ inner ]          what comes from the underlay
//   sent      = { field } [ inner ] "via" TUNNEL  what the host sends into a tunnel
//   MODE      = gre | gretap | ipip | sit | ip6gre | ip6gretap | ip4ip6 | ip6ip6 | gre-udp
//   outer     = field | "key" N | "seq" N | "csum" | "badcsum" | "type" N | "dev" NAME
//   inner     = ( "ip" | "icmp" | "icmp6" | "tcp" | "udp" | "proto" N )
//               { field | "length" N | "sport" N | "dport" N | "df" }
//   field     = "from" ADDRESS | "to" ADDRESS | "ttl" N | "tos" N | "fragment"
//
// A number is decimal or 0x hexadecimal; a key may be written as an address is.
import { didYouMean } from '../config/nearest.js';
import { addressBytes, parseAddress, parseIpv4 } from '../packet/address.js';
import { PROTOCOL_ICMP, PROTOCOL_ICMP6 } from '../packet/icmp.js';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../packet/ipv4.js';
import { MODE_NAMES, type Mode } from '../packet/tunnel.js';
import { EXIT, Failure } from '../sys/failure.js';

/** A part of a packet in words; what was not said is absent. */
export interface PartWords {
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  readonly ttl?: number;
  readonly tos?: number;
  readonly isFragment?: boolean;
}

export interface OuterWords extends PartWords {
  readonly key?: number;
  readonly sequence?: number;
  readonly checksum?: 'right' | 'wrong';
  readonly type?: number;
  readonly dev?: string;
}

export interface InnerWords extends PartWords {
  readonly protocol?: number;
  readonly length?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly dontFragment?: boolean;
}

export type PacketWords =
  | {
      readonly kind: 'received';
      readonly mode: Mode;
      readonly outer: OuterWords;
      readonly inner: InnerWords;
    }
  | { readonly kind: 'sent'; readonly tunnel: string; readonly inner: InnerWords };

const PROTOCOL_WORDS: ReadonlyMap<string, number | undefined> = new Map([
  ['ip', undefined],
  ['icmp', PROTOCOL_ICMP],
  ['icmp6', PROTOCOL_ICMP6],
  ['tcp', PROTOCOL_TCP],
  ['udp', PROTOCOL_UDP],
]);

/** Reads what follows a word. */
type Reader<Part> = (words: Words) => Part;

const FIELDS: ReadonlyMap<string, Reader<PartWords>> = new Map<string, Reader<PartWords>>([
  ['from', (words) => ({ from: words.address() })],
  ['to', (words) => ({ to: words.address() })],
  ['ttl', (words) => ({ ttl: words.number(255) })],
  ['tos', (words) => ({ tos: words.number(255) })],
  ['fragment', () => ({ isFragment: true })],
]);

const OUTER: ReadonlyMap<string, Reader<OuterWords>> = new Map<string, Reader<OuterWords>>([
  ...FIELDS,
  ['key', (words) => ({ key: words.key() })],
  ['seq', (words) => ({ sequence: words.number(0xffffffff) })],
  ['csum', () => ({ checksum: 'right' })],
  ['badcsum', () => ({ checksum: 'wrong' })],
  ['type', (words) => ({ type: words.number(0xffff) })],
  ['dev', (words) => ({ dev: words.value('the name of a device') })],
]);

const INNER: ReadonlyMap<string, Reader<InnerWords>> = new Map<string, Reader<InnerWords>>([
  ...FIELDS,
  ['length', (words) => ({ length: words.number(65535) })],
  ['sport', (words) => ({ sourcePort: words.number(65535) })],
  ['dport', (words) => ({ destinationPort: words.number(65535) })],
  ['df', () => ({ dontFragment: true })],
]);

export const WORDS_EXAMPLE =
  "grebe explain 'gre from 198.51.100.2 to 192.0.2.1 key 8 icmp from 10.20.0.5 to 10.9.0.1'";

/** Reads a packet in words. Throws a usage Failure that shows the place. */
export function parsePacketWords(text: string): PacketWords {
  const words = new Words(text);
  const first = words.peek();
  if (first === undefined) throw new Failure(EXIT.usage, 'explain: no packet', WORDS_EXAMPLE);
  const mode = MODE_NAMES.find((name) => name === first);
  if (mode === undefined) return parseSent(words);
  words.take();
  let outer: OuterWords = {};
  let inner: InnerWords | undefined;
  while (words.peek() !== undefined) {
    const begun = takeProtocol(words);
    if (begun !== undefined) inner = { ...inner, ...begun };
    else if (inner !== undefined) inner = { ...inner, ...takeField(INNER, words) };
    else outer = { ...outer, ...takeField(OUTER, words) };
  }
  return { kind: 'received', mode, outer, inner: inner ?? {} };
}

function parseSent(words: Words): PacketWords {
  let inner: InnerWords = {};
  let tunnel: string | undefined;
  for (let word = words.peek(); word !== undefined; word = words.peek()) {
    if (word === 'via') {
      words.take();
      tunnel = words.value('the name of a tunnel');
    } else {
      inner = { ...inner, ...(takeProtocol(words) ?? takeField(INNER, words, OPENINGS)) };
    }
  }
  if (tunnel !== undefined) return { kind: 'sent', tunnel, inner };
  words.fail(
    'says neither how it came nor where it goes',
    'a received packet begins with its mode: gre from ...; one that is sent says: via gre1',
  );
}

/** Words that only a whole packet in words has. */
const OPENINGS: readonly string[] = ['via', ...MODE_NAMES];

/** Takes the word that begins the inner packet, if that is the next one. */
function takeProtocol(words: Words): InnerWords | undefined {
  const word = words.peek() ?? '';
  if (word !== 'proto' && !PROTOCOL_WORDS.has(word)) return undefined;
  words.take();
  const protocol = word === 'proto' ? words.number(255) : PROTOCOL_WORDS.get(word);
  return protocol === undefined ? {} : { protocol };
}

/** Takes the next word and what belongs to it. */
function takeField<Part>(
  readers: ReadonlyMap<string, Reader<Part>>,
  words: Words,
  others: readonly string[] = [],
): Part {
  const word = words.peek() ?? '';
  const reader = readers.get(word);
  if (reader === undefined) {
    const known = [...readers.keys(), ...PROTOCOL_WORDS.keys(), 'proto', ...others];
    words.fail(
      `unknown word ${JSON.stringify(word)}${didYouMean(word, known)}`,
      `words here: ${known.join(', ')}`,
    );
  }
  words.take();
  return reader(words);
}

/** The words of a text, with the column of each for messages. */
class Words {
  readonly #text: string;
  readonly #words: readonly { readonly text: string; readonly column: number }[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#words = [...text.matchAll(/\S+/g)].map((match) => ({
      text: match[0],
      column: match.index + 1,
    }));
  }

  peek(): string | undefined {
    return this.#words[this.#next]?.text;
  }

  take(): void {
    this.#next++;
  }

  /** The next word, whatever it is. */
  value(what: string): string {
    const word = this.peek();
    const before = this.#words[this.#next - 1]?.text ?? '';
    if (word === undefined) this.fail(`${what} is missing behind "${before}"`, WORDS_EXAMPLE);
    this.take();
    return word;
  }

  number(most: number): number {
    const word = this.value('a number');
    const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(word) ? Number(word) : Number.NaN;
    if (value <= most) return value;
    return this.#reject(`${JSON.stringify(word)} is no number from 0 to ${most}`);
  }

  key(): number {
    const dotted = parseIpv4(this.peek() ?? '');
    if (dotted === null) return this.number(0xffffffff);
    this.take();
    return dotted;
  }

  address(): Uint8Array {
    const word = this.value('an address');
    const address = parseAddress(word);
    if (address !== null) return addressBytes(address);
    return this.#reject(`${JSON.stringify(word)} is no IPv4 or IPv6 address`);
  }

  /** Throws a usage Failure about the next word, or the end. */
  fail(message: string, hint: string): never {
    const column = this.#words[this.#next]?.column ?? this.#text.length + 1;
    const shown = `  ${this.#text}\n  ${' '.repeat(column - 1)}^`;
    throw new Failure(EXIT.usage, `explain: column ${column}: ${message}\n${shown}`, hint);
  }

  #reject(message: string): never {
    this.#next--;
    this.fail(message, WORDS_EXAMPLE);
  }
}
