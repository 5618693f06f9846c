import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LoadedConfig, parseConfig } from '../../src/config/load.js';
import { type Lookup, type Reply, systemLookup } from '../../src/config/lookup.js';
import { checkNames, isHostName, namesOf, resolveNames } from '../../src/config/names.js';

const CONFIG = `[tunnel.a]
mode = "gre"
remote = "a.example.net"
allow = ["any"]
[tunnel.b]
mode = "ip6gre"
remote = "a.example.net"
allow = ["any"]
[tunnel.c]
mode = "gre-udp"
remote = "any"
allow = ["any"]
peers = [
  { remote = "b.example.net", routes = [] },
  { remote = "192.0.2.7", routes = [] },
]
[tunnel.d]
mode = "gre-udp"
remote = "c.example.net"
allow = ["any"]
`;

const ANSWERS: { readonly [question: string]: string } = {
  'a.example.net 4': '192.0.2.1',
  'a.example.net 6': '2001:DB8::1',
  'b.example.net 4': '192.0.2.2',
  'c.example.net undefined': '2001:db8::3',
};

const lookup: Lookup = async (questions) =>
  questions.map(({ name, version }): Reply => {
    const address = ANSWERS[`${name} ${version}`];
    return address === undefined ? { error: 'ENOTFOUND' } : { address };
  });

function parse(text: string): LoadedConfig {
  return parseConfig(Buffer.from(text), 'grebe.toml');
}

test('a host name has labels of letters, digits and hyphens, and no address is one', () => {
  const long = 'a'.repeat(63);
  for (const name of ['router', 'a.example.net', 'A-1.example', '_x.example.net', `${long}.net`]) {
    assert.equal(isHostName(name), true, name);
    assert.equal(isHostName(`${name}.`), true, name);
  }
  const none = ['', '.', 'a..b', '-a', 'a-', 'a b', 'a_b', 'ä.net', '1.2.3.4', '010.0.0.1', '7'];
  const numbers = ['0x7f.1', '0x7f000001', 'a.0x', '1.2.3', 'a.1', '::1', 'fe80::1%eth0'];
  for (const name of [...none, ...numbers, `${long}a.net`, `${`${long}.`.repeat(4)}net`]) {
    assert.equal(isHostName(name), false, name);
  }
});

test('the names of a config are its remotes and those of peers, with the family of the mode', () => {
  const { config } = parse(CONFIG);
  assert(config);
  assert.deepEqual(namesOf(config), [
    { tunnel: 'a', name: 'a.example.net', version: 4 },
    { tunnel: 'b', name: 'a.example.net', version: 6 },
    { tunnel: 'c', name: 'b.example.net', version: 4 },
    { tunnel: 'd', name: 'c.example.net' },
  ]);
});

test('names become addresses in canonical form, each asked for once', async () => {
  const { config } = parse(CONFIG);
  assert(config);
  let asked = 0;
  const counted: Lookup = (questions, options) => {
    asked += questions.length;
    return lookup(questions, options);
  };
  const doubled = { ...config, tunnels: [...config.tunnels, ...config.tunnels] };
  const resolved = await resolveNames(doubled, { lookup: counted });
  assert.deepEqual(
    resolved.slice(0, 4).map(({ answer }) => answer),
    [
      { address: '192.0.2.1' },
      { address: '2001:db8::1' },
      { address: '192.0.2.2' },
      { address: '2001:db8::3' },
    ],
  );
  assert.equal(resolved.length, 8);
  assert.equal(asked, 4);
});

test('a name without an address is an error at its place, and others stay', async () => {
  const text = CONFIG.replace('b.example.net', 'x.example.net').replace(
    'remote = "c.',
    'ttl = 999\nremote = "y.',
  );
  const loaded = parse(text);
  const { config, diagnostics } = await checkNames(loaded, { lookup });
  assert.equal(config, undefined);
  const found = diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`);
  assert.deepEqual(found, ['14:14 E133', '19:7 E107', '20:10 E133']);
  const [first, , last] = diagnostics;
  assert.equal(first?.message, 'cannot resolve x.example.net: it has no IPv4 address');
  assert.equal(first?.hint, 'see what the system says: getent ahosts x.example.net');
  assert.equal(first?.source, '  { remote = "x.example.net", routes = [] },');
  assert.equal(last?.message, 'cannot resolve y.example.net: it has no address');
});

test('names that all resolve leave the config as it was read', async () => {
  const loaded = parse(CONFIG);
  assert.equal(await checkNames(loaded, { lookup }), loaded);
});

test('what a name stands for must be an address that packets can have', async () => {
  const { config } = parse('[tunnel.a]\nmode = "gre"\nremote = "me"\nallow = ["any"]\n');
  assert(config);
  const [found] = await resolveNames(config, { lookup: async () => [{ address: '127.0.1.1' }] });
  assert.deepEqual(found?.answer, {
    fault:
      'its address cannot be 127.0.1.1: packets with a loopback address are dropped (outer-martian)',
  });
});

test('what the system says instead of an address is told, silence too', async () => {
  const text = ['a', 'b', 'c'].map(
    (name) => `[tunnel.${name}]\nmode = "gre"\nremote = "${name}.example.net"\nallow = ["any"]\n`,
  );
  const { config } = parse(text.join(''));
  assert(config);
  const replies = [{ error: 'EAI_AGAIN' }, { error: 'spawn node EAGAIN' }, undefined];
  const resolved = await resolveNames(config, { lookup: async () => replies });
  assert.deepEqual(
    resolved.map(({ answer }) => answer),
    [
      { fault: 'no name server answers' },
      { fault: 'spawn node EAGAIN' },
      { fault: 'no answer within 5 s' },
    ],
  );
});

test('the system is asked for what stands in /etc/hosts, by family', async () => {
  const questions = [
    { name: 'localhost', version: 4 },
    { name: 'nowhere.invalid', version: 6 },
  ] as const;
  const [found, none] = await systemLookup(questions, { limitMs: 20_000 });
  assert.deepEqual(found, { address: '127.0.0.1' });
  assert(none !== undefined && 'error' in none);
  assert.match(none.error, /^(ENOTFOUND|EAI_)/);
});

test('questions whose time is over, or that nobody waits for, have no reply and leave nothing behind', async () => {
  const questions = [{ name: 'localhost', version: 4 }] as const;
  assert.deepEqual(await systemLookup(questions, { limitMs: 0 }), [undefined]);
  const start = Date.now();
  const ended = systemLookup(questions, { limitMs: 60_000, signal: AbortSignal.timeout(1) });
  assert.deepEqual(await ended, [undefined]);
  assert.deepEqual(
    await systemLookup(questions, { limitMs: 60_000, signal: AbortSignal.abort() }),
    [undefined],
  );
  assert(Date.now() - start < 5000);
});
