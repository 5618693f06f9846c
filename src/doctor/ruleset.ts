// What a ruleset of nftables does with one outer packet, as far as the rules alone tell: a match on what is not
// known of the packet (connection tracking, limits) may go either way.
import { type Address, addressBytes, contains, parseAddress, toBlock } from '../packet/address.js';

/** A packet between the two ends of a tunnel. */
export interface FirewallPacket {
  readonly hook: 'input' | 'output';
  readonly version: 4 | 6;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  /** The device it comes by or leaves by. */
  readonly device: string | undefined;
  /** UDP: port it goes to. */
  readonly port?: number;
}

export interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly prio?: number;
  readonly policy?: string;
  /** Of a chain of family netdev, or of the hooks ingress and egress. */
  readonly dev?: string | readonly string[];
}

/** A named set, or a verdict map, with what is in it. */
export interface NamedSet {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly elem?: readonly unknown[];
}

export interface Rule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expr: readonly unknown[];
}

export interface Ruleset {
  readonly chains: readonly Chain[];
  readonly rules: readonly Rule[];
  readonly sets?: readonly NamedSet[];
}

/** Why a packet does not get through; `rule` absent: the policy of the chain. */
export interface Blocked {
  readonly chain: Chain;
  readonly rule?: Rule;
  /** Only for packets that some match let pass, of which the packet is not known to be one. */
  readonly isCertain: boolean;
}

/** true, false, or undefined: not known. */
type Answer = boolean | undefined;
type Verdict = 'accept' | 'drop' | 'return' | 'continue';
interface End {
  readonly verdict: Verdict;
  readonly rule?: Rule;
}

/** Chains that a packet for the machine, or from it, passes beside those of its own hook. */
const HOOKS = {
  input: ['ingress', 'prerouting', 'input'],
  output: ['output', 'postrouting', 'egress'],
} as const;

/** Where `packet` ends; undefined: nothing is known to stop it. */
export function blockedBy(ruleset: Ruleset, packet: FirewallPacket): Blocked | undefined {
  const families = [packet.version === 4 ? 'ip' : 'ip6', 'inet', 'netdev'];
  const hooks: readonly string[] = HOOKS[packet.hook];
  const base = ruleset.chains
    .filter(
      ({ hook, family, dev }) =>
        hook !== undefined &&
        hooks.includes(hook) &&
        families.includes(family) &&
        (dev === undefined || [dev].flat().includes(packet.device ?? '')),
    )
    .sort(
      (a, b) =>
        hooks.indexOf(a.hook ?? '') - hooks.indexOf(b.hook ?? '') || (a.prio ?? 0) - (b.prio ?? 0),
    );
  for (const chain of base) {
    const walk = new Walk(ruleset, packet);
    const { verdict, rule } = walk.through(chain);
    if (verdict === 'drop') {
      return { chain, ...(rule === undefined ? {} : { rule }), isCertain: true };
    }
    const isPolicy = verdict === 'continue' || verdict === 'return';
    if (isPolicy && chain.policy === 'drop') return { chain, isCertain: !walk.mayHaveEnded };
  }
  return undefined;
}

/** Longest way through chains that call each other; nftables itself allows 16. */
const DEPTH_LIMIT = 16;

class Walk {
  /** A rule that may or may not match would have let the packet pass. */
  mayHaveEnded = false;
  readonly #ruleset: Ruleset;
  readonly #packet: FirewallPacket;

  constructor(ruleset: Ruleset, packet: FirewallPacket) {
    this.#ruleset = ruleset;
    this.#packet = packet;
  }

  through({ family, table, name }: Omit<Chain, 'hook'>, depth = 0): End {
    if (depth > DEPTH_LIMIT) return { verdict: 'continue' };
    const rules = this.#ruleset.rules.filter(
      (rule) => rule.family === family && rule.table === table && rule.chain === name,
    );
    for (const rule of rules) {
      const end = this.#rule(rule, depth);
      if (end.verdict === 'return') return { verdict: 'continue' };
      if (end.verdict !== 'continue') return end;
    }
    return { verdict: 'continue' };
  }

  #rule(rule: Rule, depth: number): End {
    let matches: Answer = true;
    const elementsOf = (name: string): Elements =>
      this.#ruleset.sets?.find(
        (one) => one.family === rule.family && one.table === rule.table && `@${one.name}` === name,
      )?.elem;
    for (const written of rule.expr.filter(isFields)) {
      const statement = isFields(written.vmap)
        ? mapped(written.vmap, this.#packet, elementsOf)
        : written;
      if (statement === null) continue;
      const answer = matchAnswer(statement, this.#packet, elementsOf);
      if (answer === false) return { verdict: 'continue' };
      if (answer === undefined) matches = undefined;
      const end = this.#verdict(rule, statement, depth);
      if (end === undefined) continue;
      if (matches === true) return end;
      if (end.verdict === 'accept') this.mayHaveEnded = true;
      return { verdict: 'continue' };
    }
    return { verdict: 'continue' };
  }

  /** What a statement decides; undefined: it decides nothing. */
  #verdict(rule: Rule, statement: Fields, depth: number): End | undefined {
    if ('accept' in statement) return { verdict: 'accept', rule };
    if ('drop' in statement || 'reject' in statement) return { verdict: 'drop', rule };
    if ('return' in statement) return { verdict: 'return', rule };
    const called = [statement.jump, statement.goto].find(isFields);
    if (called === undefined || typeof called.target !== 'string') return undefined;
    const end = this.through({ ...rule, name: called.target }, depth + 1);
    if (end.verdict !== 'continue') return end;
    return 'goto' in statement ? { verdict: 'return', rule } : undefined;
  }
}

type Fields = { readonly [key: string]: unknown };

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Statements that let every packet pass on, whatever it is. */
const PLAIN = [
  ...['counter', 'log', 'accept', 'drop', 'reject', 'return', 'jump', 'goto', 'mangle', 'notrack'],
];

/** What is in a named set; undefined: there is none of the name. */
type Elements = readonly unknown[] | undefined;
type ElementsOf = (name: string) => Elements;

/** The statement that a verdict map has for `packet`; null: none. One that is not known is no plain statement. */
function mapped({ key, data }: Fields, packet: FirewallPacket, elementsOf: ElementsOf) {
  const unknown: Fields = { vmap: null };
  const value = isFields(key) ? fieldOf(key, packet) : undefined;
  const pairs = typeof data === 'string' ? elementsOf(data) : isFields(data) ? data.set : undefined;
  if (value === undefined || !Array.isArray(pairs)) return unknown;
  if (value === null) return null;
  for (const pair of pairs) {
    const [left, verdict]: readonly unknown[] = Array.isArray(pair) ? pair : [];
    const is = isIn(value, left, elementsOf);
    if (is === undefined || (is && !isFields(verdict))) return unknown;
    if (is && isFields(verdict)) return verdict;
  }
  return null;
}

/** Whether `packet` gets past a statement. */
function matchAnswer(statement: Fields, packet: FirewallPacket, elementsOf: ElementsOf): Answer {
  if (!isFields(statement.match)) {
    return Object.keys(statement).some((key) => PLAIN.includes(key)) ? true : undefined;
  }
  const { op, left, right } = statement.match;
  const value = isFields(left) ? fieldOf(left, packet) : undefined;
  if (value === undefined) return undefined;
  if (value === null) return false;
  const is = isIn(value, right, elementsOf);
  if (is === undefined) return undefined;
  return op === '!=' ? !is : op === '==' || op === 'in' ? is : undefined;
}

/** What the packet has at the place that a match looks at; null: it has no such place; undefined: not known. */
function fieldOf(
  left: Fields,
  packet: FirewallPacket,
): string | number | Address | null | undefined {
  if (isFields(left.meta)) return metaOf(left.meta.key, packet);
  if (!isFields(left.payload)) return undefined;
  const { protocol, field } = left.payload;
  const version = protocol === 'ip' ? 4 : protocol === 'ip6' ? 6 : undefined;
  if (version !== undefined) {
    if (version !== packet.version) return null;
    if (field === 'protocol' || field === 'nexthdr') return packet.protocol;
    if (field === 'saddr') return parseAddress(packet.source) ?? undefined;
    return field === 'daddr' ? (parseAddress(packet.destination) ?? undefined) : undefined;
  }
  const number = PROTOCOLS[String(protocol)];
  if (number !== undefined && number !== packet.protocol) return null;
  return protocol === 'udp' && field === 'dport' ? packet.port : undefined;
}

function metaOf(key: unknown, packet: FirewallPacket): string | number | null | undefined {
  switch (key) {
    case 'l4proto':
      return packet.protocol;
    case 'nfproto':
      return packet.version === 4 ? 'ipv4' : 'ipv6';
    case 'iifname':
    case 'iif':
      return packet.hook === 'input' ? packet.device : null;
    case 'oifname':
    case 'oif':
      return packet.hook === 'output' ? packet.device : null;
    default:
      return undefined;
  }
}

/** Names that nft has for numbers of protocols. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  ...{ icmp: 1, igmp: 2, ipencap: 4, ipip: 4, tcp: 6, udp: 17, dccp: 33, ipv6: 41, gre: 47 },
  ...{ esp: 50, ah: 51, icmpv6: 58, 'ipv6-icmp': 58, sctp: 132, udplite: 136 },
};

/** Whether a value is the right side of a match, or among it. */
function isIn(value: string | number | Address, right: unknown, elementsOf: ElementsOf): Answer {
  if (Array.isArray(right)) return any(right.map((one) => isIn(value, one, elementsOf)));
  if (isFields(right)) {
    if (Array.isArray(right.set)) return isIn(value, right.set, elementsOf);
    // An element with a comment, a counter or a time that it has left.
    if (isFields(right.elem)) return isIn(value, right.elem.val, elementsOf);
    if (isFields(right.prefix)) return isInPrefix(value, right.prefix);
    if (Array.isArray(right.range)) return isInRange(value, right.range);
    return undefined;
  }
  if (typeof right !== 'string') return typeof value === 'number' ? value === right : undefined;
  if (right.startsWith('@')) {
    const elements = elementsOf(right);
    return elements === undefined ? undefined : isIn(value, elements, elementsOf);
  }
  if (typeof value === 'number')
    return PROTOCOLS[right] === undefined ? undefined : PROTOCOLS[right] === value;
  if (typeof value === 'object') return isSameAddress(value, right);
  return right.endsWith('*') ? value.startsWith(right.slice(0, -1)) : value === right;
}

function any(answers: readonly Answer[]): Answer {
  if (answers.includes(true)) return true;
  return answers.includes(undefined) ? undefined : false;
}

function isInPrefix(value: string | number | Address, { addr, len }: Fields): Answer {
  if (typeof value !== 'object' || typeof addr !== 'string' || typeof len !== 'number')
    return undefined;
  const block = toBlock({ address: addr, bits: len });
  return block === null
    ? undefined
    : block.version === value.version && contains(block, addressBytes(value));
}

function isInRange(value: string | number | Address, [from, to]: readonly unknown[]): Answer {
  if (typeof value === 'number' && typeof from === 'number' && typeof to === 'number') {
    return from <= value && value <= to;
  }
  const ends = [from, to].map((end) => (typeof end === 'string' ? parseAddress(end) : null));
  const [first, last] = ends;
  if (typeof value !== 'object' || !first || !last || first.version !== value.version)
    return undefined;
  const bytes = addressBytes(value);
  return (
    Buffer.compare(addressBytes(first), bytes) <= 0 &&
    Buffer.compare(bytes, addressBytes(last)) <= 0
  );
}

function isSameAddress(value: Address, text: string): Answer {
  const other = parseAddress(text);
  if (other === null) return undefined; // a name
  return (
    other.version === value.version &&
    Buffer.compare(addressBytes(other), addressBytes(value)) === 0
  );
}
