// What to write instead: the second line of a diagnostic, read off the rule and the value that broke it.

import { show } from './diagnostic.js';

/** Words of other programs and what they are here. In lower case. */
const OTHER_WORDS: { readonly [word: string]: string } = {
  allowedips: 'allow = ["PREFIX"]',
  destination: 'remote = "ADDRESS"',
  device: 'dev = "DEVICE"',
  dscp: 'tos = { out = 0x88 }',
  endpoint: 'remote = "ADDRESS"',
  'hop-limit': 'ttl = 64',
  hoplimit: 'ttl = 64',
  icsum: 'csum = { in = true, out = false }',
  ikey: 'key = { in = NUMBER }',
  interface: 'dev = "DEVICE"',
  iseq: 'seq = { in = true, out = false }',
  link: 'dev = "DEVICE"',
  name: 'the name stands in the heading: [tunnel.NAME]',
  nopmtudisc: 'pmtudisc = false',
  ocsum: 'csum = { in = false, out = true }',
  okey: 'key = { out = NUMBER }',
  oseq: 'seq = { in = false, out = true }',
  peer: 'remote = "ADDRESS", or peers for several',
  persistentkeepalive: 'keepalive = { interval = "10s", count = 3 }',
  source: 'local = "ADDRESS"',
  tclass: 'tos = 0x88',
  type: 'mode = "gre"',
};

/** What an unknown key of another program is here. */
export function unknownKeyHint(key: string): string | undefined {
  const word = key.toLowerCase();
  return Object.hasOwn(OTHER_WORDS, word) ? OTHER_WORDS[word] : undefined;
}

/** What to write for `value`, which is not what `rule` asks for, as far as the two tell. */
export function valueHint(
  rule: string,
  value: unknown,
  words: readonly string[] = [],
): string | undefined {
  if (typeof value === 'object') return oneOf(words);
  if (value === '') return 'it is empty: fill it in, or leave the line out';
  if (rule.startsWith('a time')) return timeHint(rule, value);
  if (rule.startsWith('a list')) return listHint(rule, value);
  return (
    flagHint(rule, value) ?? numberHint(rule, value) ?? quotesHint(rule, value) ?? oneOf(words)
  );
}

/** What stands in a rule as an example, for a value that is missing. */
export function exampleHint(name: string, rule: string): string | undefined {
  const example = /such as (.+)$/.exec(rule)?.[1];
  return example === undefined ? undefined : `for instance ${name} = ${example}`;
}

/** What is wrong with the text of an address, where it is nearly one. */
export function addressHint(text: string): string | undefined {
  const bare = /^\[?([0-9a-f.:]+?)\]?:[0-9]+$/i.exec(text)?.[1];
  if (bare !== undefined && /^[0-9.]+$/.test(bare)) return `without a port: ${show(bare)}`;
  if (/^[0-9]+(\.[0-9]+){3}$/.test(text)) {
    const numbers = text.split('.').map(Number);
    if (numbers.some((number) => number > 255)) return 'each of the four numbers is 0 to 255';
    return `without leading zeros, which some programs take for octal: ${show(numbers.join('.'))}`;
  }
  if (/^[0-9]+(\.[0-9]+){0,2}$/.test(text)) return 'an IPv4 address has four numbers';
  if ((text.match(/::/g)?.length ?? 0) > 1) return '"::" may stand once in an address';
  return undefined;
}

/** The same for an address with a prefix length. */
export function prefixHint(text: string): string | undefined {
  if (text === 'default') return 'IPv4: "0.0.0.0/0", IPv6: "::/0"';
  if (/^(any|all|everyone|everything|\*)$/i.test(text)) return 'allow = ["any"] takes every source';
  const [address = '', length, ...more] = text.split('/');
  if (more.length > 0) return `one prefix length: ${show(`${address}/${length}`)}`;
  const wrong = addressHint(address);
  if (wrong !== undefined && !isPlain(address)) return wrong;
  const most = address.includes(':') ? 128 : 32;
  if (length === undefined)
    return `with a prefix length: ${show(`${address}/${most}`)} is one host`;
  return `the prefix length is 0 to ${most}`;
}

/** Whether four numbers are written as they are meant to be. */
function isPlain(address: string): boolean {
  return address.split('.').every((part) => String(Number(part)) === part && Number(part) < 256);
}

/** A name like the wrong one that a device can have. */
export function deviceNameHint(name: string): string {
  const clean = name.replace(/[^\w.-]+/g, '-').replace(/^[-.]+|[-.]+$/g, '');
  const short = clean.slice(0, 15);
  return short === '' || short === name ? 'for instance "gre1"' : `for instance ${show(short)}`;
}

/** Behind the start of a line that is no TOML. */
export function syntaxHint(message: string, before: string, line: string): string | undefined {
  if (/=\s*$/.test(before) || /=\s*\d[\d.]*$/.test(before)) {
    return 'text is written in quotes: key = "value"';
  }
  if (/unterminated table-key/i.test(message)) return 'a heading is [router] or [tunnel.NAME]';
  if (/unterminated string/i.test(message)) return 'its closing quote is missing';
  if (/^\s*[\w-]+\s*[:\s]/.test(line) && !/^\s*[\w.-]+\s*=/.test(line)) {
    return 'a key and its value are written key = value';
  }
  if (/newline/i.test(message)) return 'one key a line; a remark begins with #';
  if (/\[[^\]]*$/.test(before) || /unspecified values/i.test(message)) {
    return 'a list ends with ], a table with }';
  }
  return /expected equal/i.test(message)
    ? 'a key and its value are written key = value'
    : undefined;
}

function timeHint(rule: string, value: unknown): string | undefined {
  if (typeof value === 'number' || /^[0-9]+$/.test(String(value))) {
    return `in quotes, and with its unit: "${value}ms", "${value}s"`;
  }
  const [, least, most] = /from "(\w+)" to "(\w+)"/.exec(rule) ?? [];
  if (least === undefined) return 'a whole number and its unit: ms, s, m or h';
  return `the shortest is "${least}", the longest "${most}"`;
}

function listHint(rule: string, value: unknown): string | undefined {
  return typeof value === 'string' ? `in brackets: [${show(value)}]` : exampleHint('it', rule);
}

function flagHint(rule: string, value: unknown): string | undefined {
  if (!/\btrue\b/.test(rule)) return undefined;
  if (/^(yes|on|true|1)$/i.test(String(value))) return 'without quotes: true';
  return /^(no|off|false|0)$/i.test(String(value)) ? 'without quotes: false' : undefined;
}

function numberHint(rule: string, value: unknown): string | undefined {
  if (typeof value === 'string' && /^(0x[0-9a-f]+|[0-9]+)$/i.test(value)) {
    return /[0-9]\.\.[0-9]/.test(rule) ? `a number has no quotes: ${value}` : undefined;
  }
  const [, least, most] = /(\w+)\.\.(\w+)/.exec(rule) ?? [];
  if (typeof value !== 'number' || least === undefined) return undefined;
  if (value < Number(least)) return `the smallest is ${least}`;
  return value > Number(most) ? `the largest is ${most}` : 'a whole number';
}

function quotesHint(rule: string, value: unknown): string | undefined {
  const isBare = typeof value === 'number' || typeof value === 'boolean';
  return isBare && /in quotes/.test(rule) ? `in quotes: "${value}"` : undefined;
}

function oneOf([first]: readonly string[]): string | undefined {
  return first === undefined ? undefined : `for instance "${first}"`;
}
