// Lines of ip(8) -> drafts of tunnels, and notes of what they do not hold.
//
//   1. readStatements   the shell's part: quotes, comments, several commands in a line
//   2. readIp           options of ip itself, object and verb, shortened as ip takes them
//   3. tunnel, link     make and change drafts
//   4. address, route   belong to a draft, in the order of the lines
//      neigh

import { createDraft, type Draft, type Kind, type Note, Refusal, Skip } from './draft.js';
import { addAddress, addNeighbour, addRoute, type Inner, setLink } from './inner.js';
import { applyOption, findOption, type Lose } from './option.js';
import { readStatements, type Statement } from './statement.js';
import { quote } from './value.js';

/** What `ip` would refuse, by line. */
export interface RefusedLine {
  readonly line: number;
  readonly message: string;
}

export interface Imported {
  readonly drafts: readonly Draft[];
  readonly notes: readonly Note[];
  readonly refused: readonly RefusedLine[];
}

/** One command of ip(8). */
export interface IpCommand {
  readonly line: number;
  /** As `-6` or `-f inet6` has it. */
  readonly isIpv6: boolean;
  readonly object: string;
  readonly verb: string;
  /** Words behind the verb. */
  readonly words: readonly string[];
  /** All of it, for messages. */
  readonly text: string;
}

/** Reads lines of ip(8). Nothing is thrown: what is wrong is in `refused`. */
export function readInput(text: string): Imported {
  const drafts = new Map<string, Draft>();
  const notes: Note[] = [];
  const refused: RefusedLine[] = [];
  for (const statement of readStatements(text)) {
    const { line, words } = statement;
    try {
      const command = readIp(statement, notes);
      if (command !== undefined) run(command, { drafts, notes });
    } catch (error) {
      if (error instanceof Skip) notes.push({ line, words: words.join(' '), why: error.message });
      else if (error instanceof Refusal) refused.push({ line, message: error.message });
      else throw error;
    }
  }
  return { drafts: [...drafts.values()], notes, refused };
}

/** Objects of ip(8), in the order in which it looks for a shortened one. */
const OBJECTS = [
  ...['address', 'addrlabel', 'maddress', 'route', 'rule', 'neighbor', 'neighbour', 'ntable'],
  ...['link', 'l2tp', 'fou', 'macsec', 'tunnel', 'tunl', 'tuntap', 'token', 'tcp_metrics'],
  ...['monitor', 'xfrm', 'mroute', 'mrule', 'netns', 'netconf', 'vrf', 'nexthop', 'sr'],
];
/** Those that are read. */
const READ = ['address', 'route', 'neighbor', 'neighbour', 'link', 'fou', 'tunnel', 'tunl'];
/** Their verbs, in the same order. */
const VERBS = [
  'add',
  'append',
  'change',
  'chg',
  'replace',
  'prepend',
  'delete',
  'set',
  'flush',
  'prl',
  '6rd',
];
/** They change nothing. */
const QUESTIONS = ['show', 'list', 'lst', 'get', 'help', 'save', 'test'];
/** What may stand in front of `ip`. */
const PREFIXES = ['sudo', 'doas', '$', 'exec'];
const OTHER_NAMESPACE = 'grebe makes devices in its own namespace: ip netns exec NAME grebe run';
/** Commands that do nothing. */
const NOTHING = ['true', ':', 'exit'];
/** Lines of `ip -batch` begin with their object, written well enough to be no other program. */
const BATCH = /^(tun[nel]*|link|addr[es]*|route|neigh[bour]*)$/;

function readIp({ line, words }: Statement, notes: Note[]): IpCommand | undefined {
  const text = words.join(' ');
  const start = words.findIndex((word) => !PREFIXES.includes(word));
  const program = words[start] ?? '';
  if (program.startsWith('#')) throw new Skip('it is a comment; without the # it is read');
  if (NOTHING.includes(program)) return undefined;
  const isIp = /^(.*\/)?ip$/.test(program);
  if (!isIp && !BATCH.test(program)) {
    throw new Skip(
      /modprobe$/.test(program)
        ? 'grebe needs no kernel module'
        : 'grebe reads lines of ip(8) alone: see to this one yourself',
    );
  }
  const variable = words.find((word) => /[$`]/.test(word) && word !== '$');
  if (variable !== undefined) throw new Refusal(quote(variable));
  let at = start + (isIp ? 1 : 0);
  let isIpv6 = false;
  for (; words[at]?.startsWith('-'); at++) {
    const option = (words[at] ?? '').replace(/^--?/, '');
    if (option === '6') isIpv6 = true;
    else if (option === '') continue;
    else if ('family'.startsWith(option)) isIpv6 = words[++at] === 'inet6';
    else if ('netns'.startsWith(option)) {
      notes.push({ line, words: `-${option} ${words[++at]}`, why: OTHER_NAMESPACE });
    } else if ('batch'.startsWith(option)) {
      throw new Refusal(`${text}: give the file itself: grebe import FILE`);
    }
  }
  const object = expand(words[at] ?? '', OBJECTS, 'object');
  const verbWord = words[at + 1] ?? 'show';
  if (object === 'netns' && verbWord.length > 1 && 'exec'.startsWith(verbWord)) {
    notes.push({ line, words: words.slice(at, at + 3).join(' '), why: OTHER_NAMESPACE });
    return readIp({ line, words: words.slice(at + 3) }, notes);
  }
  const isSet = object === 'link' && 'set'.startsWith(verbWord);
  if (!isSet && QUESTIONS.some((one) => one.startsWith(verbWord))) return undefined;
  if (!READ.includes(object)) throw new Skip(`a config has nothing for ip ${object}`);
  const verb = expand(verbWord, VERBS, `verb of ip ${object}`);
  return { line, isIpv6, object, verb, words: words.slice(at + 2), text };
}

function expand(word: string, known: readonly string[], what: string): string {
  const found = known.includes(word) ? word : known.find((one) => one.startsWith(word));
  if (found !== undefined && word !== '') return found;
  throw new Refusal(`${quote(word)} is no ${what}`);
}

function run(command: IpCommand, inner: Inner): void {
  const { object, verb, text } = command;
  if (verb === 'flush') throw new Skip('lines before it stay as they are');
  if (object === 'tunnel' || object === 'tunl') runTunnel(command, inner);
  else if (object === 'link') runLink(command, inner);
  else if (object === 'address') addAddress(command, inner);
  else if (object === 'route') addRoute(command, inner);
  else if (object.startsWith('neighb')) addNeighbour(command, inner);
  else if (!/\bport 4754\b/.test(text) || !/\bipproto (47|gre)\b/.test(text)) {
    throw new Skip('grebe listens on UDP port 4754, for GRE alone');
  }
}

/** What a word stands for; words such as `constructor` for nothing. */
function wordIn<T>(words: { readonly [word: string]: T }, word: string): T | undefined {
  return Object.hasOwn(words, word) ? words[word] : undefined;
}

/** Modes of `ip tunnel`; the part behind the slash is what carries. */
const TUNNEL_MODES: { readonly [mode: string]: Kind } = {
  ipip: 'ipip',
  'ip/ip': 'ipip',
  gre: 'gre',
  'gre/ip': 'gre',
  sit: 'sit',
  'ipv6/ip': 'sit',
  isatap: 'sit',
  ip6ip6: 'ip6ip6',
  'ipv6/ipv6': 'ip6ip6',
  ipip6: 'ip4ip6',
  ip4ip6: 'ip4ip6',
  'ip/ipv6': 'ip4ip6',
  'ipv4/ipv6': 'ip4ip6',
  ip6gre: 'ip6gre',
  'gre/ipv6': 'ip6gre',
  any: 'ip6tnl',
  'any/ipv6': 'ip6tnl',
};

/**
 * The kind that `mode` stands for, in words of ip(8) or as a config has it; without one what `ip tunnel` makes of the
 * name. Undefined: none.
 */
export function kindOfMode(
  mode: string | undefined,
  name: string,
  isOver6: boolean,
): Kind | undefined {
  if (mode === undefined) return kindByName(name, isOver6);
  if (mode === 'gre-udp') return isOver6 ? 'ip6gre' : 'gre';
  return wordIn(TUNNEL_MODES, mode) ?? wordIn(FRAME_MODES, mode);
}

/** `ip tunnel` makes none, but a config has them. */
const FRAME_MODES: { readonly [mode: string]: Kind } = { gretap: 'gretap', ip6gretap: 'ip6gretap' };

function runTunnel(command: IpCommand, inner: Inner): void {
  const { verb, words, isIpv6, line } = command;
  if (verb === 'prl' || verb === '6rd') throw new Skip('grebe has no ISATAP and no 6rd');
  const options: string[] = [];
  let mode: string | undefined;
  let name: string | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === 'mode') mode = words[++at];
    else if (findOption(word, false) !== undefined) {
      options.push(word);
      if (!findOption(word, false)?.isFlag) options.push(...words.slice(++at, at + 1));
    } else if (name === undefined) name = word === 'name' ? words[++at] : word;
    else
      throw new Refusal(`${quote(word)} is no word of ip tunnel, and the name is ${name} already`);
  }
  if (verb === 'delete') {
    inner.drafts.delete(name ?? '');
    return;
  }
  const old = name === undefined || verb === 'add' ? undefined : inner.drafts.get(name);
  const kind =
    mode === undefined ? (old?.kind ?? kindByName(name, isIpv6)) : wordIn(TUNNEL_MODES, mode);
  if (name === undefined) throw new Refusal('the tunnel has no name');
  if (mode !== undefined && /^vti6?$/.test(mode)) throw new Skip('grebe has no VTI tunnels');
  if (kind === undefined) throw new Refusal(badMode(mode, name));
  const draft = takeDraft(command, inner, name, kind);
  if (mode === 'isatap') draft.lost ??= { words: 'mode isatap', why: 'grebe has no ISATAP' };
  applyAll(draft, options, false, inner, line);
}

function badMode(mode: string | undefined, name: string): string {
  if (mode === undefined) return `${name} has no mode, for instance: mode gre`;
  return `grebe has no tunnels of mode ${quote(mode)}`;
}

/** What `ip tunnel` makes of a name when no mode is given. */
function kindByName(name: string | undefined, isIpv6: boolean): Kind | undefined {
  if (isIpv6) return 'ip6ip6';
  return (['gre', 'ipip', 'sit'] as const).find((kind) => name?.startsWith(kind));
}

const LINK_TYPES: { readonly [type: string]: Kind } = {
  gre: 'gre',
  gretap: 'gretap',
  ipip: 'ipip',
  sit: 'sit',
  ip6gre: 'ip6gre',
  ip6gretap: 'ip6gretap',
  ip6tnl: 'ip6tnl',
};

function runLink(command: IpCommand, inner: Inner): void {
  const { verb, words, line } = command;
  const typeAt = words.findIndex((word) => word.length > 1 && 'type'.startsWith(word));
  const generic = typeAt < 0 ? words : words.slice(0, typeAt);
  const type = words[typeAt + 1];
  if (verb === 'delete') {
    inner.drafts.delete(generic.at(-1) ?? '');
    return;
  }
  if (typeAt < 0 || type === undefined) {
    if (verb === 'add') throw new Refusal('ip link add needs a type');
    setLink(command, inner, generic);
    return;
  }
  const kind = wordIn(LINK_TYPES, type);
  if (kind === undefined) throw new Skip(`grebe has no devices of type ${type}`);
  const name = nameOf(generic);
  if (name === undefined) throw new Refusal('the device has no name');
  const isNew = verb === 'add' || verb === 'replace';
  const draft = takeDraft(
    command,
    inner,
    name,
    isNew ? kind : (inner.drafts.get(name)?.kind ?? kind),
  );
  setLink(command, inner, generic);
  applyAll(draft, linkMode(draft, words.slice(typeAt + 2), inner, line), true, inner, line);
}

/** The name in the words in front of `type`: behind `name` or `dev`, or alone. */
function nameOf(words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => word === 'name' || word === 'dev');
  return at < 0 ? words[0] : words[at + 1];
}

const LINK_MODES: { readonly [type in Kind]?: { readonly [mode: string]: Kind | 'mplsip' } } = {
  ipip: {
    ipip: 'ipip',
    'ipv4/ipv4': 'ipip',
    ip4ip4: 'ipip',
    any: 'ipip',
    'any/ipv4': 'ipip',
    mplsip: 'mplsip',
  },
  sit: {
    ip6ip: 'sit',
    'ipv6/ipv4': 'sit',
    ipip: 'ipip',
    'ipv4/ipv4': 'ipip',
    ip4ip4: 'ipip',
    any: 'sit',
    'any/ipv4': 'sit',
    mplsip: 'mplsip',
  },
  ip6tnl: {
    ip6ip6: 'ip6ip6',
    'ipv6/ipv6': 'ip6ip6',
    ipip6: 'ip4ip6',
    ip4ip6: 'ip4ip6',
    'ip/ipv6': 'ip4ip6',
    'ipv4/ipv6': 'ip4ip6',
    any: 'ip6tnl',
    'any/ipv6': 'ip6tnl',
  },
};

/** Takes `mode M` out of the words behind a type. */
function linkMode(
  draft: Draft,
  words: readonly string[],
  { notes }: Inner,
  line: number,
): readonly string[] {
  const at = words.indexOf('mode');
  if (at < 0) return words;
  const mode = words[at + 1] ?? '';
  const kind = wordIn(LINK_MODES[draft.kind] ?? {}, mode);
  if (kind === undefined) throw new Refusal(`${quote(mode)} is no mode of type ${draft.kind}`);
  if (kind === 'mplsip') draft.lost ??= { words: `mode ${mode}`, why: 'grebe carries no MPLS' };
  else draft.kind = kind;
  if (mode.startsWith('any') && kind !== 'ip6tnl') {
    const why = `it is read as mode = "${kind}", which does not carry all that the kernel would`;
    notes.push({ line, words: `mode ${mode}`, why, tunnel: draft.name });
  }
  return [...words.slice(0, at), ...words.slice(at + 2)];
}

/** A new draft for `add`; for the others the one that is there. */
function takeDraft(command: IpCommand, { drafts, notes }: Inner, name: string, kind: Kind): Draft {
  const { verb, line, text } = command;
  const old = drafts.get(name);
  if (old !== undefined && verb === 'add') {
    throw new Refusal(`${name} is there already, from line ${old.line}`);
  }
  // `ip link replace` begins with the defaults again, `ip tunnel replace` with what is there.
  const isAnew = verb === 'replace' && command.object === 'link';
  if (old !== undefined && !isAnew) return old;
  if (old === undefined && verb !== 'add' && verb !== 'replace') {
    const why = "no line adds this tunnel: what these words leave out has the kernel's defaults";
    notes.push({ line, words: text, why, tunnel: name });
  }
  const draft = createDraft(name, line, kind);
  if (old !== undefined) {
    const { mtu, address, routes, peers, neighbours, origins } = old;
    Object.assign(draft, { mtu, address, routes, peers, neighbours, origins });
  }
  drafts.set(name, draft);
  return draft;
}

function applyAll(
  draft: Draft,
  words: readonly string[],
  isShort: boolean,
  { notes }: Inner,
  line: number,
): void {
  const lose: Lose = (lost, why) => void notes.push({ line, words: lost, why, tunnel: draft.name });
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? '';
    const option = findOption(word, isShort);
    if (option === undefined) throw new Refusal(`${quote(word)} is no word of a tunnel`);
    at += applyOption(option, draft, words.slice(at), lose);
  }
}
