// A config, written as the words of ip(8) that mean the same, comes back as it was.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TunnelConfig } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import { importLines } from '../../src/import/import.js';
import '../support/arbitrary.js'; // its settings of fast-check

/** What both can say. The kernel's `allow` is everybody. */
type Options = Pick<
  TunnelConfig,
  | 'mode'
  | 'local'
  | 'remote'
  | 'checksumIn'
  | 'checksumOut'
  | 'sequenceIn'
  | 'sequenceOut'
  | 'ttl'
  | 'tos'
  | 'tosIn'
  | 'pmtudisc'
  | 'ignoreDf'
  | 'flowLabel'
> & { keyIn: number | undefined; keyOut: number | undefined } & {
  encapLimit: number | undefined;
  mtu: number | undefined;
  dev: string | undefined;
  address: readonly string[];
  routes: readonly string[];
};

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const key = maybe(
  fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 0xffffffff })),
);
const ADDRESSES = { 4: ['192.0.2.1', '198.51.100.2'], 6: ['2001:db8::1', '2001:db8:ffff::2'] };
const INNER = { 4: ['10.9.0.1/24', '10.8.0.1/32'], 6: ['fd00:9::1/64', 'fd00:8::1/128'] };
const ROUTES = { 4: ['10.20.0.0/16', '0.0.0.0/0'], 6: ['fd00:20::/32', '::/0'] };
const MODES = [
  ...(['gre', 'gretap', 'ipip', 'sit', 'gre-udp'] as const),
  ...(['ip6gre', 'ip6gretap', 'ip6ip6', 'ip4ip6'] as const),
];

const options: fc.Arbitrary<Options> = fc
  .constantFrom(...MODES)
  .chain((mode) => {
    const family = /^(ip6|ip4)/.test(mode) ? 6 : 4;
    const isGre = mode.includes('gre');
    const flag = isGre ? fc.boolean() : fc.constant(false);
    const carried =
      mode === 'ipip' || mode === 'ip4ip6' ? [4] : /sit|ip6ip6/.test(mode) ? [6] : [4, 6];
    const some = (pool: { readonly 4: readonly string[]; readonly 6: readonly string[] }) =>
      fc.subarray([...carried.flatMap((version) => pool[version === 4 ? 4 : 6])]);
    const [local = '', remote = ''] = ADDRESSES[family];
    return fc.record({
      mode: fc.constant(mode),
      local: fc.constantFrom(local, ...(mode === 'gre-udp' ? [] : ['any'])),
      remote: fc.constant(remote),
      keyIn: isGre ? key : fc.constant(undefined),
      keyOut: isGre ? key : fc.constant(undefined),
      checksumIn: flag,
      checksumOut: flag,
      sequenceIn: flag,
      sequenceOut: flag,
      ttl: fc.oneof(fc.constant('inherit' as const), fc.integer({ min: 1, max: 255 })),
      tos: fc.oneof(
        fc.constant('inherit' as const),
        fc.integer({ min: 0, max: 63 }).map((dscp) => dscp * 4),
      ),
      tosIn: family === 6 ? fc.constantFrom('keep', 'inherit') : fc.constant('keep' as const),
      pmtudisc: family === 4 ? fc.boolean() : fc.constant(true),
      ignoreDf: family === 4 && isGre ? fc.boolean() : fc.constant(false),
      encapLimit: family === 6 ? maybe(fc.integer({ min: 0, max: 255 })) : fc.constant(undefined),
      flowLabel:
        family === 6
          ? fc.oneof(fc.constant('inherit' as const), fc.integer({ min: 0, max: 0xfffff }))
          : fc.constant(0),
      mtu: maybe(fc.integer({ min: 1280, max: 9000 })),
      dev: maybe(fc.constantFrom('eth0', 'wan')),
      address: some(INNER),
      routes: some(ROUTES),
    }) as fc.Arbitrary<Options>;
  })
  // What Linux does not take, and a config does not either.
  .map((one): Options => {
    const pmtudisc = one.pmtudisc || typeof one.ttl === 'number';
    return { ...one, pmtudisc, ignoreDf: one.ignoreDf && !pmtudisc };
  });

/** The lines of ip(8); `isTunnel` in the words of `ip tunnel`, where it has such tunnels. */
function toLines(one: Options, isTunnel: boolean): string {
  const isIpv6 = /^ip[46]/.test(one.mode);
  const types: { readonly [mode: string]: string } = {
    'gre-udp': 'gre',
    ip6ip6: 'ip6tnl',
    ip4ip6: 'ip6tnl',
  };
  const words: string[] = [];
  const add = (isThere: boolean, text: string): void => void (isThere && words.push(text));
  const type = types[one.mode] ?? one.mode;
  if (isTunnel) words.push(`ip ${isIpv6 ? '-6 ' : ''}tunnel add t1 mode ${one.mode}`);
  else words.push(`ip link add t1 type ${type}${type === 'ip6tnl' ? ` mode ${one.mode}` : ''}`);
  add(one.local !== 'any', `local ${one.local}`);
  words.push(`remote ${one.remote}`);
  add(one.keyIn !== undefined, `ikey ${one.keyIn}`);
  add(one.keyOut !== undefined, `okey ${one.keyOut}`);
  add(one.checksumIn, 'icsum');
  add(one.checksumOut, 'ocsum');
  add(one.sequenceIn, 'iseq');
  add(one.sequenceOut, 'oseq');
  words.push(`${isIpv6 ? 'hoplimit' : 'ttl'} ${one.ttl}`);
  words.push(`tos ${typeof one.tos === 'number' ? one.tos.toString(16) : one.tos}`);
  add(one.tosIn === 'inherit', 'dscp inherit');
  add(!one.pmtudisc, 'nopmtudisc');
  add(one.ignoreDf, 'ignore-df');
  if (isIpv6) {
    words.push(`encaplimit ${one.encapLimit ?? 'none'}`);
    const { flowLabel } = one;
    words.push(`flowlabel ${typeof flowLabel === 'number' ? flowLabel.toString(16) : flowLabel}`);
  }
  add(one.mode === 'gre-udp', 'encap fou encap-sport auto encap-dport 4754');
  add(one.dev !== undefined, `dev ${one.dev}`);
  return [
    words.join(' '),
    ...(one.mtu === undefined ? [] : [`ip link set t1 mtu ${one.mtu}`]),
    ...one.address.map((address) => `ip addr add ${address} dev t1`),
    ...one.routes.map((route) => `ip route add ${route} dev t1`),
  ].join('\n');
}

function pickOptions(config: TunnelConfig | undefined): Options | undefined {
  if (config === undefined) return undefined;
  const { keyIn, keyOut, encapLimit, mtu, dev } = config;
  const text = (list: TunnelConfig['address']): string[] =>
    list.map(({ address, bits }) => `${address}/${bits}`);
  const { mode, local, remote, checksumIn, checksumOut, sequenceIn, sequenceOut } = config;
  const { ttl, tos, tosIn, pmtudisc, ignoreDf, flowLabel } = config;
  const gre = { keyIn, keyOut, checksumIn, checksumOut, sequenceIn, sequenceOut };
  const outer = { ttl, tos, tosIn, pmtudisc, ignoreDf, flowLabel, encapLimit, mtu, dev };
  const inner = { address: text(config.address), routes: text(config.routes) };
  return { mode, local, remote, ...gre, ...outer, ...inner };
}

test('config -> words of ip(8) -> import -> the same config, and nothing lost', () => {
  fc.assert(
    fc.property(options, fc.boolean(), (one, wantsTunnel) => {
      const isTunnel = wantsTunnel && !/tap|udp/.test(one.mode) && !one.ignoreDf;
      const lines = toLines(one, isTunnel);
      const { toml, refused, lost, notes } = importLines(lines);
      assert.deepEqual([refused, lost, notes], [[], [], []], lines);
      const { config } = parseConfig(Buffer.from(toml), 'import');
      assert.deepEqual(pickOptions(config?.tunnels[0]), one, lines);
      assert.equal(config?.tunnels[0]?.allow, 'any');
    }),
    { numRuns: 1000 },
  );
});

test('a label for each flow is no word of ip(8), and none of import', () => {
  const line = 'ip link add t1 type ip6gre remote 2001:db8::2 local 2001:db8::1 flowlabel flow';
  const { refused, tunnels } = importLines(line);
  assert.equal(refused.length, 1);
  assert.match(refused[0]?.message ?? '', /flowlabel.*flow/);
  assert.deepEqual(tunnels, []);
});

test('no text makes import throw, and what it makes is a config', () => {
  const word = fc.oneof(
    fc.constantFrom(
      ...'ip tunnel link add change del set type gre gretap ip6tnl sit ipip'.split(' '),
    ),
    fc.constantFrom(
      ...'remote local key ikey ttl tos dev mtu encap fou mode any via table'.split(' '),
    ),
    fc.constantFrom(
      ...'192.0.2.1 192.0.2.2 2001:db8::1 10.0.0.0/8 0 64 t1 t2 \n ; && # " \\\n'.split(' '),
    ),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      const { toml, tunnels, refused } = importLines(words.join(' '));
      if (refused.length > 0) return;
      const { config, diagnostics } = parseConfig(Buffer.from(toml), 'import');
      assert.ok(config, diagnostics[0]?.message);
      assert.deepEqual(
        config.tunnels.map(({ name }) => name),
        tunnels,
      );
    }),
    { numRuns: 2000 },
  );
});
