// The JSON Schema and the parser agree: an independent validator takes what the parser takes, and refuses broken types.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import AjvDraft4 from 'ajv-draft-04';
import fc from 'fast-check';
import { getStaticTOMLValue, parseTOML } from 'toml-eslint-parser';
import { configJsonSchema, DESCRIPTIONS, type Draft } from '../../src/config/json-schema.js';
import { parseConfig } from '../../src/config/load.js';
import {
  logSchema,
  offloadSchema,
  recorderSchema,
  routerSchema,
  tunnelSchema,
} from '../../src/config/schema.js';
import '../support/arbitrary.js'; // its settings of fast-check

const FOLDER = fileURLToPath(new URL('../../../test/config/broken/', import.meta.url));

type Validate = (value: unknown) => boolean;

const OPTIONS = { strict: true, allowUnionTypes: true, validateFormats: false };
const VALIDATORS: { readonly [draft in Draft]: Validate } = {
  '2020-12': new Ajv2020(OPTIONS).compile(configJsonSchema('2020-12')),
  // CommonJS: its class is the default of the default.
  '4': new AjvDraft4.default(OPTIONS).compile(configJsonSchema('4')),
};
const DRAFTS = ['2020-12', '4'] as const;

const accepts = (draft: Draft, value: unknown): boolean => VALIDATORS[draft](value);
const toml = (text: string): unknown => getStaticTOMLValue(parseTOML(text));

/** Codes that one key alone shows: unknown, of a wrong type, a wrong word, out of range. */
const SHAPE = ['E102', 'E103', 'E105'];

test('what the parser accepts validates, in both drafts', () => {
  const good = `
    [router]
    codec = "./mine.wasm"
    underlay = "xdp"
    lanes = "auto"
    socket = "/tmp/grebe.sock"
    metrics = "127.0.0.1:9476"
    api = "[::1]:9477"
    busypoll = 50
    log = { level = "debug", format = "json" }
    offload = { gro = false, gso = true }
    recorder = { keep = 32, dumps = "./dumps", burst = 500 }
    [tunnel.gre1]
    mode = "gre"
    local = "192.0.2.1"
    remote = "gw.example.net"
    key = { in = 1, out = "0.0.0.2" }
    csum = { out = true }
    seq = true
    reorder = { packets = 8, time = "20ms" }
    ttl = { out = 64, in = "inherit" }
    tos = { out = 0x88, in = "inherit" }
    ecn = "compatibility"
    pmtudisc = true
    mtu = 1400
    mss = "off"
    dev = "eth0"
    address = ["10.9.0.1/24", "fd00:9::1/64"]
    routes = ["10.20.0.0/16"]
    allow = ["any"]
    profile = "linux"
    keepalive = { interval = "10s", count = 3 }
    probe = { target = "10.9.0.2", interval = "1s" }
    reflect = true
    [tunnel."odd.name"]
    mode = "ip6gre"
    remote = "any"
    encaplimit = "none"
    flowlabel = 0xfffff
    peers = [{ remote = "2001:db8::7", routes = ["10.30.0.0/16"] }]`;
  const { config, diagnostics } = parseConfig(Buffer.from(good), 'good.toml');
  assert.ok(config, diagnostics.map(({ message }) => message).join('\n'));
  for (const draft of DRAFTS) assert.equal(accepts(draft, toml(good)), true, draft);
});

test('broken configs: a wrong type, word or key is refused; a good one is not', () => {
  let refused = 0;
  // As plain values, its keys would become those of every object.
  const files = readdirSync(FOLDER).filter((name) => name !== 'proto-keys.toml');
  for (const name of files) {
    const text = readFileSync(`${FOLDER}${name}`, 'utf8');
    const { config, diagnostics } = parseConfig(Buffer.from(text), name);
    // What is no TOML has no values.
    if (diagnostics.some(({ code }) => code === 'E101')) continue;
    const isBroken = diagnostics.some(({ code }) => SHAPE.includes(code));
    for (const draft of DRAFTS) {
      if (isBroken) assert.equal(accepts(draft, toml(text)), false, name);
      if (config !== undefined) assert.equal(accepts(draft, toml(text)), true, name);
    }
    if (isBroken) refused++;
  }
  assert.ok(refused >= 10, `${refused} broken files`);
});

/** Every key: its place in the file, and the schema that judges it alone. */
const TABLES = [
  ...Object.entries(routerSchema.shape).flatMap(([key, schema]) =>
    ['log', 'offload', 'recorder'].includes(key)
      ? []
      : [{ key, schema, wrap: (value: unknown) => ({ router: { [key]: value } }) }],
  ),
  ...Object.entries(logSchema.shape).map(([key, schema]) => {
    return { key, schema, wrap: (value: unknown) => ({ router: { log: { [key]: value } } }) };
  }),
  ...Object.entries(offloadSchema.shape).map(([key, schema]) => {
    return { key, schema, wrap: (value: unknown) => ({ router: { offload: { [key]: value } } }) };
  }),
  ...Object.entries(recorderSchema.shape).map(([key, schema]) => {
    return { key, schema, wrap: (value: unknown) => ({ router: { recorder: { [key]: value } } }) };
  }),
  ...Object.entries(tunnelSchema.shape).map(([key, schema]) => {
    return { key, schema, wrap: (value: unknown) => ({ tunnel: { t1: { [key]: value } } }) };
  }),
];

/** Values of every type, near to what keys take. */
const value = fc.oneof(
  fc.boolean(),
  fc.integer({ min: -2, max: 300 }),
  fc.constantFrom(64, 16, 1500, 65535, 65536, 0xfffff, 0x100000, 0xffffffff, 0x100000000, 1.5, -1),
  fc.constantFrom('', 'auto', 'off', 'none', 'inherit', 'any', 'gre', 'simd', 'linux', 'json', 'x'),
  fc.constantFrom('10s', '10', '0.0.0.42', '0.0.0.256', '192.0.2.1', '127.0.0.1:9', './a.wasm'),
  fc.constantFrom(
    {},
    { in: 1 },
    { out: 1 },
    { in: true },
    { in: 'inherit' },
    { out: 'x' },
    { y: 1 },
  ),
  fc.constantFrom({ packets: 8 }, { count: 3 }, { count: 0 }, { interval: '1s', count: 'x' }),
  fc.constantFrom({ target: '10.9.0.2' }, { target: 5 }),
  fc.constantFrom<unknown>(
    [],
    ['any'],
    [5],
    [{ remote: '192.0.2.7', routes: [] }],
    [{ remote: 5 }],
  ),
);

test('key by key, schema and parser say the same of any value', () => {
  fc.assert(
    fc.property(fc.constantFrom(...TABLES), value, ({ key, schema, wrap }, tried) => {
      const isList = ['address', 'routes', 'allow'].includes(key);
      const isText =
        isList && Array.isArray(tried) ? tried.every((one) => typeof one === 'string') : true;
      const isRight = schema.safeParse(tried).success && isText;
      for (const draft of DRAFTS) {
        assert.equal(accepts(draft, wrap(tried)), isRight, `${key} = ${JSON.stringify(tried)}`);
      }
    }),
    { numRuns: 5000 },
  );
});

test('unknown keys and tables are refused', () => {
  for (const broken of [
    { tunel: {} },
    { router: { codecs: 'auto' } },
    { tunnel: { t1: { remtoe: 'any' } } },
    { router: { log: { levle: 'info' } } },
    { tunnel: { t1: { key: { inn: 1 } } } },
    { tunnel: 5 },
  ]) {
    for (const draft of DRAFTS) assert.equal(accepts(draft, broken), false, JSON.stringify(broken));
  }
});

test('every key has a description, and every description a key', () => {
  const keys = new Set(['router', 'tunnel', ...Object.keys(routerSchema.shape)]);
  for (const { key } of TABLES) keys.add(key);
  const described = new Set(Object.keys(DESCRIPTIONS).map((name) => name.replace('tunnel.', '')));
  assert.deepEqual([...described].sort(), [...keys].sort());
  const text = JSON.stringify(configJsonSchema());
  for (const description of Object.values(DESCRIPTIONS)) {
    assert.ok(text.includes(JSON.stringify(description)), description);
  }
});

test('each draft names itself', () => {
  assert.equal(configJsonSchema().$schema, 'https://json-schema.org/draft/2020-12/schema');
  assert.equal(configJsonSchema('4').$schema, 'http://json-schema.org/draft-04/schema#');
});
