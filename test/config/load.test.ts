import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TunnelConfig } from '../../src/config/config.js';
import { type Diagnostic, formatDiagnostic } from '../../src/config/diagnostic.js';
import { type LoadedConfig, loadConfig, parseConfig } from '../../src/config/load.js';
import { tunnelOf } from '../../src/config/tunnel.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-config-'));
after(() => rmSync(folder, { recursive: true }));

function parse(text: string): LoadedConfig {
  return parseConfig(Buffer.from(text), '/etc/grebe/grebe.toml');
}

function codes(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`);
}

/** The only tunnel of a config without errors. */
function onlyTunnel(text: string): TunnelConfig {
  const { config, diagnostics } = parse(text);
  const [tunnel] = config?.tunnels ?? [];
  assert(tunnel, diagnostics.map((one) => formatDiagnostic(one)).join(''));
  return tunnel;
}

test('every key of a tunnel reaches its config', () => {
  const tunnel = onlyTunnel(`
    [tunnel.gre1]
    mode = "gre"
    local = "192.0.2.1"
    remote = "192.0.2.2"
    key = { in = 1, out = "0.0.1.2" }
    csum = { in = true, out = false }
    seq = true
    reorder = { packets = 64 }
    ttl = { out = "inherit", in = "inherit" }
    tos = { out = 0x10 }
    ecn = "compatibility"
    pmtudisc = false
    ignore-df = true
    mtu = 1400
    dev = "eth0"
    address = ["10.9.0.1/24", "FD00:9:0::1/64"]
    routes = ["10.20.0.0/16"]
    allow = ["any"]
    mss = "off"
    profile = "rfc"
    keepalive = { interval = "500ms" }
    probe = { target = "10.9.0.2", interval = "1m", count = 5 }
    reflect = true
  `);
  assert.deepEqual(tunnel, {
    name: 'gre1',
    mode: 'gre',
    local: '192.0.2.1',
    remote: '192.0.2.2',
    keyIn: 1,
    keyOut: 258,
    checksumIn: true,
    checksumOut: false,
    sequenceIn: true,
    sequenceOut: true,
    reorder: { packets: 64, timeMs: 20 },
    ttl: 'inherit',
    ttlIn: 'inherit',
    tos: 16,
    tosIn: 'keep',
    ecn: 'compatibility',
    pmtudisc: false,
    ignoreDf: true,
    flowLabel: 0,
    mtu: 1400,
    mss: 'off',
    dev: 'eth0',
    address: [
      { address: '10.9.0.1', bits: 24 },
      { address: 'fd00:9::1', bits: 64 },
    ],
    routes: [{ address: '10.20.0.0', bits: 16 }],
    allow: 'any',
    profile: 'rfc',
    keepalive: { intervalMs: 500, count: 3 },
    probe: { target: '10.9.0.2', intervalMs: 60_000, count: 5 },
    reflect: true,
    peers: [],
  });
});

test('what is left out gets its default: sources are routes and subnets of the addresses', () => {
  const { config, diagnostics } = parse(`
    [tunnel.sit1]
    mode = "sit"
    remote = "192.0.2.2"
    address = ["fd00:9::1/64"]
    routes = ["fd00:20::/32"]
  `);
  assert.deepEqual(codes(diagnostics), []);
  assert.deepEqual(config?.router, {
    codec: 'auto',
    underlay: 'auto',
    lanes: 1,
    offload: {
      csum: true,
      tso4: true,
      tso6: true,
      uso4: true,
      uso6: true,
      gro: true,
    },
    busypoll: 0,
    recorder: { keep: 16, dumps: 'auto', burst: 1000 },
    socket: '/run/grebe/grebe.sock',
    log: { level: 'info', format: 'auto' },
  });
  assert.deepEqual(config?.tunnels, [
    {
      name: 'sit1',
      mode: 'sit',
      local: 'any',
      remote: '192.0.2.2',
      checksumIn: false,
      checksumOut: false,
      sequenceIn: false,
      sequenceOut: false,
      ttl: 64,
      ttlIn: 'keep',
      tos: 'inherit',
      tosIn: 'keep',
      ecn: 'normal',
      pmtudisc: true,
      ignoreDf: false,
      flowLabel: 0,
      mss: 'auto',
      address: [{ address: 'fd00:9::1', bits: 64 }],
      routes: [{ address: 'fd00:20::', bits: 32 }],
      allow: [
        { address: 'fd00:20::', bits: 32 },
        { address: 'fd00:9::', bits: 64 },
      ],
      profile: 'rfc',
      reflect: false,
      peers: [],
    },
  ]);
});

test('key 0 is a key, and no key is none', () => {
  const keyed = onlyTunnel('[tunnel.a]\nmode = "gre"\nremote = "192.0.2.2"\nkey = 0\n');
  assert.equal(keyed.keyIn, 0);
  assert.equal(keyed.keyOut, 0);
  const keyless = onlyTunnel('[tunnel.a]\nmode = "gre"\nremote = "192.0.2.2"\n');
  assert.equal('keyIn' in keyless, false);
  const outOnly = onlyTunnel('[tunnel.a]\nmode = "gre"\nremote = "192.0.2.2"\nkey = { out = 5 }\n');
  assert.equal('keyIn' in outOnly, false);
  assert.equal(outOnly.keyOut, 5);
});

test('a table may be written in pieces, with dotted keys and a heading of its own', () => {
  const tunnel = onlyTunnel(`
    [tunnel."a"]
    mode = "gre"
    remote = "192.0.2.2"
    csum.in = true
    [tunnel.a.key]
    in = 7
  `);
  assert.equal(tunnel.keyIn, 7);
  assert.equal(tunnel.checksumIn, true);
  assert.equal(tunnel.checksumOut, false);
});

test('paths of [router] begin at the folder of the config', () => {
  const { config } = parse('[router]\ncodec = "./mine.wasm"\nsocket = "lab.sock"\n');
  assert.equal(config?.router.codec, '/etc/grebe/mine.wasm');
  assert.equal(config?.router.socket, '/etc/grebe/lab.sock');
});

test('0.0.0.0 is any, as in ip tunnel', () => {
  const tunnel = onlyTunnel('[tunnel.a]\nmode = "gre"\nlocal = "0.0.0.0"\nremote = "192.0.2.2"\n');
  assert.equal(tunnel.local, 'any');
});

test('the line of a wrong ttl is the one of the contract, with a mark under the value', () => {
  const text = `${'\n'.repeat(9)}[tunnel.gre1]\nmode = "gre"\nremote = "192.0.2.2"\nallow = ["any"]\nttl = 999\n`;
  const { diagnostics } = parseConfig(Buffer.from(text), 'grebe.toml');
  assert.equal(
    diagnostics.map((one) => formatDiagnostic(one)).join(''),
    'grebe.toml:14:7  error  [E107] ttl must be 1..255 or "inherit", not 999\n' +
      '  14 │ ttl = 999\n' +
      '     │       ^^^ the largest is 255\n',
  );
});

test('the mark stays under its place in lines with tabs and in very long lines', () => {
  const spaces = '\t'.repeat(3);
  const tabbed = parse(`[router]\n${spaces}lanes = 99\n`).diagnostics[0];
  assert(tabbed);
  const [, line, mark] = formatDiagnostic(tabbed).split('\n');
  assert.equal(line?.indexOf('99'), mark?.indexOf('^'));

  const list = Array.from({ length: 500 }, (_, index) => `"10.${index % 256}.0.0/16"`).join(', ');
  const long = parse(`[tunnel.a]\nmode = "gre"\nremote = "192.0.2.2"\nroutes = [${list}, "bad"]\n`);
  const bad = long.diagnostics.find((one) => one.code === 'E109');
  assert(bad);
  const [, longLine, longMark] = formatDiagnostic(bad).split('\n');
  assert.equal(longLine?.indexOf('"bad"'), longMark?.indexOf('^'));
  assert((longLine?.length ?? 0) < 120);
});

test('Windows line ends and a byte order mark change no place', () => {
  const { diagnostics } = parse('\ufeff[router]\r\nlanes = 99\r\n');
  assert.deepEqual(codes(diagnostics), ['2:9 E107']);
});

test('the configs that docs/config.md shows are right', () => {
  const page = readFileSync(new URL('../../../docs/config.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/```toml\n([\s\S]*?)```/g)].map(([, toml = '']) => toml);
  assert(examples.length > 0);
  for (const toml of examples) assert.deepEqual(parse(toml).diagnostics, []);
});

test('overlapping routes, looping routes and unusable tunnels are warned of, not refused', () => {
  const { config, diagnostics } = parse(`[tunnel.a]
mode = "gre"
local = "192.0.2.1"
remote = "192.0.2.2"
routes = ["10.0.0.0/8", "0.0.0.0/0"]
[tunnel.b]
mode = "gre"
local = "192.0.2.1"
remote = "192.0.2.3"
routes = ["10.2.0.0/15", "10.1.0.0/16", "10.1.0.0/16"]
[tunnel.c]
mode = "gre"
remote = "192.0.2.4"
[tunnel.d]
mode = "sit"
remote = "any"
mtu = 1000
allow = ["any"]
[tunnel.e]
mode = "ipip"
remote = "192.0.2.5"
address = ["192.0.2.1/24"]
`);
  assert(config);
  assert.deepEqual(codes(diagnostics), [
    '5:25 W207', // 0.0.0.0/0 contains the remote
    '10:11 W203', // inside a's
    '10:26 W203', // inside a's
    '10:41 W203', // twice
    '11:9 W208', // takes nothing
    '16:10 W202', // open to everyone
    '17:7 W204', // too small for IPv6
    '22:12 W206', // own endpoint
    '22:12 W207', // its subnet contains the remote
  ]);
});

test('a route of two tunnels is an error: the kernel would refuse the second', () => {
  const { config, diagnostics } = parse(`[tunnel.a]
mode = "gre"
remote = "192.0.2.2"
routes = ["10.0.0.0/8"]
[tunnel.b]
mode = "gre"
remote = "any"
peers = [{ remote = "192.0.2.3", routes = ["10.0.0.0/8"] }]
`);
  assert.equal(config, undefined);
  assert.deepEqual(codes(diagnostics), ['8:44 E134']);
  assert.equal(diagnostics.at(-1)?.hint, 'drop one of them');
});

test('tunnels that differ in key, device, mode or an endpoint do not collide', () => {
  const tunnel = (name: string, lines: string): string =>
    `[tunnel.${name}]\nlocal = "192.0.2.1"\nallow = ["any"]\n${lines}\n`;
  const { diagnostics } = parse(
    [
      tunnel('a', 'mode = "gre"\nremote = "192.0.2.2"'),
      tunnel('b', 'mode = "gre"\nremote = "192.0.2.2"\nkey = 0'),
      tunnel('c', 'mode = "gre"\nremote = "192.0.2.2"\nkey = { in = 1, out = 0 }'),
      tunnel('d', 'mode = "gre"\nremote = "192.0.2.2"\ndev = "eth0"'),
      tunnel('e', 'mode = "gre"\nremote = "192.0.2.3"'),
      tunnel('f', 'mode = "ipip"\nremote = "192.0.2.2"'),
      tunnel('u', 'mode = "gre-udp"\nremote = "192.0.2.2"'),
      tunnel('v', 'mode = "gre-udp"\nremote = "192.0.2.2"\nkey = 0'),
      tunnel('g', 'mode = "sit"\nremote = "192.0.2.2"'),
    ].join(''),
  );
  assert.deepEqual(codes(diagnostics), []);
});

test('a gre-udp tunnel takes what a gre tunnel takes, with 8 bytes less inside', () => {
  const lines = 'local = "192.0.2.1"\nremote = "192.0.2.2"\nallow = ["any"]';
  const options = ['', 'key = 42', 'seq = true', 'key = { in = 1, out = 2 }\nseq = true'];
  const mtus = options.map((more) => {
    const config = onlyTunnel(`[tunnel.a]\nmode = "gre-udp"\n${lines}\n${more}`);
    assert.equal(config.mode, 'gre-udp');
    return tunnelOf(config).mtu;
  });
  assert.deepEqual(mtus, [1468, 1464, 1464, 1460]);
  const { diagnostics } = parse(`[tunnel.a]\nmode = "gre-udp"\n${lines}\ncsum = true\n`);
  assert.deepEqual(codes(diagnostics), ['6:1 W209']); // the UDP checksum is there already
  const { diagnostics: none } = parse(
    `[tunnel.a]\nmode = "gre-udp"\n${lines}\ncsum = { in = true }\n`,
  );
  assert.deepEqual(codes(none), []);
});

test('two gre-udp tunnels that take the same packets are an error', () => {
  const tunnel = (name: string) =>
    `[tunnel.${name}]\nmode = "gre-udp"\nremote = "192.0.2.2"\nkey = 7\nallow = ["any"]\n`;
  const { diagnostics } = parse(tunnel('a') + tunnel('b'));
  assert.deepEqual(codes(diagnostics), ['6:9 E112']);
});

test('a file that is not UTF-8 is refused at its first wrong byte', () => {
  const bytes = Buffer.concat([
    Buffer.from('[router]\ncodec = "é\ufffd'),
    Buffer.from([0xff, 0x22]),
  ]);
  const { config, diagnostics } = parseConfig(bytes, 'x.toml');
  assert.equal(config, undefined);
  assert.deepEqual(codes(diagnostics), ['2:12 E100']);
});

test('an empty file is a config without tunnels, and says so', () => {
  const { config, diagnostics } = parse('');
  assert.deepEqual(config?.tunnels, []);
  assert.deepEqual(codes(diagnostics), ['1:1 W205']);
});

test('a directory and a missing file are a Failure with exit code 66 that names them', () => {
  for (const file of [folder, join(folder, 'none.toml')]) {
    assert.throws(
      () => loadConfig(file),
      (error) =>
        error instanceof Failure &&
        error.exitCode === EXIT.noInput &&
        error.message.includes(file) &&
        error.hint !== undefined,
    );
  }
});

test('a config of 1 MB with ten thousand tunnels is read whole', () => {
  const tunnels =
    `# ${'x'.repeat(100_000)}\n` +
    Array.from({ length: 10_000 }, (_, index) => {
      const [high, low] = [index >> 8, index & 255];
      return `[tunnel.g${index}]\nmode = "gre"\nlocal = "192.0.2.1"\nremote = "198.18.${high}.${low}"\nroutes = ["10.${high}.${low}.0/24"]\n`;
    }).join('');
  const file = join(folder, 'large.toml');
  writeFileSync(file, tunnels);
  assert(tunnels.length > 1_000_000);
  const { config, diagnostics } = loadConfig(file);
  assert.deepEqual(codes(diagnostics), []);
  assert.equal(config?.tunnels.length, 10_000);
});

test('a file larger than any config is refused without being parsed', () => {
  const file = join(folder, 'huge.toml');
  writeFileSync(file, Buffer.alloc(17 * 1024 * 1024, '#'));
  assert.deepEqual(codes(loadConfig(file).diagnostics), ['1:1 E100']);
});

test('nesting that would end the stack is an error of the config', () => {
  const deep = `a = ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`;
  const nested = `[router]\nx = ${'['.repeat(100)}${']'.repeat(100)}\n`;
  assert(codes(parse(deep).diagnostics).every((text) => /E10[0-3]$/.test(text)));
  assert(codes(parse(nested).diagnostics).some((text) => text.endsWith('E102')));
  assert.equal(parse(deep).config, undefined);
});
