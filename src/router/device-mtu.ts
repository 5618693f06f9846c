// The MTU of tunnels' devices: what the tunnel carries whole, but no less than IPv6 asks of every link (RFC 8200, 5). What
// is longer than the path goes in fragments then (RFC 7676, 3.3; RFC 2473, 7.1; RFC 4213, 3.2.2).
import type { TunnelConfig } from '../config/config.js';
import { IPV6_MTU_MIN } from '../packet/ipv6.js';
import { carries, type Prefix, type Tunnel } from '../packet/tunnel.js';
import { EXIT, Failure } from '../sys/failure.js';
import { byRecord, type Fleet } from './fleet.js';

/** The MTU of the device of `tunnel`. */
export function deviceMtu(config: TunnelConfig, tunnel: Tunnel): number {
  const { mtu } = tunnel;
  // An MTU that was asked for is kept.
  return config.mtu === undefined && carriesIpv6(config) ? Math.max(mtu, IPV6_MTU_MIN) : mtu;
}

/** The MTUs of all devices, by record. */
export function deviceMtus(fleet: Fleet): (number | undefined)[] {
  return byRecord(fleet, ({ config, tunnel }) => deviceMtu(config, tunnel));
}

/**
 * Throws a Failure when the device is too small for its IPv6 addresses, of which the kernel's own answer is EINVAL alone,
 * or the tunnel for the probes that are to be sent.
 */
export function requireRoom(config: TunnelConfig, tunnel: Tunnel): void {
  const { name, probe } = config;
  const mtu = deviceMtu(config, tunnel);
  const ipv6 = networksOf(config).find(isIpv6);
  if (ipv6 !== undefined && mtu < IPV6_MTU_MIN) {
    throw new Failure(
      EXIT.kernelRefused,
      `tunnel ${name}: ${ipv6.address}/${ipv6.bits}: the kernel takes IPv6 on devices with an MTU of ${IPV6_MTU_MIN} or more, this one has ${mtu}: EINVAL`,
      'raise the MTU of the path to the remote (ip link), leave out mtu, or drop the IPv6 addresses and routes',
    );
  }
  if (probe?.size === undefined || probe.size <= (probe.target.includes(':') ? mtu : tunnel.mtu)) {
    return;
  }
  throw new Failure(
    EXIT.config,
    `tunnel ${name}: probe.size = ${probe.size} is more than the tunnel takes: its MTU is ${tunnel.mtu}`,
    `a size of up to ${tunnel.mtu}, or a larger MTU of the path to the remote (ip link)`,
  );
}

function carriesIpv6(config: TunnelConfig): boolean {
  return carries(config.mode) === 6 || networksOf(config).some(isIpv6);
}

function networksOf({ address, routes, peers }: TunnelConfig): Prefix[] {
  return [...address, ...routes, ...peers.flatMap((peer) => peer.routes)];
}

function isIpv6({ address }: Prefix): boolean {
  return address.includes(':');
}
