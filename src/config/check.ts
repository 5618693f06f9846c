// One [tunnel.NAME] table -> TunnelConfig. Every check runs, whatever the others found.
//
//   1. the name          a device will carry it
//   2. readTable         each key on its own, see schema.ts
//   3. endpoints         local, remote
//   4. GRE options       key, csum, seq
//   5. outer header      ttl, tos, pmtudisc, mtu, dev
//   6. inner networks    address, routes, allow
//   7. keys of later versions are named

import { type Mode, overhead } from '../packet/tunnel.js';
import type { TunnelConfig } from './config.js';
import { deviceNameFault } from './device-name.js';
import { CODE, type Place, show } from './diagnostic.js';
import { judgeEndpoint } from './endpoint.js';
import type { Table } from './parse.js';
import { checkAllow, checkPrefixes, isIpv6, type PlacedPrefix, type Subject } from './prefixes.js';
import { readTable, type TablePlace } from './read.js';
import { MTU_MAX, SUPPORTED_MODES, tunnelSchema } from './schema.js';
import { tunnelOf } from './tunnel.js';

/** A tunnel as far as it could be read. */
export interface TunnelDraft {
  readonly config: TunnelConfig;
  readonly place: Place;
  /** Mode, endpoints and key are right, so that they can be compared with other tunnels'. */
  readonly isComparable: boolean;
  readonly address: readonly PlacedPrefix[];
  readonly routes: readonly PlacedPrefix[];
}

/** TTL of outer packets when the config names none: `inherit` hides hops and breaks TTL-1 protocols. */
const DEFAULT_TTL = 64;
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
    report.add(CODE.deviceName, places.key(path), message);
  }
  const { values, wrong } = readTable(tunnelSchema, table, place);
  const subject: Subject = { ...place, values, wrong };

  const mode = checkMode(subject, partial);
  const local = checkEndpoint(subject, 'local', partial);
  const remote = checkEndpoint(subject, 'remote', partial);
  checkEndpointPair(subject, local, remote);
  const options = checkGreOptions(subject, mode);
  const address = checkPrefixes(subject, 'address', mode);
  const routes = checkPrefixes(subject, 'routes', mode);
  const allow = checkAllow(subject, mode, address, routes);
  const { dev, mtu } = values;
  const config: TunnelConfig = {
    name,
    mode: mode ?? 'gre',
    local: local ?? 'any',
    remote: remote ?? 'any',
    ...options,
    ttl: values.ttl ?? DEFAULT_TTL,
    tos: values.tos ?? 'inherit',
    pmtudisc: values.pmtudisc ?? true,
    ...(mtu === undefined ? {} : { mtu }),
    ...(dev === undefined ? {} : { dev }),
    address: address.map((one) => one.prefix),
    routes: routes.map((one) => one.prefix),
    allow,
  };
  checkMtu(subject, config);
  checkDev(subject, name);
  checkLater(subject);
  const isComparable =
    mode !== undefined && local !== undefined && remote !== undefined && !wrong.has('key');
  return { config, place: places.key(path), isComparable, address, routes };
}

function checkMode(subject: Subject, partial: boolean): Mode | undefined {
  const { values, wrong, report, places, path, title } = subject;
  const { mode } = values;
  if (mode === undefined) {
    if (!wrong.has('mode') && !partial) {
      report.add(
        CODE.missing,
        places.key(path),
        `${title} has no mode`,
        'for instance mode = "gre"',
      );
    }
    return undefined;
  }
  const supported = SUPPORTED_MODES.find((one) => one === mode);
  if (supported === undefined) {
    report.add(
      CODE.unsupported,
      places.value([...path, 'mode']),
      `mode = "${mode}" is not supported yet`,
      `this version has ${SUPPORTED_MODES.join(', ')}`,
    );
  }
  return supported;
}

function checkEndpoint(
  subject: Subject,
  key: 'local' | 'remote',
  partial: boolean,
): string | undefined {
  const { values, wrong, report, places, path, title } = subject;
  const text = values[key];
  if (text === undefined) {
    if (wrong.has(key) || partial) return undefined;
    if (key === 'local') return 'any';
    const hint = 'remote = "ADDRESS of the peer"; to receive from everyone: remote = "any"';
    report.add(CODE.missing, places.key(path), `${title} has no remote`, hint);
    return undefined;
  }
  const place = places.value([...path, key]);
  const judged = judgeEndpoint(key, text);
  if (typeof judged !== 'string') {
    report.add(judged.code, place, judged.message, judged.hint);
    return undefined;
  }
  if (key === 'remote' && judged === 'any') {
    report.add(
      CODE.anyRemote,
      place,
      `${title} takes packets from every sender (a key keeps nobody out), and sends none`,
      'name the peer, if there is one',
    );
  }
  return judged;
}

function checkEndpointPair(
  { report, places, path }: Subject,
  local: string | undefined,
  remote: string | undefined,
): void {
  if (local === undefined || local !== remote || local === 'any') return;
  report.add(
    CODE.sameEndpoints,
    places.value([...path, 'remote']),
    `remote is the same address as local, ${local}: a tunnel needs two ends`,
  );
}

type GreOptions = Pick<
  TunnelConfig,
  'keyIn' | 'keyOut' | 'checksumIn' | 'checksumOut' | 'sequenceIn' | 'sequenceOut'
>;

function checkGreOptions(subject: Subject, mode: Mode | undefined): GreOptions {
  const { values, report, places, path } = subject;
  if (mode === 'ipip' || mode === 'sit') {
    for (const key of ['key', 'csum', 'seq'] as const) {
      if (values[key] === undefined || values[key] === false) continue;
      const message = `${key} belongs to GRE: mode = "${mode}" has no room for it`;
      report.add(CODE.greOnly, places.key([...path, key]), message, 'drop it, or use mode = "gre"');
    }
  }
  const key = pair(values.key);
  const keyIn = keyNumber(key.in);
  const keyOut = keyNumber(key.out);
  const checksum = pair(values.csum);
  if (mode === 'gre-udp' && checksum.out) {
    const message = 'csum adds nothing to mode = "gre-udp": its UDP checksum covers the same bytes';
    const hint = 'drop it, unless the peer asks for GRE checksums (RFC 8086, 3.2.2)';
    report.add(CODE.redundant, places.key([...path, 'csum']), message, hint);
  }
  const sequence = pair(values.seq);
  return {
    ...(keyIn === undefined ? {} : { keyIn }),
    ...(keyOut === undefined ? {} : { keyOut }),
    checksumIn: checksum.in ?? false,
    checksumOut: checksum.out ?? false,
    sequenceIn: sequence.in ?? false,
    sequenceOut: sequence.out ?? false,
  };
}

/** `X` and `{ in = X, out = X }` say the same. */
function pair<T extends number | string | boolean>(
  value: T | { readonly in?: T | undefined; readonly out?: T | undefined } | undefined,
): { readonly in?: T | undefined; readonly out?: T | undefined } {
  return typeof value === 'object' ? value : { in: value, out: value };
}

/** A key as a number: `"0.0.0.42"` is 42. */
function keyNumber(key: number | string | undefined): number | undefined {
  if (typeof key !== 'string') return key;
  return key.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

function checkMtu({ report, places, path }: Subject, config: TunnelConfig): void {
  if (config.mtu === undefined) return;
  const place = places.value([...path, 'mtu']);
  const outer = overhead(tunnelOf(config));
  if (config.mtu + outer > MTU_MAX) {
    const message = `mtu must be at most ${MTU_MAX - outer} here, not ${config.mtu}: the outer headers add ${outer} bytes`;
    report.add(CODE.range, place, message);
  }
  const carriesIpv6 = config.mode === 'sit' || [...config.address, ...config.routes].some(isIpv6);
  if (carriesIpv6 && config.mtu < IPV6_MTU_MIN) {
    const message = `mtu = ${config.mtu} is below ${IPV6_MTU_MIN}: the kernel takes no IPv6 address on such a device`;
    report.add(CODE.smallMtu, place, message);
  }
}

function checkDev({ values, report, places, path }: Subject, name: string): void {
  const { dev } = values;
  if (dev === undefined) return;
  const place = places.value([...path, 'dev']);
  const fault = deviceNameFault(dev);
  if (fault !== undefined) {
    report.add(
      CODE.deviceName,
      place,
      `dev = ${show(dev)} cannot be the name of a device: ${fault}`,
    );
  } else if (dev === name) {
    report.add(CODE.contradiction, place, `dev = ${show(dev)} is the tunnel's own device`);
  }
}

/** Names the keys that this version reads and does not act on. */
function checkLater({ values, report, places, path }: Subject): void {
  const ignored = (key: string, what: string): void => {
    const message = `${what} has no effect: this version does not act on it`;
    report.add(CODE.noEffect, places.key([...path, key]), message);
  };
  if (values.keepalive !== undefined) ignored('keepalive', 'keepalive');
  if (values.peers !== undefined && values.peers.length > 0) ignored('peers', 'peers');
  if (values.profile === 'linux') ignored('profile', 'profile = "linux"');
  if (values.mss !== undefined && values.mss !== 'off') {
    ignored('mss', `mss = ${show(values.mss)}`);
  }
}
