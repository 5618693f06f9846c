// Two routers with a network between them whose middle link is narrow, and a host behind each router:
//
//   hA 10.1.0.2 -- rA 192.0.2.1 -- m -- n -- 198.51.100.2 rB -- 10.2.0.2 hB
//      fd00:1::2      2001:db8:1::1   1400      2001:db8:2::2      fd00:2::2
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { type RouterProcess, startRouter } from '../../src/demo/router-process.js';
import type { Side } from './lab.js';

/** Addresses of the routers on the underlay, by version. */
export const FAR: Readonly<Record<4 | 6, Readonly<Record<Side, string>>>> = {
  4: { A: '192.0.2.1', B: '198.51.100.2' },
  6: { A: '2001:db8:1::1', B: '2001:db8:2::2' },
};
/** What the middle link takes. */
export const NARROW = 1400;

export interface Hops {
  readonly namespaces: Namespaces;
  readonly hA: string;
  readonly rA: string;
  readonly m: string;
  readonly n: string;
  readonly rB: string;
  readonly hB: string;
  readonly a: RouterProcess;
  readonly b: RouterProcess;
}

export interface HopsOptions {
  /** The `[tunnel.NAME]` tables of each side. */
  readonly tunnels: (side: Side) => string;
  readonly router?: string;
  /** false: no IPv6 at all. */
  readonly ipv6?: boolean;
}

/** Builds it, starts both routers, and takes everything away after `use`. */
export async function withHops(
  label: string,
  { tunnels, router = '', ipv6 = true }: HopsOptions,
  use: (hops: Hops) => Promise<void>,
): Promise<void> {
  const namespaces = new Namespaces(label);
  try {
    const options = { ipv6, forward: true };
    const [rA, m, n, rB] = ['rA', 'm', 'n', 'rB'].map((name) => namespaces.add(name, options)) as [
      string,
      string,
      string,
      string,
    ];
    const hA = namespaces.add('hA', { ipv6 });
    const hB = namespaces.add('hB', { ipv6 });
    const both = (four: string, six: string): string[] => (ipv6 ? [four, six] : [four]);
    const cable = (
      [left, leftDevice, ...leftAddresses]: [string, string, string, string],
      [right, rightDevice, ...rightAddresses]: [string, string, string, string],
    ): void =>
      namespaces.link(
        { namespace: left, device: leftDevice, addresses: both(...leftAddresses) },
        { namespace: right, device: rightDevice, addresses: both(...rightAddresses) },
      );
    cable(
      [rA, 'u0', '192.0.2.1/24', '2001:db8:1::1/64'],
      [m, 'a0', '192.0.2.9/24', '2001:db8:1::9/64'],
    );
    cable(
      [m, 'n0', '203.0.113.1/24', '2001:db8:3::1/64'],
      [n, 'm0', '203.0.113.2/24', '2001:db8:3::2/64'],
    );
    cable(
      [n, 'b0', '198.51.100.9/24', '2001:db8:2::9/64'],
      [rB, 'u0', '198.51.100.2/24', '2001:db8:2::2/64'],
    );
    cable([hA, 'eth0', '10.1.0.2/24', 'fd00:1::2/64'], [rA, 'lan0', '10.1.0.1/24', 'fd00:1::1/64']);
    cable([hB, 'eth0', '10.2.0.2/24', 'fd00:2::2/64'], [rB, 'lan0', '10.2.0.1/24', 'fd00:2::1/64']);
    ip('-n', m, 'link', 'set', 'n0', 'mtu', String(NARROW));
    ip('-n', n, 'link', 'set', 'm0', 'mtu', String(NARROW));
    // [namespace, gateways]: everything else is behind them.
    const gateways: [string, string, string][] = [
      [rA, '192.0.2.9', '2001:db8:1::9'],
      [m, '203.0.113.2', '2001:db8:3::2'],
      [n, '203.0.113.1', '2001:db8:3::1'],
      [rB, '198.51.100.9', '2001:db8:2::9'],
      [hA, '10.1.0.1', 'fd00:1::1'],
      [hB, '10.2.0.1', 'fd00:2::1'],
    ];
    for (const [namespace, four, six] of gateways) {
      ip('-n', namespace, 'route', 'add', 'default', 'via', four);
      if (ipv6) ip('-n', namespace, '-6', 'route', 'add', 'default', 'via', six);
    }
    const [a, b] = await Promise.all([
      startRouter(namespaces, rA, tunnels('A'), router),
      startRouter(namespaces, rB, tunnels('B'), router),
    ]);
    await use({ namespaces, hA, rA, m, n, rB, hB, a, b });
  } finally {
    await namespaces.close();
  }
}

export interface FarOptions {
  /** Further lines of the table. */
  readonly lines?: readonly string[];
  /** Version inside, where only one of what the mode carries is to be. */
  readonly inner?: 4 | 6;
}

/** Our end of `tun1` between the far routers, over the given version, and the way to the network behind the other. */
export function farTunnel(
  mode: string,
  version: 4 | 6,
  { lines = [], inner }: FarOptions = {},
): (side: Side) => string {
  return (side) => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const is4 = mode !== 'sit' && mode !== 'ip6ip6' && inner !== 6;
    const is6 = mode !== 'ipip' && mode !== 'ip4ip6' && inner !== 4;
    const list = (four: string, six: string): string =>
      JSON.stringify([...(is4 ? [four] : []), ...(is6 ? [six] : [])]);
    return [
      '[tunnel.tun1]',
      `mode = "${mode}"`,
      `local = "${FAR[version][side]}"`,
      `remote = "${FAR[version][side === 'A' ? 'B' : 'A']}"`,
      `address = ${list(`10.9.0.${ours}/24`, `fd00:9::${ours}/64`)}`,
      `routes = ${list(`10.${theirs}.0.0/24`, `fd00:${theirs}::/64`)}`,
      ...lines,
      '',
    ].join('\n');
  };
}
