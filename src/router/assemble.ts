// A config -> the fleet that a running router is to have of it: places, addresses of names, MTUs of paths. Tunnels that
// stay as they are keep their member, so that nothing about them is touched.
import type { Config, TunnelConfig } from '../config/config.js';
import { tunnelOf } from '../config/tunnel.js';
import type { Tunnel } from '../packet/tunnel.js';
import { sourcePortOf } from '../packet/udp.js';
import { alignPeers, type Fleet, type Member, placeTunnels } from './fleet.js';
import { type AddressOf, type Chosen, resolveTunnels } from './resolve.js';

/**
 * `isTouched`: whether a tunnel of the config is another than in `before`, by its name. Throws a Failure when something is
 * not there, or there are too many tunnels.
 */
export async function assembleFleet(
  { tunnels }: Config,
  addressOf: AddressOf,
  before: Fleet = [],
  isTouched: (name: string) => boolean = () => true,
): Promise<Fleet> {
  const old = new Map(before.map((member) => [member.config.name, member]));
  const configs = tunnels.map((config): TunnelConfig => {
    const peers = alignPeers(config.peers, old.get(config.name)?.config.peers ?? []);
    return { ...config, peers };
  });
  const places = placeTunnels(configs, before);
  const touched = configs.filter(({ name }) => isTouched(name) || !old.has(name));
  const resolved = await resolveTunnels(touched, addressOf, (name) => chosenOf(old.get(name)));
  const byName = new Map(touched.map(({ name }, index) => [name, resolved[index]]));
  return configs.flatMap((config, index): Member[] => {
    const was = old.get(config.name);
    const place = places[index];
    const tunnel = byName.get(config.name);
    if (tunnel === undefined || place === undefined) return was === undefined ? [] : [was];
    const { peers } = place;
    const placed = { ...tunnel, ...(peers === undefined ? {} : { peersAt: peers.first }) };
    return [{ ...place, config, tunnel: placed }];
  });
}

/** A tunnel with what the names of its remotes stand for by now: the same member where that is what it was. */
export function followNames(member: Member, addressOf: AddressOf): Member {
  const { config, tunnel, peers } = member;
  const ofName = (name: string) => addressOf(config.name, name);
  const known = { link: tunnel.link, addressOf: ofName, ...chosenOf(member) };
  const found = {
    ...tunnelOf(config, known),
    mtu: tunnel.mtu,
    ...(peers === undefined ? {} : { peersAt: peers.first }),
  };
  const remotes = (one: Tunnel): string =>
    JSON.stringify([one.remote, one.peers?.map((peer) => peer.remote)]);
  return remotes(found) === remotes(tunnel) ? member : { ...member, tunnel: found };
}

/** What was chosen for a tunnel stays: answers to questions that are under way are still answers, flows keep their port. */
function chosenOf(member: Member | undefined): Chosen {
  if (member === undefined) return {};
  const { config, tunnel } = member;
  const sourcePort = typeof config.sourcePort === 'number' ? 0 : sourcePortOf(tunnel);
  return {
    ...(tunnel.probe && { probeIdentifier: tunnel.probe.identifier }),
    ...(sourcePort === 0 ? {} : { sourcePort }),
  };
}
