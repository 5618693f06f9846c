// grebe explain and decode --config as a user types them.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gre, ipv4 } from '../support/packets.js';
import { grebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-explain-'));
after(() => rmSync(folder, { recursive: true }));
const config = join(folder, 'grebe.toml');
writeFileSync(
  config,
  [
    '[tunnel.gre1]',
    'mode = "gre"',
    'local = "192.0.2.1"',
    'remote = "198.51.100.2"',
    'key = 7',
    'address = ["10.9.0.1/24"]',
    'routes = ["10.20.0.0/16"]',
    '[tunnel.sit1]',
    'mode = "sit"',
    'local = "192.0.2.1"',
    'remote = "203.0.113.7"',
    'dev = "eth0"',
    'address = ["fd00:9::1/64"]',
    '',
  ].join('\n'),
);

const WRONG = 'gre from 198.51.100.2 to 192.0.2.1 key 8 icmp from 10.20.0.5 to 10.9.0.1';

function run(...words: readonly string[]) {
  return grebe(['explain', '--config', config, ...words]);
}

test('a packet in words is explained: checks, verdict, near miss, and what to do', async () => {
  const { code, stdout, stderr } = await run(WRONG);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.split('\n'), [
    '✓ outer header     IPv4, 198.51.100.2 -> 192.0.2.1, protocol 47, whole',
    '✓ GRE header       key 8, no checksum, type 0x0800',
    '✗ tunnel           none for GRE, 198.51.100.2 -> 192.0.2.1, key 8',
    'dropped: no-tunnel',
    'nearest: gre1: key 8, expected 7',
    'next: in [tunnel.gre1]: key = 8; or at the peer: key 7',
    '',
  ]);
  // Quoted as one word or not, it is the same packet.
  assert.equal((await run(...WRONG.split(' '))).stdout, stdout);
});

test('-j has the schema, and the bytes that give the same verdict when they are asked about', async () => {
  const first = JSON.parse((await run(WRONG, '-j')).stdout);
  assert.equal(first.schema, 'grebe.explain/1');
  assert.deepEqual(Object.keys(first), [
    ...[
      'schema',
      'direction',
      'verdict',
      'reason',
      'tunnel',
      'stages',
      'nearest',
      'next',
      'packet',
    ],
  ]);
  assert.deepEqual(first.nearest, {
    ...{ tunnel: 'gre1', differs: [{ field: 'key', packet: 8, expected: 7 }] },
  });
  const again = JSON.parse((await run('--hex', first.packet, '-j')).stdout);
  assert.deepEqual(again, first);
});

test('what the words leave open is as in a ping between the tunnel and its network', async () => {
  for (const [words, last] of [
    ['gre key 7 --tunnel gre1', /forwarded: it comes out of gre1/],
    ['via gre1', /10\.9\.0\.1 -> 10\.20\.0\.1, icmp, 84 bytes[\s\S]*forwarded: sent by gre1/],
    ['to 10.20.0.5 via gre1', /10\.9\.0\.1 -> 10\.20\.0\.5, icmp, 84 bytes/],
    ['udp to 10.20.0.5 length 1500 via gre1', /udp, 1500 bytes[\s\S]*dropped: too-big/],
    ['via sit1', /IPv6, fd00:9::1 -> fd00:9::2, icmp6, 104 bytes/],
    ['sit --tunnel sit1', /forwarded: it comes out of sit1/],
    ['sit dev eth1 --tunnel sit1', /nearest: sit1: dev eth1, expected eth0/],
    ['gre key 0.0.0.7 badcsum --tunnel gre1', /dropped: gre-checksum/],
    ['gre key 7 type 0x6558 --tunnel gre1', /protocol type 0x6558, but the tunnel is gre/],
    ['gre key 7 tcp from 8.8.8.8 --tunnel gre1', /dropped: inner-src-spoof/],
    ['gre fragment --tunnel gre1', /dropped: outer-fragment/],
    ['gre-udp from 2001:db8::2 to 2001:db8::1 icmp6', /✓ UDP header .*checksum right/],
    ['gretap from 198.51.100.2 to 192.0.2.1 key 7', /type 0x6558/],
  ] as const) {
    const { code, stdout } = await run(...words.split(' '));
    assert.equal(code, 0, words);
    assert.match(stdout, last, words);
  }
});

test('what to do about a source depends on whose it is', async () => {
  for (const [words, told] of [
    [
      'gre key 7 tcp from 8.8.8.8 --tunnel gre1',
      /✗ source .*8\.8\.8\.8 is not allowed: .*\n.*\nnext: if this source may send through it, in \[tunnel\.gre1\]: add its network to routes or allow$/m,
    ],
    [
      'gre key 7 tcp from 10.9.0.1 to 10.20.0.5 --tunnel gre1',
      /both may be those of a host\n✗ source .*10\.9\.0\.1 is our own address\n.*\nnext: see whether the peer has this address too, or sends back what came from us; .* in \[tunnel\.gre1\]: reflect = true$/m,
    ],
    [
      'icmp from 198.51.100.2 to 10.20.0.5 via gre1',
      /✗ source .*\n.*\nnext: the peer itself is not behind us/m,
    ],
  ] as const) {
    const { code, stdout } = await run(...words.split(' '));
    assert.equal(code, 0, words);
    assert.match(stdout, told, words);
    if (/own address|not behind us/.test(stdout)) assert.doesNotMatch(stdout, /routes or allow/);
  }
  // A frame may have our own source: what refuses it is the list alone.
  const tap = join(folder, 'tap.toml');
  const lines = ['[tunnel.tap1]', 'mode = "gretap"', 'local = "192.0.2.1"'];
  const rest = ['remote = "198.51.100.2"', 'address = ["10.9.1.1/24"]', 'allow = ["10.9.9.0/24"]'];
  writeFileSync(tap, [...lines, ...rest, ''].join('\n'));
  const words = 'gretap tcp from 10.9.1.1 to 10.9.1.7 --tunnel tap1'.split(' ');
  const { stdout } = await grebe(['explain', '--config', tap, ...words]);
  assert.match(stdout, /✗ source .*10\.9\.1\.1 is not allowed: 10\.9\.9\.0\/24 is\n/);
  assert.match(stdout, /next: .* in \[tunnel\.tap1\]: add its network to routes or allow$/m);
});

test('words that make no packet end with 64, their column and a hint', async () => {
  for (const [words, message] of [
    ['gre kye 5', /column 5: unknown word "kye"; did you mean "key"\?\n {2}gre kye 5\n {6}\^/],
    ['gre from 1.2.3', /column 10: "1\.2\.3" is no IPv4 or IPv6 address/],
    ['gre key', /column 8: a number is missing behind "key"/],
    ['gre key 4294967296', /column 9: "4294967296" is no number from 0 to 4294967295/],
    ['gre key 5', /the outer header has no "from"\n {2}say: gre from ADDRESS/],
    ['gre from 192.0.2.7 to 2001:db8::1', /from an IPv4 to an IPv6 address/],
    ['sit from 2001:db8::2 to 2001:db8::1', /sit has an outer header of IPv4/],
    ['to 10.20.0.5', /says neither how it came nor where it goes/],
    ['--hex 4g', /"g" is no hex digit/],
    ['--hex 45 --sent', /--sent needs the tunnel/],
  ] as const) {
    const { code, stdout, stderr } = await run(...words.split(' '));
    assert.deepEqual([code, stdout], [64, ''], words);
    assert.match(stderr, message, words);
  }
  assert.equal((await run()).code, 64);
});

test('a tunnel that is not there ends with 66, a config that is wrong with 78', async () => {
  for (const words of [
    ['via', 'gre9'],
    ['gre', '--tunnel', 'gre9'],
  ]) {
    const { code, stderr } = await run(...words);
    assert.equal(code, 66);
    assert.match(stderr, /no tunnel "gre9"; did you mean "gre1"\?\n {2}tunnels: gre1, sit1/);
  }
  const wrong = join(folder, 'wrong.toml');
  writeFileSync(wrong, '[tunnel.gre1]\nmode = "grr"\n');
  assert.equal((await grebe(['explain', '--config', wrong, WRONG])).code, 78);
});

test('decode with a config names the nearest tunnel, in text and in JSON', async () => {
  const inner = ipv4({ source: '10.20.0.5', destination: '10.9.0.1' });
  const bytes = ipv4({
    ...{ source: '198.51.100.2', destination: '192.0.2.1', protocol: 47 },
    payload: gre({ key: 8, payload: inner }),
  });
  const words = ['decode', '--hex', Buffer.from(bytes).toString('hex')];
  const judged = await grebe([...words, '--config', config]);
  assert.match(judged.stdout, / no-tunnel .*; nearly gre1: key 8, expected 7\n$/);
  const json = JSON.parse((await grebe([...words, '--config', config, '-j'])).stdout);
  assert.deepEqual(json.nearest, {
    ...{ tunnel: 'gre1', differs: [{ field: 'key', packet: 8, expected: 7 }] },
  });
  assert.equal('nearest' in JSON.parse((await grebe([...words, '-j'])).stdout), false);
});

test('help shows the words, and the options of a trace', async () => {
  const explain = await grebe(['explain', '--help']);
  assert.match(explain.stdout, /gre from 198\.51\.100\.2 [\s\S]*via TUNNEL/);
  const trace = await grebe(['trace', '--help']);
  assert.match(trace.stdout, /--drops[\s\S]*Traffic never waits/);
});
