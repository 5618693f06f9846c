// What devices lack of what their tunnels give them: somebody took it away, or the kernel did, which drops the routes of
// a device that is set down, and its IPv6 addresses.
import type { TunnelConfig } from '../config/config.js';
import { type DeviceNetwork, deviceNetworks } from '../sys/ip.js';
import { addressWord, prefixWords, routeWord } from './network.js';

/** By tunnel, in the words of ip(8): `address 10.9.0.1/24`, `route 10.2.0.0/16`. */
export type Absent = ReadonlyMap<string, readonly string[]>;

/**
 * Asks the kernel. Of a device that is down nothing is said: its routes cannot be there. Nor of a route that leads
 * elsewhere by now: somebody wanted that.
 */
export async function readAbsent(tunnels: readonly TunnelConfig[]): Promise<Absent> {
  const { devices, routed } = await deviceNetworks();
  return new Map(
    tunnels.flatMap((config): [string, string[]][] => {
      const lacks = lackedBy(config, devices.get(config.name), routed);
      return lacks.length === 0 ? [] : [[config.name, lacks]];
    }),
  );
}

function lackedBy(
  config: TunnelConfig,
  device: DeviceNetwork | undefined,
  routed: ReadonlySet<string>,
): string[] {
  if (device?.isUp !== true) return [];
  const { addresses, routes } = prefixWords(config);
  return [
    ...addresses.filter((prefix) => !device.addresses.has(prefix)).map(addressWord),
    ...routes.filter((prefix) => !routed.has(prefix)).map(routeWord),
  ];
}
