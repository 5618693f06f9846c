// Three routers on one bridge, in namespaces of this test's own:
//
//   r1 192.0.2.1 --+
//   r2 192.0.2.2 --+-- bridge       and 2001:db8:2::1, ::2, ::3
//   r3 192.0.2.3 --+
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { UNDERLAY } from './lab.js';

export interface Bridge {
  readonly namespaces: Namespaces;
  /** Namespaces of the routers. */
  readonly routers: readonly [string, string, string];
}

/** Outer address of router 1, 2 or 3. */
export function outer4(number: number): string {
  return `192.0.2.${number}`;
}

export function outer6(number: number): string {
  return `2001:db8:2::${number}`;
}

export interface BridgeOptions {
  /** false: no IPv6 anywhere, so that packets can be counted exactly. */
  readonly ipv6: boolean;
}

/** Builds it, and takes everything away after `use`, whatever happens. */
export async function withBridge(
  label: string,
  { ipv6 }: BridgeOptions,
  use: (bridge: Bridge) => Promise<void>,
): Promise<void> {
  const namespaces = new Namespaces(label);
  try {
    const middle = namespaces.add('middle', { ipv6: false });
    // Without snooping every port has every group, as on a hub.
    ip('-n', middle, 'link', 'add', 'bridge', 'type', 'bridge', 'mcast_snooping', '0');
    ip('-n', middle, 'link', 'set', 'bridge', 'up');
    const add = (number: number): string => {
      const router = namespaces.add(`r${number}`, { ipv6, forward: true });
      const port = `p${number}`;
      const own = [`${outer4(number)}/24`, ...(ipv6 ? [`${outer6(number)}/64`] : [])];
      namespaces.link(
        { namespace: router, device: UNDERLAY, addresses: own },
        { namespace: middle, device: port, addresses: [] },
      );
      ip('-n', middle, 'link', 'set', port, 'master', 'bridge');
      // What goes back out of the device it came by is no mistake of the sender here.
      const quiet = ['all', 'default'].map((name) => `net.ipv4.conf.${name}.send_redirects=0`);
      namespaces.run(router, 'sysctl', ['-qw', ...quiet]);
      return router;
    };
    await use({ namespaces, routers: [add(1), add(2), add(3)] });
  } finally {
    await namespaces.close();
  }
}
