// What each key of the config takes. An `error` text completes the sentence "KEY must be ...".

import { z } from 'zod';
import type { Mode } from '../packet/tunnel.js';
import { CODE, type Code } from './diagnostic.js';
import { parseListenAddress } from './listen-address.js';

const MODES = [
  'gre',
  'gre-udp',
  'ipip',
  'sit',
  'gretap',
  'ip6gre',
  'ip6gretap',
  'ip6ip6',
  'ip4ip6',
] as const satisfies readonly Mode[];
const UNDERLAYS = ['auto', 'raw', 'xdp', 'raw-socket', 'memory'] as const;
const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
const FORMATS = ['auto', 'json', 'pretty'] as const;
const PROFILES = ['rfc', 'linux'] as const;
const ECN = ['normal', 'compatibility'] as const;
const ARRIVALS = ['keep', 'inherit'] as const;
/** Builds that `codec` names; a path begins with `.` or `/`. */
export const CODEC_WORDS = ['auto', 'simd', 'scalar', 'js'] as const;

/** Smallest MTU of an IPv4 link (RFC 791, 3.1) and largest IP packet. */
const MTU_MIN = 68;
export const MTU_MAX = 65535;
/** TCP segment size that every host takes (RFC 9293, 3.7.1). */
const MSS_MIN = 536;
/** More lanes than any machine in reach has cores for. */
const LANES_MAX = 64;

/** Longer than any packet takes to come back: a lane that only looks uses its whole core. */
const BUSYPOLL_MAX = 1000;
const BUSYPOLL = `0..${BUSYPOLL_MAX} microseconds`;

/** Enough for what one flow has under way where packets overtake each other. */
const REORDER_PACKETS_MAX = 1024;
/** Longer than this, a sender takes a packet that waits for lost and sends it again. */
const REORDER_TIME_MAX = '1s';
/** Between questions to the peer. Shorter than a long way takes, the next would go out before the answer is back. */
const ASK_MIN = '10ms';
const ASK_MAX = '24h';
/** Smallest echo request with a number and a cookie in it, over IPv6. */
const PROBE_SIZE_MIN = 60;

const inRange = (min: number, max: number, error = `${min}..${max}`): z.ZodInt =>
  z.int({ error }).min(min, { error }).max(max, { error });
const text = (error: string): z.ZodString => z.string({ error }).min(1, { error });
const flag = (): z.ZodBoolean => z.boolean({ error: 'true or false' });
/** Its elements are judged one by one in prefixes.ts, so that a wrong one hides no other. */
const list = (error: string): z.ZodArray<z.ZodUnknown> =>
  z.array(z.unknown(), { error: `a list such as ${error}` });
const oneOf = <const T extends readonly string[]>(words: T): z.ZodEnum<{ [K in T[number]]: K }> =>
  z.enum(words, { error: `one of ${words.map((word) => `"${word}"`).join(', ')}` });

const KEY_NUMBER = '0..4294967295 or "0.0.0.42"';
const keyNumber = z.union([inRange(0, 0xffffffff, KEY_NUMBER), z.ipv4({ error: KEY_NUMBER })], {
  error: KEY_NUMBER,
});
const keyPair = z
  .strictObject({ in: keyNumber.optional(), out: keyNumber.optional() })
  .refine((pair) => pair.in !== undefined || pair.out !== undefined, {
    error: '{ in = NUMBER, out = NUMBER } with at least one of them',
  })
  .meta({ minProperties: 1 });
const flagPair = z.strictObject({ in: flag().optional(), out: flag().optional() });
const flagOrPair = z.union([z.boolean(), flagPair], {
  error: 'true, false or { in = true, out = false }',
});

const UNIT_MS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const milliseconds = (text: string): number =>
  Number.parseInt(text, 10) * (UNIT_MS[text.replace(/^[0-9]+/, '')] ?? 0);
/** `"10s"` as milliseconds. */
const time = (example: string, min: string, max: string) =>
  z
    .string({ error: `a time such as "${example}"` })
    .regex(/^[0-9]{1,9}(ms|s|m|h)$/, { error: `a time such as "${example}"` })
    .transform(milliseconds)
    .refine((ms) => ms >= milliseconds(min) && ms <= milliseconds(max), {
      error: `a time from "${min}" to "${max}"`,
    });

const REORDER = '{ packets = 32, time = "20ms" }';
const reorder = z.strictObject(
  {
    packets: inRange(1, REORDER_PACKETS_MAX).optional(),
    time: time('20ms', '1ms', REORDER_TIME_MAX).optional(),
  },
  { error: REORDER },
);
const KEEPALIVE = '{ interval = "10s", count = 3 }';
const keepalive = z.strictObject(
  { interval: time('10s', ASK_MIN, ASK_MAX).optional(), count: inRange(1, 255).optional() },
  { error: KEEPALIVE },
);
const PROBE = '{ target = "10.9.0.2", interval = "1s", count = 3 }';
const probe = z.strictObject(
  {
    target: text('an inner address in quotes'),
    interval: time('1s', ASK_MIN, ASK_MAX).optional(),
    count: inRange(1, 255).optional(),
    size: inRange(PROBE_SIZE_MIN, MTU_MAX).optional(),
  },
  { error: PROBE },
);
const PEER = '{ remote = "ADDRESS", routes = ["PREFIX"] }';
const peer = z.strictObject(
  { remote: text('an address in quotes'), routes: list('["10.30.0.0/16"]') },
  { error: PEER },
);

// The pattern is for the JSON Schema; what it lets through is judged in full.
const listenAddress = (port: number) => {
  const error = `an address and port such as "127.0.0.1:${port}" or "[::1]:${port}"`;
  return text('an address and port in quotes')
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[^:]+):[0-9]{1,5}$/, { error })
    .refine((given) => parseListenAddress(given) !== null, { error });
};
const KEY = '0..4294967295, "0.0.0.42" or { in = NUMBER, out = NUMBER }';
const TTL = '1..255 or "inherit"';
const TOS = '0x00..0xfc without the two ECN bits, or "inherit"';
const MSS = `"auto", "off" or ${MSS_MIN}..${MTU_MAX}`;
const LANES = `1..${LANES_MAX} or "auto"`;
const ENCAP_LIMIT = '0..255 or "none"';
const FLOW_LABEL_MAX = 0xfffff;
const FLOW_LABEL = '0..0xfffff, "inherit" or "flow"';
const SOURCE_PORT = '1..65535, "random" or "auto"';

const ttl = z.union([inRange(1, 255, TTL), z.literal('inherit')], { error: TTL });
const tos = z.union([inRange(0, 0xfc, TOS).multipleOf(4, { error: TOS }), z.literal('inherit')], {
  error: TOS,
});
const arrival = z.enum(ARRIVALS, { error: '"keep" or "inherit"' });
/** A header field on the way out and on the way in. */
const outAndIn = <T extends z.ZodType>(out: T, example: string) =>
  z
    .strictObject({ out: out.optional(), in: arrival.optional() })
    .refine((pair) => pair.out !== undefined || pair.in !== undefined, {
      error: `{ out = ${example}, in = "keep" } with at least one of them`,
    })
    .meta({ minProperties: 1 });
const ttlPair = outAndIn(ttl, '64');
const tosPair = outAndIn(tos, '0x88');

/** `[tunnel.NAME]`. Every key may be absent: which ones must be there is for check.ts to say. */
export const tunnelSchema = z
  .strictObject({
    mode: oneOf(MODES),
    local: text('an address in quotes, or "any"'),
    remote: text('an address or a host name in quotes, or "any"'),
    key: z.union([inRange(0, 0xffffffff, KEY), z.ipv4({ error: KEY }), keyPair], { error: KEY }),
    csum: flagOrPair,
    seq: flagOrPair,
    reorder,
    ttl: z.union([ttl, ttlPair], { error: TTL }),
    tos: z.union([tos, tosPair], { error: TOS }),
    ecn: oneOf(ECN),
    pmtudisc: flag(),
    'ignore-df': flag(),
    encaplimit: z.union([inRange(0, 255, ENCAP_LIMIT), z.literal('none')], { error: ENCAP_LIMIT }),
    flowlabel: z.union([inRange(0, FLOW_LABEL_MAX, FLOW_LABEL), z.enum(['inherit', 'flow'])], {
      error: FLOW_LABEL,
    }),
    sport: z.union([inRange(1, 65535, SOURCE_PORT), z.enum(['auto', 'random'])], {
      error: SOURCE_PORT,
    }),
    mtu: inRange(MTU_MIN, MTU_MAX),
    mss: z.union([z.enum(['auto', 'off']), inRange(MSS_MIN, MTU_MAX, MSS)], { error: MSS }),
    dev: text('the name of a device, in quotes'),
    address: list('["10.9.0.1/24"]'),
    routes: list('["10.20.0.0/16"]'),
    allow: list('["10.20.0.0/16"], or ["any"]'),
    profile: oneOf(PROFILES),
    keepalive,
    probe,
    reflect: flag(),
    peers: z.array(peer, { error: `a list of ${PEER}` }),
  })
  .partial();

export type TunnelTable = z.output<typeof tunnelSchema>;

/** `log` of `[router]`. */
export const logSchema = z.strictObject({ level: oneOf(LEVELS), format: oneOf(FORMATS) }).partial();

/** `offload` of `[router]`. */
export const offloadSchema = z
  .strictObject({
    csum: flag(),
    tso4: flag(),
    tso6: flag(),
    uso4: flag(),
    uso6: flag(),
    gro: flag(),
    ugro: flag(),
    gso: flag(),
  })
  .partial();

const KEPT = [0, 4, 8, 16, 32, 64] as const;
const KEPT_RULE = `one of ${KEPT.join(', ')}`;
const DUMPS = '"auto", "off", or a path that begins with "." or "/"';
const BURST_MAX = 1_000_000_000;

/** `recorder` of `[router]`. */
export const recorderSchema = z
  .strictObject({
    keep: z.literal(KEPT, { error: KEPT_RULE }),
    dumps: z.string({ error: DUMPS }).regex(/^(auto|off|[./].*)$/, { error: DUMPS }),
    burst: inRange(0, BURST_MAX),
  })
  .partial();

/** `[router]`; its `log`, `offload` and `recorder` are judged by schemas of their own. */
export const routerSchema = z
  .strictObject({
    codec: text('a codec build in quotes, or a path that begins with "." or "/"')
      .refine((word) => CODEC_WORDS.some((one) => one === word) || /^[./]/.test(word), {
        error: 'one of "auto", "simd", "scalar", "js", or a path that begins with "." or "/"',
      })
      .meta({ pattern: `^(${CODEC_WORDS.join('|')}|[./].*)$` }),
    underlay: oneOf(UNDERLAYS),
    lanes: z.union([inRange(1, LANES_MAX, LANES), z.literal('auto')], { error: LANES }),
    socket: text('the path of a unix socket, in quotes'),
    metrics: listenAddress(9476),
    api: listenAddress(9477),
    offload: z.unknown(),
    busypoll: inRange(0, BUSYPOLL_MAX, BUSYPOLL),
    recorder: z.unknown(),
    log: z.unknown(),
  })
  .partial();

/** What else is known of a key, for its error message. */
export interface KeyNote {
  readonly code: Code;
  /** Valid words, for the nearest one. */
  readonly words?: readonly string[];
  /** How a value that is a table is judged, so that each key in it gets its own message. */
  readonly table?: TableType;
  /** How each table of a list is judged. */
  readonly element?: TableType;
  /** How it is written, where the rule does not show that. */
  readonly example?: string;
  /** What to say about a particular wrong value. */
  readonly hint?: (value: unknown) => string | undefined;
}

/** A schema of a table, whose keys are known. */
type TableType = z.ZodType & { readonly shape: { readonly [key: string]: unknown } };

/**
 * Notes on the keys of all tables; one without a note takes code `type`. `KEY.INNER` is a key inside of a value; without a
 * note of its own it has that of `KEY`.
 */
export const KEY_NOTES: { readonly [key: string]: KeyNote } = {
  mode: { code: CODE.word, words: MODES },
  profile: { code: CODE.word, words: PROFILES },
  underlay: { code: CODE.word, words: UNDERLAYS },
  codec: { code: CODE.word, words: CODEC_WORDS },
  level: { code: CODE.word, words: LEVELS },
  format: { code: CODE.word, words: FORMATS },
  lanes: { code: CODE.range, words: ['auto'] },
  busypoll: { code: CODE.range },
  keep: { code: CODE.range },
  burst: { code: CODE.range },
  dumps: { code: CODE.word, words: ['auto', 'off'] },
  mtu: { code: CODE.range },
  mss: { code: CODE.range, words: ['auto', 'off'] },
  ecn: { code: CODE.word, words: ECN },
  encaplimit: { code: CODE.range, words: ['none'] },
  flowlabel: { code: CODE.range, words: ['inherit', 'flow'] },
  sport: { code: CODE.range, words: ['auto', 'random'] },
  keepalive: { code: CODE.range, table: keepalive },
  reorder: { code: CODE.range, table: reorder },
  probe: { code: CODE.range, table: probe },
  'probe.target': { code: CODE.type, example: `probe = ${PROBE}` },
  peers: { code: CODE.type, element: peer, example: `peers = [${PEER}]` },
  socket: { code: CODE.type, example: 'socket = "/run/grebe/grebe.sock"' },
  metrics: { code: CODE.type, example: 'metrics = "127.0.0.1:9476"', hint: portAlone },
  csum: { code: CODE.type, table: flagPair },
  seq: { code: CODE.type, table: flagPair },
  key: { code: CODE.range, table: keyPair, example: 'key = 42, or key = { in = 1, out = 2 }' },
  ttl: {
    code: CODE.range,
    table: ttlPair,
    words: ['inherit'],
    hint: zeroTtl,
  },
  'ttl.in': { code: CODE.word, words: ARRIVALS },
  tos: {
    code: CODE.range,
    table: tosPair,
    words: ['inherit'],
    hint: ecnBits,
  },
  'tos.in': { code: CODE.word, words: ARRIVALS },
};

function portAlone(value: unknown): string | undefined {
  return typeof value === 'number' ? `with an address: "127.0.0.1:${value}"` : undefined;
}

function zeroTtl(value: unknown): string | undefined {
  return value === 0 ? 'to copy it from the inner packet, write "inherit"' : undefined;
}

function ecnBits(value: unknown): string | undefined {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255) return;
  return `the ECN bits follow the inner packet (RFC 6040); without them: 0x${(value & 0xfc).toString(16)}`;
}
