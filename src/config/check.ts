// One [tunnel.NAME] table -> TunnelConfig. Every check runs, whatever the others found.
//
//   1. the name          a device will carry it
//   2. readTable         each key on its own, see schema.ts
//   3. mode, ends        local, remote
//   4. GRE options       key, csum, seq, reorder
//   5. outer header      ttl, tos, ecn, pmtudisc, ignore-df, encaplimit, flowlabel
//   6. inner networks    address, routes, peers, allow
//   7. the peer          keepalive, probe, reflect
//   8. the device        mtu, dev

import { carries, overhead, type Prefix } from '../packet/tunnel.js';
import type { TunnelConfig } from './config.js';
import { deviceNameFault } from './device-name.js';
import { CODE, type Place, show } from './diagnostic.js';
import { checkEnds, type Ends } from './ends.js';
import { checkGreOptions } from './gre-options.js';
import { deviceNameHint } from './hint.js';
import { checkKeepalive, checkProbe, checkReflect } from './liveness.js';
import type { PlacedName } from './names.js';
import { checkOuterHeader } from './outer-header.js';
import type { Table } from './parse.js';
import { checkPeers, type PeerDraft, peersOf } from './peers.js';
import { checkAllow, checkPrefixes, isIpv6, type PlacedPrefix } from './prefixes.js';
import { readTable, type TablePlace } from './read.js';
import { MTU_MAX, tunnelSchema } from './schema.js';
import { isMissing, keyPlace, type Subject, valuePlace } from './subject.js';
import { tunnelOf, underlayVersion } from './tunnel.js';

/** A tunnel as far as it could be read. */
export interface TunnelDraft {
  readonly config: TunnelConfig;
  readonly place: Place;
  /** Mode, endpoints and key are right, so that they can be compared with other tunnels'. */
  readonly isComparable: boolean;
  readonly address: readonly PlacedPrefix[];
  /** Those of the peers too. */
  readonly routes: readonly PlacedPrefix[];
  /** Remotes that are host names. */
  readonly names: readonly PlacedName[];
}

/** Smallest MTU that IPv6 needs (RFC 8200, 5). */
const IPV6_MTU_MIN = 1280;

/** Checks the table of tunnel `name`. `partial`: lines of the file are left out, so a missing key is no error. */
export function checkTunnel(
  name: string,
  table: Table,
  place: TablePlace,
  partial: boolean,
): TunnelDraft {
  const { report, places, path } = place;
  const fault = deviceNameFault(name);
  if (fault !== undefined) {
    const message = `${show(name)} cannot be the name of a device: ${fault}`;
    report.add(CODE.deviceName, places.key(path), message, deviceNameHint(name));
  }
  const subject = readSubject(table, place, partial);
  const { mode, wrong } = subject;
  const ends = checkEnds(subject);
  const address = checkPrefixes(subject, 'address');
  const routes = checkPrefixes(subject, 'routes');
  const peers = checkPeers(subject, ends);
  const allRoutes = [...routes, ...peers.flatMap((peer) => peer.routes)];
  const underlay = underlayOf(subject, ends, peers);
  const parts = { ends, underlay, address, routes, peers, allRoutes };
  const config = readConfig(name, subject, parts);
  checkMtu(subject, config, underlay);
  checkDev(subject, name);
  const isComparable =
    mode !== undefined &&
    ends.local !== undefined &&
    ends.remote !== undefined &&
    !wrong.has('key');
  return {
    config,
    place: places.key(path),
    isComparable,
    address,
    routes: allRoutes,
    names: findNames(subject, parts),
  };
}

/** Reads the keys, and the mode first of all: what the others may be follows from it. */
function readSubject(table: Table, place: TablePlace, partial: boolean): Subject {
  const { values, wrong } = readTable(tunnelSchema, table, place);
  const subject: Subject = { ...place, values, wrong, mode: values.mode, partial };
  if (isMissing(subject, 'mode')) {
    const message = `${place.title} has no mode`;
    place.report.add(CODE.missing, keyPlace(subject), message, 'for instance mode = "gre"');
  }
  return subject;
}

interface Parts {
  readonly ends: Ends;
  /** IP version of the outer header, where it is known. */
  readonly underlay: 4 | 6 | undefined;
  readonly address: readonly PlacedPrefix[];
  readonly routes: readonly PlacedPrefix[];
  readonly peers: readonly PeerDraft[];
  readonly allRoutes: readonly PlacedPrefix[];
}

/** Puts the config together; what could not be read has its default. */
function readConfig(name: string, subject: Subject, parts: Parts): TunnelConfig {
  const { ends, underlay, address, routes, peers, allRoutes } = parts;
  const { values } = subject;
  const networks = {
    address: prefixesOf(address),
    routes: prefixesOf(allRoutes),
    allow: checkAllow(subject, address, routes),
  };
  const { dev, mtu } = values;
  const keepalive = checkKeepalive(subject, ends);
  const probe = checkProbe(subject, ends, networks);
  const reflect = checkReflect(subject, networks.address);
  return {
    name,
    mode: subject.mode ?? 'gre',
    local: ends.local?.text ?? 'any',
    remote: ends.remote?.text ?? 'any',
    ...checkGreOptions(subject),
    ...checkOuterHeader(subject, underlay),
    ...(mtu === undefined ? {} : { mtu }),
    mss: values.mss ?? 'auto',
    ...(dev === undefined ? {} : { dev }),
    address: networks.address,
    routes: prefixesOf(routes),
    allow: networks.allow,
    profile: values.profile ?? 'rfc',
    ...(keepalive === undefined ? {} : { keepalive }),
    ...(probe === undefined ? {} : { probe }),
    reflect,
    peers: peersOf(peers),
  };
}

function prefixesOf(placed: readonly PlacedPrefix[]): Prefix[] {
  return placed.map((one) => one.prefix);
}

/** IP version of the outer header; undefined where nothing that is right tells. */
function underlayOf(
  { mode }: Subject,
  { local, remote }: Ends,
  peers: readonly PeerDraft[],
): 4 | 6 | undefined {
  const ends = [local, remote, ...peers.map((peer) => peer.remote)];
  return mode === undefined
    ? undefined
    : underlayVersion(
        mode,
        ends.flatMap((end) => end?.text ?? []),
      );
}

function checkMtu(subject: Subject, config: TunnelConfig, underlay: 4 | 6 | undefined): void {
  const { report } = subject;
  const { mtu, mode } = config;
  if (mtu === undefined) return;
  const place = valuePlace(subject, 'mtu');
  const outer = overhead(tunnelOf(config));
  if (mtu + outer > MTU_MAX) {
    const message = `mtu must be at most ${MTU_MAX - outer} here, not ${mtu}: the outer headers add ${outer} bytes`;
    report.add(
      CODE.range,
      place,
      message,
      `mtu = ${MTU_MAX - outer}, or none: it follows from the path`,
    );
  }
  const networks = [
    ...config.address,
    ...config.routes,
    ...config.peers.flatMap((one) => one.routes),
  ];
  const carriesIpv6 = carries(mode) === 6 || networks.some(isIpv6);
  if (!carriesIpv6 || mtu >= IPV6_MTU_MIN) return;
  if (underlay === 6) {
    const message = `mtu = ${mtu} is below ${IPV6_MTU_MIN}, which every link that carries IPv6 has room for`;
    const hint = `mtu = ${IPV6_MTU_MIN} or more (RFC 7676, 3.2), or none: it follows from the path`;
    report.add(CODE.ipv6UnderlayMtu, place, message, hint);
    return;
  }
  const message = `mtu = ${mtu} is below ${IPV6_MTU_MIN}: the kernel takes no IPv6 address on such a device`;
  report.add(CODE.smallMtu, place, message, `mtu = ${IPV6_MTU_MIN}, or no IPv6 inside`);
}

function checkDev(subject: Subject, name: string): void {
  const { values, report } = subject;
  const { dev } = values;
  if (dev === undefined) return;
  const place = valuePlace(subject, 'dev');
  const fault = deviceNameFault(dev);
  if (fault !== undefined) {
    const message = `dev = ${show(dev)} cannot be the name of a device: ${fault}`;
    report.add(CODE.deviceName, place, message, 'as ip link lists it, for instance "eth0"');
  } else if (dev === name) {
    const message = `dev = ${show(dev)} is the tunnel's own device`;
    const hint = 'the device that the outer packets leave by, for instance "eth0"';
    report.add(CODE.contradiction, place, message, hint);
  }
}

/** The host names among the remotes, for names.ts to resolve. */
function findNames(subject: Subject, { ends, peers, underlay }: Parts): PlacedName[] {
  const tunnel = String(subject.path.at(-1));
  const remotes = [{ remote: ends.remote, place: valuePlace(subject, 'remote') }, ...peers];
  return remotes.flatMap(({ remote, place }) => {
    if (remote?.kind !== 'name') return [];
    const spot = subject.report.spot(place);
    const version = underlay === undefined ? {} : { version: underlay };
    return [{ tunnel, name: remote.text, ...version, spot }];
  });
}
