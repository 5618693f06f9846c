// What a config leaves to the system: the MTU of the path, the index of the bound device.
import { randomInt } from 'node:crypto';
import type { TunnelConfig } from '../config/config.js';
import { isName } from '../config/host-name.js';
import { type Surroundings, tunnelOf } from '../config/tunnel.js';
import type { Tunnel } from '../packet/tunnel.js';
import { SOURCE_PORTS } from '../packet/udp.js';
import { EXIT, Failure } from '../sys/failure.js';
import { type Path, pathMtus } from '../sys/ip.js';
import { interfaceIndex } from '../sys/libc.js';
import { requireRoom } from './device-mtu.js';

/** What a host name stands for in a tunnel, where that is known. */
export type AddressOf = (tunnel: string, name: string) => string | undefined;

/** What was chosen at random for a tunnel. */
export type Chosen = Pick<Surroundings, 'probeIdentifier' | 'sourcePort'>;

/** Paths to the remote of a tunnel, or to all of its peers, as far as they have addresses. */
function pathsOf({ name, remote, peers, dev }: TunnelConfig, addressOf: AddressOf): Path[] {
  const remotes = peers.length === 0 ? [remote] : peers.map((peer) => peer.remote);
  const known = remotes.map((one) => (isName(one) ? addressOf(name, one) : one));
  // Where none is known there is still the device that it is bound to.
  return [...new Set(known)].map((one) => ({ remote: one ?? 'any', dev }));
}

/**
 * Resolves what a config leaves to the system: the MTU of the path and the index of the bound device. `chosenOf`: what was
 * chosen for a tunnel before, by its name, and stays. Throws a Failure for what is not there or has no room.
 */
export async function resolveTunnels(
  configs: readonly TunnelConfig[],
  addressOf: AddressOf = () => undefined,
  chosenOf: (name: string) => Chosen = () => ({}),
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
      sourcePort: randomInt(SOURCE_PORTS.first, SOURCE_PORTS.last + 1), // RFC 8086, 2.1.1
      ...chosenOf(config.name),
    });
    requireRoom(config, tunnel);
    return tunnel;
  });
}
