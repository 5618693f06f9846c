// The peers of a tunnel with several: each has an outer address and what is behind it.

import { formatPrefix } from '../packet/address.js';
import { carries } from '../packet/tunnel.js';
import type { Peer } from './config.js';
import { CODE, type Place } from './diagnostic.js';
import type { Endpoint } from './endpoint.js';
import { checkEnd, checkSameFamily, type Ends } from './ends.js';
import { type PlacedPrefix, readPrefixes } from './prefixes.js';
import { keyPlace, type Subject, valuePlace } from './subject.js';

/** A peer as far as it could be read. */
export interface PeerDraft {
  /** Absent when it is wrong. */
  readonly remote: Endpoint | undefined;
  readonly place: Place;
  readonly routes: readonly PlacedPrefix[];
}

export function checkPeers(subject: Subject, ends: Ends): PeerDraft[] {
  const written = subject.values.peers ?? [];
  if (written.length > 0) {
    checkOpenRemote(subject, ends.remote);
    checkOwnAllow(subject);
  }
  const peers = written.map((peer, index): PeerDraft => {
    const place = valuePlace(subject, 'peers', index, 'remote');
    const rule = { name: `peers[${index}].remote`, kind: 'peer' } as const;
    const list = {
      name: `peers[${index}].routes`,
      steps: ['peers', index, 'routes'],
      isAddress: false,
    };
    return {
      remote: checkEnd(subject, rule, peer.remote, place),
      place,
      routes: readPrefixes(subject, list, peer.routes),
    };
  });
  checkFamilies(subject, ends, peers);
  checkTwice(subject, peers);
  return peers;
}

/** The peers that could be read, without their places. */
export function peersOf(drafts: readonly PeerDraft[]): Peer[] {
  return drafts.flatMap(({ remote, routes }) => {
    if (remote === undefined) return [];
    return [{ remote: remote.text, routes: routes.map((one) => one.prefix) }];
  });
}

/** A tunnel that has its one peer by `remote` has no room for others. */
function checkOpenRemote(subject: Subject, remote: Endpoint | undefined): void {
  const { report, mode, title } = subject;
  const place = keyPlace(subject, 'peers');
  if (mode !== undefined && carries(mode) === 'ethernet') {
    const message = `peers are told apart by their routes, and mode = "${mode}" carries frames, which have none`;
    report.add(CODE.peersRemote, place, message, 'a tunnel for each peer, in one bridge');
    return;
  }
  if (remote === undefined || remote.kind === 'any') return;
  const message = `peers need remote = "any": ${title} sends everything to ${remote.text}`;
  report.add(
    CODE.peersRemote,
    place,
    message,
    'remote = "any", and this address as one of the peers',
  );
}

/** Whom a peer may speak for is said by its routes. */
function checkOwnAllow(subject: Subject): void {
  const { allow } = subject.values;
  if (allow === undefined || allow.includes('any')) return;
  const message =
    'allow has no effect beside peers: of each the senders in its routes are accepted';
  subject.report.add(CODE.noEffect, keyPlace(subject, 'allow'), message);
}

/** Each peer is compared with `local`, or with the first peer where that is open. */
function checkFamilies(subject: Subject, { local }: Ends, peers: readonly PeerDraft[]): void {
  const first = [local, ...peers.map(({ remote }) => remote)].find(
    (end) => end?.version !== undefined,
  );
  if (first === undefined) return;
  for (const { remote, place } of peers) {
    if (remote !== undefined) checkSameFamily(subject, subject.mode, first, remote, place);
  }
}

/** One peer twice, one prefix behind two. */
function checkTwice({ report }: Subject, peers: readonly PeerDraft[]): void {
  const lines = new Map<string, number>();
  const owners = new Map<string, { readonly remote: string; readonly line: number }>();
  for (const { remote, place, routes } of peers) {
    if (remote === undefined) continue;
    const line = lines.get(remote.text);
    if (line === undefined) lines.set(remote.text, place.line);
    else {
      const message = `peer ${remote.text} is there twice, first in line ${line}`;
      report.add(CODE.redundant, place, message, 'one entry with the routes of both');
    }
    for (const route of routes) {
      const id = formatPrefix(route.prefix);
      const owner = owners.get(id);
      if (owner === undefined) owners.set(id, { remote: remote.text, line: route.place.line });
      else if (owner.remote !== remote.text) {
        const message = `${id} is behind two peers, ${owner.remote} (line ${owner.line}) and ${remote.text}: a packet goes to one`;
        report.add(
          CODE.duplicatePeerRoute,
          route.place,
          message,
          'drop it at one of them, or make it longer',
        );
      }
    }
  }
}
