// What a config leaves to the system: the MTU of the path, the index of the bound device.
import { randomInt } from 'node:crypto';
import type { TunnelConfig } from '../config/config.js';
import { isName } from '../config/host-name.js';
import { tunnelOf } from '../config/tunnel.js';
import { formatPrefix } from '../packet/address.js';
import type { Tunnel } from '../packet/tunnel.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type Path, pathMtus } from '../sys/ip.js';
import { interfaceIndex } from '../sys/libc.js';

/** Smallest MTU that IPv6 needs (RFC 8200, 5). */
const IPV6_MTU_MIN = 1280;

/** What a host name stands for in a tunnel, where that is known. */
export type AddressOf = (tunnel: string, name: string) => string | undefined;

/** Paths to the remote of a tunnel, or to all of its peers, as far as they have addresses. */
function pathsOf({ name, remote, peers, dev }: TunnelConfig, addressOf: AddressOf): Path[] {
  const remotes = peers.length === 0 ? [remote] : peers.map((peer) => peer.remote);
  const known = remotes.map((one) => (isName(one) ? addressOf(name, one) : one));
  // Where none is known there is still the device that it is bound to.
  return [...new Set(known)].map((one) => ({ remote: one ?? 'any', dev }));
}

/** Resolves what a config leaves to the system: the MTU of the path and the index of the bound device. */
export async function resolveTunnels(
  configs: readonly TunnelConfig[],
  addressOf: AddressOf = () => undefined,
): Promise<Tunnel[]> {
  const pathMtu = await pathMtus(
    configs.filter(({ mtu }) => mtu === undefined).flatMap((config) => pathsOf(config, addressOf)),
  );
  return configs.map((config) => {
    const link = config.dev === undefined ? 0 : interfaceIndex(config.dev);
    if (config.dev !== undefined && link === 0) {
      throw new Failure(
        EXIT.kernelRefused,
        `tunnel ${config.name}: dev ${config.dev}: no such device: ENODEV`,
        'see which devices there are: ip link',
      );
    }
    const mtus = pathsOf(config, addressOf).flatMap((path) => pathMtu(path) ?? []);
    const tunnel = tunnelOf(config, {
      ...(mtus.length === 0 ? {} : { pathMtu: Math.min(...mtus) }),
      link,
      addressOf: (name) => addressOf(config.name, name),
      probeIdentifier: randomInt(1, 0x10000),
    });
    requireIpv6Room(config, tunnel.mtu);
    return tunnel;
  });
}

/** The kernel's own answer to an IPv6 address on too small a device is EINVAL alone. */
function requireIpv6Room({ name, address, routes, peers }: TunnelConfig, mtu: number): void {
  const behind = peers.flatMap((peer) => peer.routes);
  const ipv6 = [...address, ...routes, ...behind].find((prefix) => prefix.address.includes(':'));
  if (ipv6 === undefined || mtu >= IPV6_MTU_MIN) return;
  throw new Failure(
    EXIT.kernelRefused,
    `tunnel ${name}: ${formatPrefix(ipv6)}: the kernel takes IPv6 on devices with an MTU of ${IPV6_MTU_MIN} or more, this one has ${mtu}: EINVAL`,
    'raise the MTU of the path to the remote (ip link), set mtu, or drop the IPv6 addresses and routes',
  );
}
