// The words behind `ip tunnel add` and `ip link add ... type`: what each does to a draft.

import { type Draft, familyOf, hasGre, Refusal } from './draft.js';
import { quote, readAddress, readHex, readKey, readNumber, readTos } from './value.js';

/** Says why words are not carried over. */
export type Lose = (words: string, why: string) => void;

/** What words change in a draft; nothing, where they have no place in it. */
type Changes = Partial<Draft>;

/** Words of one meaning. */
interface Option {
  readonly names: readonly string[];
  /** IP version of the outer header that it belongs to; absent = both. */
  readonly family?: 4 | 6;
  /** Belongs to tunnels with a GRE header. */
  readonly isGre?: true;
  /** Absent: another word follows as its value. */
  readonly isFlag?: true;
  /** In `ip link` it must be written in full. */
  readonly isWhole?: true;
  readonly apply: (draft: Draft, value: string, lose: Lose, word: string) => Changes;
}

const flag = (name: string, changes: Changes, rest: Partial<Option> = {}): Option => {
  return { names: [name], isFlag: true, apply: () => changes, ...rest };
};
/** `X`, `iX` and `oX` of GRE, each with `no` in front too. */
const both = (
  name: string,
  change: (part: { readonly into?: boolean; readonly out?: boolean }) => Changes,
): Option[] =>
  ['', 'no'].flatMap((no) => {
    const isOn = no === '';
    const gre = { isGre: true } as const;
    return [
      flag(`${no}${name}`, change({ into: isOn, out: isOn }), gre),
      flag(`${no}i${name}`, change({ into: isOn }), gre),
      flag(`${no}o${name}`, change({ out: isOn }), gre),
    ];
  });

/** Words that have no place in a config, and why. */
const lost = (name: string, why: string, rest: Partial<Option> = {}): Option => {
  const apply: Option['apply'] = (_draft, value, lose, word) => {
    lose(`${word} ${value}`.trim(), why);
    return {};
  };
  return { names: [name], isWhole: true, apply, ...rest };
};
const FLAG = { isFlag: true } as const;
const NO_6RD = 'grebe has no 6rd: its tunnels have one peer, or peers with routes';
const ISATAP = { words: 'isatap', why: 'grebe has no ISATAP' };
const EXTERNAL = { words: 'external', why: 'a route gives it its ends, packet by packet' };
const NO_ERSPAN = 'grebe has no ERSPAN';
const UDP_CHECKSUM = 'grebe sends UDP checksums, and takes packets without them over IPv4';

/** In the order in which `ip` looks for a word that is not written in full. */
const OPTIONS: readonly Option[] = [
  {
    names: ['key'],
    isGre: true,
    apply: (_draft, value) => ({ keyIn: readKey(value), keyOut: readKey(value) }),
  },
  { names: ['ikey'], isGre: true, apply: (_draft, value) => ({ keyIn: readKey(value) }) },
  { names: ['okey'], isGre: true, apply: (_draft, value) => ({ keyOut: readKey(value) }) },
  ...both('seq', ({ into, out }) => ({
    ...(into === undefined ? {} : { seqIn: into }),
    ...(out === undefined ? {} : { seqOut: out }),
  })),
  ...both('csum', ({ into, out }) => ({
    ...(into === undefined ? {} : { csumIn: into }),
    ...(out === undefined ? {} : { csumOut: out }),
  })),
  flag('nopmtudisc', { pmtudisc: false }, { family: 4 }),
  flag('pmtudisc', { pmtudisc: true }, { family: 4 }),
  { names: ['remote'], apply: (draft, value) => ({ remote: end(draft, value, 'remote') }) },
  { names: ['local'], apply: (draft, value) => ({ local: end(draft, value, 'local') }) },
  { names: ['dev'], apply: (_draft, value) => ({ dev: value }) },
  { names: ['ttl', 'hoplimit', 'hlim'], apply: (_draft, value) => ({ ttl: ttl(value) }) },
  { names: ['tos', 'tclass', 'dsfield', 'tc'], apply: setTos },
  flag('noikey', { keyIn: undefined }, { isGre: true, isWhole: true }),
  flag('nookey', { keyOut: undefined }, { isGre: true, isWhole: true }),
  flag('nokey', { keyIn: undefined, keyOut: undefined }, { isGre: true, isWhole: true }),
  flag('ignore-df', { ignoreDf: true }, { family: 4, isWhole: true }),
  flag('noignore-df', { ignoreDf: false }, { family: 4, isWhole: true }),
  { names: ['encaplimit'], family: 6, isWhole: true, apply: setEncapLimit },
  { names: ['flowlabel', 'fl'], family: 6, isWhole: true, apply: setFlowLabel },
  { names: ['dscp'], family: 6, isWhole: true, apply: setDscp },
  flag('noencap', { encap: 'none' }, { isWhole: true }),
  { names: ['encap'], isWhole: true, apply: setEncap },
  { names: ['encap-dport'], isWhole: true, apply: setEncapPort },
  { names: ['encap-sport'], isWhole: true, apply: setEncapSource },
  flag('encap-csum', {}, { isWhole: true }),
  flag('encap-csum6', {}, { isWhole: true }),
  flag('encap-udp6-csum', {}, { isWhole: true }),
  lost('noencap-csum', UDP_CHECKSUM, FLAG),
  lost('noencap-csum6', UDP_CHECKSUM, FLAG),
  lost('noencap-udp6-csum', UDP_CHECKSUM, FLAG),
  lost('encap-remcsum', 'grebe has no remote checksum offload', FLAG),
  flag('noencap-remcsum', {}, { isWhole: true }),
  lost('fwmark', 'grebe sets no marks on outer packets'),
  lost(
    'allow-localremote',
    'grebe drops packets that come from its own addresses (outer-martian)',
    {
      ...FLAG,
      family: 6,
    },
  ),
  flag('noallow-localremote', {}, { family: 6, isWhole: true }),
  flag('external', { lost: EXTERNAL }, { isWhole: true }),
  flag('isatap', { lost: ISATAP }, { family: 4, isWhole: true }),
  lost('6rd-prefix', NO_6RD, { family: 4 }),
  lost('6rd-relay_prefix', NO_6RD, { family: 4 }),
  lost('6rd-reset', NO_6RD, { family: 4, isFlag: true }),
  lost('erspan', NO_ERSPAN),
  lost('erspan_ver', NO_ERSPAN),
  lost('erspan_dir', NO_ERSPAN),
  lost('erspan_hwid', NO_ERSPAN),
];

/** Finds the option that `word` names, or, where `isShort`, begins. */
export function findOption(word: string, isShort: boolean): Option | undefined {
  const exact = OPTIONS.find(({ names }) => names.includes(word));
  if (exact !== undefined) return exact;
  return OPTIONS.find(({ names, isWhole }) =>
    isShort
      ? isWhole !== true && names.some((name) => name.startsWith(word))
      : names.includes('dsfield') && 'dsfield'.startsWith(word) && word.length > 1,
  );
}

/** Applies an option, and returns how many words it took. */
export function applyOption(
  option: Option,
  draft: Draft,
  words: readonly string[],
  lose: Lose,
): number {
  const [word = '', value] = words;
  if (option.isGre && !hasGre(draft.kind)) {
    throw new Refusal(`${word} belongs to GRE, and ${draft.name} is ${draft.kind}`);
  }
  if (option.family !== undefined && option.family !== familyOf(draft.kind)) {
    throw new Refusal(
      `${word} is no word of ${draft.kind}, which goes over IPv${familyOf(draft.kind)}`,
    );
  }
  if (!option.isFlag && value === undefined) throw new Refusal(`${word} needs a value`);
  const { lost, ...changes } = option.apply(draft, option.isFlag ? '' : (value ?? ''), lose, word);
  Object.assign(draft, changes);
  draft.lost ??= lost;
  return option.isFlag ? 1 : 2;
}

function end({ kind }: Draft, value: string, what: string): string {
  return readAddress(value, familyOf(kind), what);
}

function ttl(value: string): number | 'inherit' {
  if (value === 'inherit') return value;
  const number = readNumber(value, 255, 'a TTL');
  return number === 0 ? 'inherit' : number;
}

/** Bit 0 stands for `inherit`; the kernel sends ECN bits of the inner packet, whatever these say. */
function setTos(draft: Draft, value: string, lose: Lose, word: string): Changes {
  const withoutEcn = (number: number): Changes => {
    if (number & 3) lose(`${word} ${value}`, 'the two ECN bits follow the inner packet (RFC 6040)');
    return { tos: number & 0xfc };
  };
  if (familyOf(draft.kind) === 6) {
    return value === 'inherit' ? { tos: value } : withoutEcn(readHex(value, 0xff, word));
  }
  const [first = '', second] = value.split('/', 2);
  const fixed = first === 'inherit' ? second : first;
  const number = fixed === undefined ? 0 : readTos(fixed, word);
  if (first !== 'inherit' && (number & 1) === 0) return withoutEcn(number);
  if ((number & 0xfc) !== 0) {
    const left = `0x${(number & 0xfc).toString(16)}`;
    lose(`${word} ${value}`, `tos = "inherit"; ${left} for packets that are no IP has no place`);
  }
  return { tos: 'inherit' };
}

function setEncapLimit(_draft: Draft, value: string): Changes {
  return { encapLimit: value === 'none' ? value : readNumber(value, 255, 'encaplimit') };
}

function setFlowLabel(_draft: Draft, value: string): Changes {
  return { flowLabel: value === 'inherit' ? value : readHex(value, 0xfffff, 'flowlabel') };
}

function setDscp(_draft: Draft, value: string): Changes {
  if (value !== 'inherit') throw new Refusal(`dscp must be inherit, not ${quote(value)}`);
  return { dscpIn: true };
}

function setEncap(_draft: Draft, value: string): Changes {
  if (value === 'none' || value === 'fou' || value === 'gue') return { encap: value };
  throw new Refusal(`encap must be fou, gue or none, not ${quote(value)}`);
}

function setEncapPort(_draft: Draft, value: string): Changes {
  return { encapPort: readNumber(value, 65535, 'encap-dport') };
}

function setEncapSource(_draft: Draft, value: string, lose: Lose): Changes {
  if (value !== 'auto' && readNumber(value, 65535, 'encap-sport') !== 0) {
    lose(`encap-sport ${value}`, 'grebe takes source ports by flow (RFC 8086, 3.2.1)');
  }
  return {};
}
