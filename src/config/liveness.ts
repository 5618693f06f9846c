// Whether the peer is there: keepalive, which asks by GRE, probe, which asks by ICMP echo inside the tunnel, and
// reflect, for a peer that asks by answers of its own making.

import { formatAddress, parseAddress, prefixContains } from '../packet/address.js';
import { carries, type Prefix, takesKeepalives } from '../packet/tunnel.js';
import type { Keepalive, Probe } from './config.js';
import { CODE, show } from './diagnostic.js';
import type { Ends } from './ends.js';
import { carriedFault, hostFault } from './prefixes.js';
import { keyPlace, type Subject, valuePlace } from './subject.js';

/** As the routers have it that this keepalive comes from. */
const DEFAULT_KEEPALIVE: Keepalive = { intervalMs: 10_000, count: 3 };
const DEFAULT_PROBE: Keepalive = { intervalMs: 1000, count: 3 };

export function checkKeepalive(subject: Subject, { local, remote }: Ends): Keepalive | undefined {
  const { values, mode, report } = subject;
  if (values.keepalive === undefined) return undefined;
  const byEcho = 'to ask by ICMP echo: probe = { target = "INNER ADDRESS of the peer" }';
  const refuse = (message: string, hint = byEcho): void => {
    report.add(CODE.keepalive, keyPlace(subject, 'keepalive'), message, hint);
  };
  if (mode === 'gre-udp') refuse('keepalive is not to be used in mode = "gre-udp" (RFC 8086, 4)');
  else if (mode !== undefined && !takesKeepalives(mode)) {
    refuse(`keepalive needs mode = "gre" or "ip6gre": in mode = "${mode}" no peer sends it back`);
  } else if (remote?.kind === 'any' || remote?.kind === 'multicast') {
    refuse(`keepalive needs one peer that sends it back, and remote is "${remote.text}"`);
  } else if (local?.kind === 'any') {
    const hint = 'local = "ADDRESS", the one that the peer has for its remote';
    refuse('keepalive needs local: the peer is to send it back to that address', hint);
  }
  const { interval = DEFAULT_KEEPALIVE.intervalMs, count = DEFAULT_KEEPALIVE.count } =
    values.keepalive;
  return { intervalMs: interval, count };
}

/** What a probe is judged by. */
interface Networks {
  readonly address: readonly Prefix[];
  /** Those of the peers too. */
  readonly routes: readonly Prefix[];
  readonly allow: readonly Prefix[] | 'any';
}

export function checkProbe(subject: Subject, ends: Ends, networks: Networks): Probe | undefined {
  const { values, mode, report } = subject;
  if (values.probe === undefined) return undefined;
  const written = values.probe.target;
  const place = valuePlace(subject, 'probe', 'target');
  const parsed = parseAddress(written);
  if (parsed === null) {
    const message = `probe.target must be an address inside the tunnel, not ${show(written)}`;
    report.add(CODE.address, place, message);
    return undefined;
  }
  const target = formatAddress(parsed);
  const name = `probe.target = ${show(written)}`;
  const family = carriedFault({ address: target, bits: 0 }, mode);
  const host = hostFault({ address: target });
  if (family !== undefined) report.add(CODE.family, place, `${name}: ${family}`);
  else if (host !== undefined) report.add(CODE.address, place, `${name}: ${host}`);
  else checkTarget(subject, ends, networks, target);
  const { interval = DEFAULT_PROBE.intervalMs, count = DEFAULT_PROBE.count, size } = values.probe;
  if (size !== undefined) checkSize(subject, size);
  return { target, intervalMs: interval, count, ...(size === undefined ? {} : { size }) };
}

/** A probe that the tunnel does not take finds nothing out. */
function checkSize({ values: { mtu }, ...subject }: Subject, size: number): void {
  if (mtu === undefined || size <= mtu) return;
  const place = valuePlace({ values: { mtu }, ...subject }, 'probe', 'size');
  const message = `probe.size = ${size} is more than mtu = ${mtu}: every probe would be dropped (too-big)`;
  subject.report.add(CODE.contradiction, place, message, `size = ${mtu} or less, or a larger mtu`);
}

/** Warns of a target that cannot answer. */
function checkTarget(
  subject: Subject,
  { remote }: Ends,
  { address, routes, allow }: Networks,
  target: string,
): void {
  const { report, values, wrong, mode } = subject;
  const isIn = (prefixes: readonly Prefix[]): boolean =>
    prefixes.some((prefix) => prefixContains(prefix, target));
  const warn = (message: string, hint?: string): void =>
    report.add(CODE.probe, valuePlace(subject, 'probe', 'target'), message, hint);
  if (remote?.kind === 'any' && (values.peers ?? []).length === 0) {
    warn('probe asks nobody: remote = "any" sends nothing', 'name the peer');
    return;
  }
  if (mode !== undefined && carries(mode) === 'ethernet') {
    warn(
      `probe asks nobody: mode = "${mode}" carries frames, and no packets`,
      'ping from its device',
    );
    return;
  }
  const version = target.includes(':') ? 6 : 4;
  if (
    !wrong.has('address') &&
    !address.some((own) => own.address.includes(':') === (version === 6))
  ) {
    warn(`probe asks nobody: address has no IPv${version} address to ask from`);
    return;
  }
  if (address.some((own) => own.address === target)) {
    warn(`probe.target ${target} is our own address`, 'an address of the peer');
    return;
  }
  if (wrong.has('address') || wrong.has('routes') || wrong.has('peers')) return;
  const accepted = allow === 'any' ? [] : allow;
  if (!isIn([...address, ...routes, ...accepted])) {
    warn(
      `probe.target ${target} is in no network of this tunnel`,
      'an address of the peer that address or routes cover',
    );
    return;
  }
  if (allow === 'any' || isIn(allow) || isIn(routes)) return;
  warn(`the answers of probe.target ${target} are dropped (inner-src-spoof): it is not in allow`);
}

/** Names a reflect that nothing can make use of. */
export function checkReflect(subject: Subject, address: readonly Prefix[]): boolean {
  const { values, mode, report, wrong } = subject;
  if (values.reflect !== true) return false;
  const noEffect = (why: string): void =>
    report.add(CODE.noEffect, keyPlace(subject, 'reflect'), `reflect = true has no effect: ${why}`);
  if (mode !== undefined && carries(mode) === 'ethernet') {
    noEffect(`mode = "${mode}" carries frames, and no packets`);
  } else if (address.length === 0 && !wrong.has('address')) {
    noEffect('without address no echo reply can come from it');
  }
  return true;
}
