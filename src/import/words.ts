// The words of `ip tunnel` for one tunnel of a config: read, and written so that they can be read again.
//
//   takeName     the tunnel's name out of the words
//   readWords    words -> a draft, on top of what is there
//   draftOf      a tunnel of a config -> the draft that words would make
//   tunnelWords  a tunnel of a config -> words
//
// Beside those of ip(8) there are `mtu N`, the modes as a config names them, host names for `remote`, and `flowlabel flow`.
import type { TunnelConfig } from '../config/config.js';
import { isHostName } from '../config/host-name.js';
import { isGreMode, underlayVersion } from '../config/tunnel.js';
import type { Mode } from '../packet/tunnel.js';
import { createDraft, type Draft, familyOf, type Kind, type Note, Refusal } from './draft.js';
import { kindOfMode } from './input.js';
import { applyOption, findOption } from './option.js';
import { GRE_UDP_PORT } from './table.js';
import { quote, readNumber } from './value.js';

const MTU_MAX = 65535;
/** Words before a value that are no option. */
const OWN_WORDS = ['mode', 'mtu', 'name'];

/**
 * The name among `words`, and the rest: the first word, or, where that says something of a tunnel, what stands behind
 * `name`, or the word that says nothing else. Undefined: there is none.
 */
export function takeName(
  words: readonly string[],
): { readonly name: string; readonly rest: readonly string[] } | undefined {
  const [first] = words;
  if (first === undefined) return undefined;
  const at = words.length > 1 && saysSomething(first) ? findName(words) : 0;
  const isMarked = words[at] === 'name' && at + 1 < words.length;
  const name = words[isMarked ? at + 1 : at];
  if (name === undefined) return undefined;
  return { name, rest: [...words.slice(0, at), ...words.slice(at + (isMarked ? 2 : 1))] };
}

function saysSomething(word: string): boolean {
  return OWN_WORDS.includes(word) || findOption(word, true)?.names.includes(word) === true;
}

/** Where the name stands, or `name` before it; behind the last word when it stands nowhere. */
function findName(words: readonly string[]): number {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === 'name') return at;
    const option = findOption(word, true);
    if (option === undefined && !OWN_WORDS.includes(word)) return at;
    if (option?.isFlag !== true) at++;
  }
  return words.length;
}

/**
 * What words say of tunnel `name`, on top of `old`, or of the kernel's defaults. What is not carried over goes to `notes`.
 * Throws a Refusal for a word that is none.
 */
export function readWords(
  name: string,
  words: readonly string[],
  old: Draft | undefined,
  notes: Note[],
): Draft {
  const rest: string[] = [];
  let mode: string | undefined;
  for (let at = 0; at < words.length; at++) {
    if (words[at] === 'mode') mode = words[++at] ?? '';
    else rest.push(words[at] ?? '');
  }
  const draft = draftOfMode(name, mode, rest, old);
  const lose = (lost: string, why: string): void => {
    notes.push({ line: 0, words: lost, why, tunnel: name });
  };
  for (let at = 0; at < rest.length; ) {
    const [word = '', value] = rest.slice(at);
    const option = findOption(word, true);
    if (word === 'mtu') {
      draft.mtu = readNumber(value ?? '', MTU_MAX, 'mtu');
      at += 2;
    } else if (option === undefined) {
      throw new Refusal(`${quote(word)} is no word of a tunnel`);
    } else if (option.names.includes('remote') && value !== undefined && isHostName(value)) {
      draft.remote = value.toLowerCase();
      at += 2;
    } else if (option.names.includes('flowlabel') && value === 'flow') {
      at += applyOption(option, draft, [word, 'inherit'], lose); // as any label: over IPv6 alone
      draft.flowLabel = value;
    } else {
      at += applyOption(option, draft, rest.slice(at), lose);
    }
  }
  if (draft.lost !== undefined) throw new Refusal(`${draft.lost.words}: ${draft.lost.why}`);
  return draft;
}

function draftOfMode(
  name: string,
  mode: string | undefined,
  words: readonly string[],
  old: Draft | undefined,
): Draft {
  if (mode === undefined && old !== undefined) return { ...old };
  const isOver6 = words.some((word, at) => word.includes(':') && /^[rl]/.test(words[at - 1] ?? ''));
  const kind = kindOfMode(mode, name, isOver6);
  if (kind === undefined) {
    throw new Refusal(
      mode === undefined
        ? `${name} has no mode, for instance: mode gre`
        : `grebe has no tunnels of mode ${quote(mode)}`,
    );
  }
  const encap = mode === 'gre-udp' ? UDP : ({ encap: 'none', encapPort: undefined } as const);
  const { kind: _, ...kept } = old ?? createDraft(name, 0, kind);
  return { ...kept, kind, ...encap };
}

const UDP = { encap: 'fou', encapPort: GRE_UDP_PORT } as const;

/** The draft of a tunnel, as far as words can say what it is. */
export function draftOf(config: TunnelConfig): Draft {
  const { mode, local, remote, peers } = config;
  const version = underlayVersion(mode, [local, remote, ...peers.map((peer) => peer.remote)]);
  const kind = kindOf(mode, version ?? 4);
  return {
    ...createDraft(config.name, 0, kind),
    ...{ local, remote },
    ...{ keyIn: config.keyIn, keyOut: config.keyOut },
    ...{ csumIn: config.checksumIn, csumOut: config.checksumOut },
    ...{ seqIn: config.sequenceIn, seqOut: config.sequenceOut },
    ...{ ttl: config.ttl, tos: config.tos, dscpIn: config.tosIn === 'inherit' },
    ...{ pmtudisc: config.pmtudisc, ignoreDf: config.ignoreDf },
    encapLimit: config.encapLimit ?? 'none',
    flowLabel: config.flowLabel,
    ...{ dev: config.dev, mtu: config.mtu },
    ...(mode === 'gre-udp' ? UDP : {}),
  };
}

function kindOf(mode: Mode, version: 4 | 6): Kind {
  if (mode !== 'gre-udp') return mode;
  return version === 6 ? 'ip6gre' : 'gre';
}

/** Words that make a tunnel like this one of nothing, its name in front: behind `name` where it is itself a word. */
export function tunnelWords(config: TunnelConfig): string[] {
  const draft = draftOf(config);
  const usual = createDraft(config.name, 0, draft.kind);
  const isOver6 = familyOf(draft.kind) === 6;
  const given = (name: string, value: string | number | undefined, without?: unknown): string[] =>
    value === undefined || value === without ? [] : [name, String(value)];
  const tos = typeof draft.tos === 'number' ? `0x${draft.tos.toString(16)}` : draft.tos;
  return [
    ...(saysSomething(config.name) ? ['name'] : []),
    ...[config.name, 'mode', config.mode],
    ...given('remote', draft.remote),
    ...given('local', draft.local, 'any'),
    ...given('dev', draft.dev),
    ...given('ttl', draft.ttl, usual.ttl),
    ...given('tos', tos, '0x0'),
    ...(isGreMode(config.mode) ? greWords(draft) : []),
    ...(draft.pmtudisc ? [] : ['nopmtudisc']),
    ...(draft.ignoreDf ? ['ignore-df'] : []),
    ...(isOver6 ? given('encaplimit', draft.encapLimit, usual.encapLimit) : []),
    ...(isOver6 ? given('flowlabel', flowLabelText(draft.flowLabel), '0x0') : []),
    ...(isOver6 && draft.dscpIn ? ['dscp', 'inherit'] : []),
    ...given('mtu', draft.mtu),
  ];
}

function flowLabelText(label: Draft['flowLabel']): string {
  return typeof label === 'number' ? `0x${label.toString(16)}` : label;
}

function greWords({ keyIn, keyOut, csumIn, csumOut, seqIn, seqOut }: Draft): string[] {
  const key = (word: string, value: number | undefined): string[] =>
    value === undefined ? [] : [word, String(value)];
  const flags = (word: string, into: boolean, out: boolean): string[] => {
    if (into && out) return [word];
    return [...(into ? [`i${word}`] : []), ...(out ? [`o${word}`] : [])];
  };
  return [
    ...(keyIn === keyOut ? key('key', keyIn) : [...key('ikey', keyIn), ...key('okey', keyOut)]),
    ...flags('csum', csumIn, csumOut),
    ...flags('seq', seqIn, seqOut),
  ];
}
