// What to do about a dropped packet: a line of the config, or what to ask of the peer.
import { IS_OURS, UNROUTED } from '../packet/endings.js';
import type { Explanation } from '../packet/explain.js';
import { TYPE_ETHERNET, TYPE_IPV4, TYPE_IPV6 } from '../packet/gre.js';
import type { Difference, Nearest } from '../packet/nearest.js';
import { typeText } from '../packet/protocol-name.js';
import type { Reason } from '../packet/reason.js';

/** The next thing to do, or null where there is nothing to be done on this side. */
export function adviceOn({
  direction,
  reason,
  tunnel,
  nearest,
  stages,
}: Explanation): string | null {
  if (reason === null) return null;
  if (nearest !== null) return changeOf(nearest);
  const table = `[tunnel.${tunnel ?? 'NAME'}]`;
  const detail = stages.at(-1)?.detail ?? '';
  const source =
    direction === 'encap' ? FAR_SOURCE : detail.endsWith(IS_OURS) ? OWN_SOURCE : undefined;
  const special = reason === 'inner-src-spoof' ? source : unroutedAdvice(detail);
  const advice = special ?? ADVICE[reason];
  return advice === undefined ? null : advice.replace('TABLE', table);
}

/** The kernel can tell more of an address that it cannot send to. */
function unroutedAdvice(detail: string): string | undefined {
  const [remote = ''] = detail.split(`: ${UNROUTED}`);
  return remote === detail ? undefined : `see the route to the peer: ip route get ${remote}`;
}

/** To who sends into a tunnel as its far end. */
const FAR_SOURCE =
  'the peer itself is not behind us: see who sends as it, or which route brings it round';

/** Nothing in `routes` or `allow` lets it in. */
const OWN_SOURCE =
  'see whether the peer has this address too, or sends back what came from us; of health checks that do so by echo replies, in TABLE: reflect = true';

/** By reason; TABLE stands for the head of the tunnel's table. */
const ADVICE: Readonly<Partial<Record<Reason, string>>> = {
  'no-tunnel': 'add a [tunnel.NAME] with these addresses, or see who sends it: grebe trace --drops',
  'outer-fragment': 'lower the MTU of the tunnel at the peer, so that its packets pass whole',
  'gre-checksum':
    'look for what changes packets on the way; in TABLE: csum must be as the peer has it',
  'gre-sequence':
    'packets overtake each other, or came twice; in TABLE: seq = false takes them all',
  'gre-version': 'the peer speaks PPTP, or something else than GRE',
  'gre-routing-present': 'no sender needs source routes: look at what sends them',
  'inner-src-spoof':
    'if this source may send through it, in TABLE: add its network to routes or allow',
  'inner-ttl': 'the sender must use a larger TTL; a loop of routes shows like this, too',
  'inner-dst-policy': 'the route of the sender to this address must not lead through the tunnel',
  'nesting-limit': 'the route to the end of the tunnel must not lead through the tunnel',
  'encap-limit': 'in TABLE: encaplimit, on the way there; or one tunnel less in a row',
  'no-route': 'in TABLE: a remote to send to, or the destination in the routes of a peer',
  'too-big': 'smaller packets; or in TABLE: mtu, if the path takes more',
  'tunnel-down': 'ip link set up dev of the tunnel; if it is gone, grebe reload',
  'queue-full': 'the host is too slow; a longer queue: ip link set dev NAME txqueuelen 10000',
  'tx-enobufs': 'the device of the underlay is full: slower senders, or a longer txqueuelen',
  'tx-error': 'see the route to the remote: ip route get REMOTE',
  ecn: 'a router on the way marks packets of senders without ECN: look at its queues',
};

function changeOf({ tunnel, differs }: Nearest): string {
  const [first] = differs;
  if (first?.field === 'type') return `the peer sends ${first.packet}: ${typeAdvice(first)}`;
  const lines = differs.map(lineOf).join(', ');
  const theirs = differs.map(theirsOf).join(' and ');
  return `in [tunnel.${tunnel}]: ${lines}; or at the peer: ${theirs}`;
}

/** A type that no mode carries is the peer's affair; frames and packets have modes of their own. */
function typeAdvice({ packet, expected }: Difference): string {
  if (packet === typeText(TYPE_ETHERNET)) return 'use mode gretap here, or mode gre there';
  const isIp = packet === typeText(TYPE_IPV4) || packet === typeText(TYPE_IPV6);
  return isIp
    ? 'use mode gre here, or mode gretap there'
    : `no tunnel of mode ${expected} carries it`;
}

/** The line of the config with which the packet would have been taken. */
function lineOf({ field, packet }: Difference): string {
  switch (field) {
    case 'key':
      return packet === null ? 'no key' : `key = ${packet}`;
    case 'local':
    case 'remote':
    case 'dev':
    case 'mode':
    case 'type':
      return `${field} = "${packet}"`;
  }
}

/** What the peer would have to send. */
function theirsOf({ field, expected }: Difference): string {
  switch (field) {
    case 'key':
      return expected === null ? 'no key' : `key ${expected}`;
    case 'local':
      return `remote ${expected}`;
    case 'remote':
      return `local ${expected}`;
    case 'dev':
      return `a route by ${expected}`;
    case 'mode':
    case 'type':
      return `${field} ${expected}`;
  }
}
