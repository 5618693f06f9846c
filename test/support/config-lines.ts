// Lines of [tunnel.NAME] tables that a config may hold, for properties about whole configs.
import fc from 'fast-check';
import type { Config, TunnelConfig } from '../../src/config/config.js';
import { parseConfig } from '../../src/config/load.js';
import './arbitrary.js'; // its settings of fast-check

const maybe = (line: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant('') }, { weight: 1, arbitrary: line });
const one = (...lines: string[]): fc.Arbitrary<string> => maybe(fc.constantFrom(...lines));
const flag = (key: string): fc.Arbitrary<string> =>
  one(`${key} = true`, `${key} = { in = true }`, `${key} = { out = true }`);

const MODES = [
  ...(['gre', 'gretap', 'ipip', 'sit', 'gre-udp'] as const),
  ...(['ip6gre', 'ip6gretap', 'ip6ip6', 'ip4ip6'] as const),
];

function familyOf(mode: string): 4 | 6 {
  return /^ip[46]/.test(mode) ? 6 : 4;
}

/** What words of `ip tunnel` can say, too. */
function plainLines(mode: string): fc.Arbitrary<string>[] {
  const isOver6 = familyOf(mode) === 6;
  const [local, remote] = isOver6 ? ['2001:db8::1', '2001:db8::2'] : ['192.0.2.1', '192.0.2.2'];
  const number = fc.integer({ min: 0, max: 0xffffffff });
  const gre = [
    maybe(
      fc.oneof(
        number.map((key) => `key = ${key}`),
        fc.constant('key = "0.0.0.42"'),
        number.map((key) => `key = { in = ${key} }`),
        fc.tuple(number, number).map(([into, out]) => `key = { in = ${into}, out = ${out} }`),
      ),
    ),
    ...[flag('csum'), flag('seq')],
  ];
  return [
    fc.constant(`mode = "${mode}"`),
    mode === 'gre-udp' ? fc.constant(`local = "${local}"`) : one(`local = "${local}"`),
    mode.includes('tap')
      ? fc.constant(`remote = "${remote}"`)
      : fc.constantFrom(`remote = "${remote}"`, 'remote = "Peer.example"'),
    ...(mode.includes('gre') ? gre : []),
    ...(isOver6
      ? [
          one('encaplimit = 0', 'encaplimit = 4', 'encaplimit = 255'),
          one('flowlabel = 0x12345', 'flowlabel = "inherit"', 'flowlabel = "flow"'),
          one('ttl = "inherit"', 'ttl = 1', 'ttl = 64', 'ttl = 255'),
        ]
      : [one('ttl = 1', 'ttl = 255', 'ttl = "inherit"', 'ttl = "inherit"\npmtudisc = false')]),
    one('tos = 0x10', 'tos = 0', 'tos = "inherit"'),
    one('mtu = 1400', 'mtu = 1280'),
    one('dev = "eth0"'),
  ];
}

/** The rest. */
function otherLines(mode: string): fc.Arbitrary<string>[] {
  const carries = mode === 'ipip' || mode === 'ip4ip6' ? 4 : /sit|ip6ip6/.test(mode) ? 6 : 46;
  const [network, address, deep] =
    carries === 6
      ? ['fd00:5::/64', 'fd00:5::1/64', 'fd00::/16']
      : ['10.5.0.0/24', '10.5.0.1/24', '10.0.0.0/8'];
  return [
    one('ecn = "compatibility"'),
    one('mss = "off"', 'mss = 1200'),
    one(`address = ["${address}"]`),
    one(`routes = ["${deep}"]`, `routes = ["${network}", "${deep}"]`),
    one(
      'allow = ["any"]',
      `allow = ["${network}"]`,
      `allow = ["${deep}", "${network}"]`,
      'allow = []',
    ),
    one('profile = "linux"'),
    ...(mode === 'gre' || mode === 'ip6gre'
      ? [one('keepalive = {}', 'keepalive = { interval = "90m", count = 5 }')]
      : []),
    ...(mode.includes('gre') ? [one('reorder = { packets = 8, time = "5ms" }')] : []),
    one(
      `probe = { target = "${address.replace('1/', '2/').replace(/\/.*/, '')}", interval = "250ms" }`,
    ),
    one('reflect = true'),
    ...(mode === 'gre-udp' ? [one('sport = 4754', 'sport = "random"', 'sport = "auto"')] : []),
  ];
}

function table(lines: (mode: string) => fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc
    .constantFrom(...MODES)
    .chain((mode) => fc.tuple(...lines(mode)))
    .map((all) => all.filter((line) => line !== '').join('\n'));
}

/** The config of some lines of one table; undefined: it has errors. */
export function configOf(name: string, lines: string): Config | undefined {
  return parseConfig(Buffer.from(`[tunnel.${name}]\n${lines}\n`), 'grebe.toml').config;
}

/** Lines of one table that is right, with any key. */
export const tunnelLines: fc.Arbitrary<string> = table((mode) => [
  ...plainLines(mode),
  ...otherLines(mode),
]).filter((lines) => configOf('t', lines) !== undefined);

/** A tunnel that has nothing but what words of `ip tunnel` say, and takes every inner sender, as the kernel's do. */
export const plainTunnel: fc.Arbitrary<TunnelConfig> = table(plainLines)
  .map((lines) => configOf('t', `${lines}\nallow = ["any"]`)?.tunnels[0])
  .filter((config) => config !== undefined);
