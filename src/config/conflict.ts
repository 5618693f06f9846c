// What tunnels must not have in common. Sorted or hashed, so that ten thousand tunnels take no longer than
// their lines.

import type { Block } from '../packet/address.js';
import { contains, formatPrefix, network, parseAddress, toBlock } from '../packet/address.js';
import type { TunnelDraft } from './check.js';
import { CODE, type Report } from './diagnostic.js';
import { isIpv6, type PlacedPrefix } from './prefixes.js';
import { isGreMode } from './tunnel.js';

/** Reports what contradicts between tunnels. */
export function checkConflicts(tunnels: readonly TunnelDraft[], report: Report): void {
  checkMatch(tunnels, report);
  checkAddresses(tunnels, report);
  checkRoutes(tunnels, report);
  checkEndpointsInside(tunnels, report);
}

/** Two tunnels that take the same received packets. */
function checkMatch(tunnels: readonly TunnelDraft[], report: Report): void {
  const byMatch = new Map<string, TunnelDraft>();
  for (const tunnel of tunnels) {
    if (!tunnel.isComparable) continue;
    const { name, mode, local, remote, keyIn, dev } = tunnel.config;
    // A GRE tunnel with both ends open is found by the value of the key alone, and no key counts as 0.
    const isKeyed = isGreMode(mode);
    const isOpen = isKeyed && local === 'any' && remote === 'any';
    const key = isOpen ? (keyIn ?? 0) : keyIn;
    const match = JSON.stringify([mode, local, remote, key, dev]);
    const first = byMatch.get(match);
    if (first === undefined) {
      byMatch.set(match, tunnel);
      continue;
    }
    const other = `${first.config.name} (line ${first.place.line})`;
    if (isOpen && first.config.keyIn !== keyIn) {
      const message = `${name} and ${other} take the same packets: with local and remote "any", no key counts as key 0`;
      report.add(CODE.wildcardConflict, tunnel.place, message, 'give one of them another key');
      continue;
    }
    const keyText = !isKeyed ? '' : keyIn === undefined ? ', no key' : `, key ${keyIn}`;
    const devText = dev === undefined ? '' : `, dev ${dev}`;
    report.add(
      CODE.duplicateTunnel,
      tunnel.place,
      `${name} takes the same packets as ${other}: ${mode}, local ${local}, remote ${remote}${keyText}${devText}`,
      isKeyed ? 'give one of them another key, or drop it' : 'drop one of them',
    );
  }
}

/** One address on two devices. */
function checkAddresses(tunnels: readonly TunnelDraft[], report: Report): void {
  const owners = new Map<string, { readonly name: string; readonly line: number }>();
  for (const { config, address } of tunnels) {
    for (const { prefix, place } of address) {
      const owner = owners.get(prefix.address);
      if (owner === undefined) {
        owners.set(prefix.address, { name: config.name, line: place.line });
        continue;
      }
      const message = `address ${prefix.address} of ${config.name} is already that of ${owner.name} (line ${owner.line})`;
      report.add(CODE.duplicateAddress, place, message, 'one of them needs another');
    }
  }
}

interface OwnedRoute extends PlacedPrefix {
  readonly block: Block;
  readonly name: string;
}

/** Routes of different tunnels that contain each other. Prefixes are nested or apart, never half over each other. */
function checkRoutes(tunnels: readonly TunnelDraft[], report: Report): void {
  const routes: OwnedRoute[] = [];
  for (const { config, routes: own } of tunnels) {
    for (const { prefix, place } of own) {
      const block = toBlock(prefix);
      if (block !== null) routes.push({ prefix, place, block, name: config.name });
    }
  }
  routes.sort(
    (a, b) =>
      a.block.version - b.block.version ||
      Buffer.compare(a.block.bytes, b.block.bytes) ||
      a.block.bits - b.block.bits ||
      a.place.line - b.place.line,
  );
  const around: OwnedRoute[] = []; // the routes that contain the one at hand, widest first
  for (const route of routes) {
    for (let last = around.at(-1); last !== undefined; last = around.at(-1)) {
      if (holds(last.block, route.block)) break;
      around.pop();
    }
    const outer = around.findLast(({ name }) => name !== route.name);
    if (outer !== undefined) reportOverlap(outer, route, report);
    around.push(route);
  }
}

function holds(outer: Block, inner: Block): boolean {
  return outer.bits <= inner.bits && contains(outer, inner.bytes);
}

function reportOverlap(outer: OwnedRoute, inner: OwnedRoute, report: Report): void {
  const one = `route ${formatPrefix(inner.prefix)} of ${inner.name}`;
  const other = `${outer.name} (line ${outer.place.line})`;
  if (outer.block.bits === inner.block.bits) {
    const message = `${one} is also a route of ${other}: only one of them can be installed`;
    report.add(CODE.duplicateRoute, inner.place, message, 'drop one of them');
    return;
  }
  const message = `${one} lies inside route ${formatPrefix(outer.prefix)} of ${other}: the longer prefix wins`;
  report.add(CODE.overlap, inner.place, message);
}

/** Outer endpoints that a tunnel carries itself: their packets would run in circles or be dropped. */
function checkEndpointsInside(tunnels: readonly TunnelDraft[], report: Report): void {
  const locals = new Set(tunnels.map((tunnel) => tunnel.config.local));
  for (const tunnel of tunnels) {
    for (const { prefix, place } of tunnel.address) {
      if (!locals.has(prefix.address)) continue;
      const message = `address ${prefix.address} of ${tunnel.config.name} is also a tunnel's local: packets to it are dropped (inner-dst-policy)`;
      report.add(CODE.ownEndpoint, place, message);
    }
    checkRemotesInside(tunnel, report);
  }
}

/** Remotes of a tunnel, and of its peers, that its own routes and addresses lead into it. */
function checkRemotesInside({ config, address, routes }: TunnelDraft, report: Report): void {
  const remotes = [config.remote, ...config.peers.map((peer) => peer.remote)].filter(
    (remote) => parseAddress(remote) !== null,
  );
  if (remotes.length === 0) return;
  // The kernel makes a route of an address too: to its subnet.
  const led = new PrefixIndex([...routes, ...address]);
  const looping = new Map<PlacedPrefix, string[]>();
  for (const remote of remotes) {
    for (const placed of led.around(remote)) {
      const found = looping.get(placed);
      if (found === undefined) looping.set(placed, [remote]);
      else found.push(remote);
    }
  }
  for (const [{ prefix, place }, [remote = '', ...others]] of looping) {
    const more = others.length === 0 ? '' : `, and for ${others.length} more,`;
    const message = `${formatPrefix(prefix)} leads packets for the remote ${remote} of ${config.name}${more} into the tunnel itself: without a more specific route outside they run in circles and are dropped (nesting-limit)`;
    const bits = isIpv6({ address: remote, bits: 0 }) ? 128 : 32;
    report.add(CODE.routeLoop, place, message, `ip route add ${remote}/${bits} via GATEWAY`);
  }
}

/** Prefixes by their networks: finds those around an address in as many steps as there are lengths. */
class PrefixIndex {
  readonly #byNetwork = new Map<string, PlacedPrefix[]>();
  readonly #lengths = new Set<number>();

  constructor(prefixes: readonly PlacedPrefix[]) {
    for (const placed of prefixes) {
      const masked = network(placed.prefix);
      if (masked === null) continue;
      this.#lengths.add(masked.bits);
      const id = formatPrefix(masked);
      const same = this.#byNetwork.get(id);
      if (same === undefined) this.#byNetwork.set(id, [placed]);
      else same.push(placed);
    }
  }

  around(address: string): PlacedPrefix[] {
    return [...this.#lengths].flatMap((bits) => {
      const masked = network({ address, bits });
      return masked === null ? [] : (this.#byNetwork.get(formatPrefix(masked)) ?? []);
    });
  }
}
