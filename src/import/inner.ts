// What happens inside of a tunnel and at its device: ip link set, ip address, ip route, ip neigh.

import { formatPrefix, network, parsePrefix, prefixContains } from '../packet/address.js';
import { type Draft, type Note, Refusal, Skip } from './draft.js';
import type { IpCommand } from './input.js';
import { quote, readAddress, readDestination, readNumber, readPrefix } from './value.js';

/** What the lines read so far have made. */
export interface Inner {
  readonly drafts: Map<string, Draft>;
  readonly notes: Note[];
}

/** Words with a value each, flags, and why they have no place in a config. */
interface Vocabulary {
  readonly [word: string]: { readonly isFlag?: true; readonly why?: string };
}

const FLAG = { isFlag: true } as const;
const ITS_OWN = { why: 'grebe sets this itself' };
const MAC = {
  why: 'the address of an Ethernet tunnel follows from the machine, its name and local',
};
const QUEUES = { why: 'a device of grebe has a queue a lane' };

const LINK_WORDS: Vocabulary = {
  up: FLAG,
  mtu: {},
  name: {},
  dev: {},
  down: { ...FLAG, why: 'grebe sets all its devices up' },
  link: { why: 'a tunnel is bound by dev, behind type' },
  address: MAC,
  broadcast: MAC,
  brd: MAC,
  txqueuelen: QUEUES,
  txqlen: QUEUES,
  qlen: QUEUES,
  numtxqueues: QUEUES,
  numrxqueues: QUEUES,
  multicast: ITS_OWN,
  allmulticast: ITS_OWN,
  promisc: ITS_OWN,
  arp: ITS_OWN,
  addrgenmode: ITS_OWN,
  index: ITS_OWN,
  group: ITS_OWN,
  alias: { why: 'write a comment' },
  master: {
    why: 'grebe puts no device into a bridge: ip link set NAME master BRIDGE, once it runs',
  },
  vrf: { why: 'grebe puts no device into a VRF: ip link set NAME master VRF, once it runs' },
  nomaster: FLAG,
  netns: { why: 'grebe makes devices in its own namespace' },
};

/** `ip link set NAME ...`, and the words in front of `type`. */
export function setLink(command: IpCommand, inner: Inner, words: readonly string[]): void {
  const { found, alone } = scan(words, LINK_WORDS);
  const name = found.get('dev') ?? found.get('name') ?? alone[0];
  const draft = name === undefined ? undefined : inner.drafts.get(name);
  if (draft === undefined) throw noTunnel(name);
  const extra = alone.find((word) => word !== draft.name);
  if (extra !== undefined) throw new Refusal(`${quote(extra)} is no word of ip link`);
  note(command, inner, draft, found, LINK_WORDS);
  const mtu = found.get('mtu');
  if (mtu === undefined) return;
  draft.mtu = readNumber(mtu, 65535, 'mtu');
  draft.origins.set('mtu', command.line);
}

const ADDRESS_WORDS: Vocabulary = {
  dev: {},
  local: {},
  peer: {},
  remote: {},
  broadcast: {},
  brd: {},
  label: { why: 'grebe gives addresses no labels' },
  scope: { why: 'the scope is that of the address' },
  metric: { why: 'grebe gives routes no metric' },
  valid_lft: { why: 'addresses of grebe last' },
  preferred_lft: { why: 'addresses of grebe last' },
  noprefixroute: { ...FLAG, why: 'the subnet of an address is routed into the tunnel' },
  nodad: FLAG,
  home: { ...FLAG, why: 'grebe sets no such flag' },
  mngtmpaddr: { ...FLAG, why: 'grebe sets no such flag' },
};

export function addAddress(command: IpCommand, inner: Inner): void {
  const { found, alone } = scan(command.words, ADDRESS_WORDS);
  const draft = inner.drafts.get(found.get('dev') ?? '');
  if (draft === undefined) throw noTunnel(found.get('dev'));
  const written = found.get('local') ?? alone[0];
  if (written === undefined) throw new Refusal('the address is missing');
  if (alone.length > 1) throw new Refusal(`${quote(alone[1] ?? '')} is no word of ip address`);
  const peer = found.get('peer') ?? found.get('remote');
  if (command.verb === 'delete') {
    remove(draft.address, readPrefix(written, 'an address'));
    return;
  }
  note(command, inner, draft, found, ADDRESS_WORDS);
  addOnce(draft, draft.address, readPrefix(written, 'an address'), command);
  if (peer === undefined) return;
  // The kernel routes the peer's prefix into the device.
  const prefix = parsePrefix(readPrefix(peer, 'peer'));
  const masked = prefix === null ? null : network(prefix);
  if (masked !== null) addOnce(draft, draft.routes, formatPrefix(masked), command);
}

const NO_METRIC = { why: 'grebe gives routes no metric' };
const ROUTE_WORDS: Vocabulary = {
  to: {},
  via: {},
  dev: {},
  oif: {},
  table: {},
  onlink: FLAG,
  scope: {},
  proto: { why: 'routes of grebe have the protocol of grebe' },
  protocol: { why: 'routes of grebe have the protocol of grebe' },
  metric: NO_METRIC,
  priority: NO_METRIC,
  preference: NO_METRIC,
  pref: NO_METRIC,
  src: { why: 'the kernel takes an address of the tunnel' },
  mtu: { why: 'mtu is that of the tunnel' },
  advmss: { why: 'mss is that of the tunnel' },
  tos: { why: 'a tunnel takes packets of every TOS' },
  dsfield: { why: 'a tunnel takes packets of every TOS' },
};
const ROUTE_TYPES = [
  ...['local', 'broadcast', 'multicast', 'throw', 'unreachable', 'prohibit', 'blackhole', 'nat'],
];

export function addRoute(command: IpCommand, inner: Inner): void {
  const words = command.words.filter((word) => word !== 'unicast' && !/^inet6?$/.test(word));
  if (words.includes('nexthop')) throw new Skip('a route of grebe leads into one tunnel');
  const { found, alone } = scan(words, ROUTE_WORDS);
  const [type = ''] = alone;
  if (ROUTE_TYPES.includes(type)) throw new Skip(`a ${type} route leads into no tunnel`);
  const written = found.get('to') ?? type;
  const isIpv6 =
    command.isIpv6 || written.includes(':') || found.get('via')?.includes(':') === true;
  const destination = readDestination(written, isIpv6);
  if (alone.length > 1) throw new Refusal(`${quote(alone[1] ?? '')} is no word of ip route`);
  const table = found.get('table');
  if (table !== undefined && !['main', '254'].includes(table)) {
    throw new Skip('grebe puts routes into the main table; those of others are for ip rule');
  }
  const draft = routeDevice(command, inner, found);
  if (command.verb === 'delete') {
    remove(draft.routes, destination);
    return;
  }
  note(command, inner, draft, found, ROUTE_WORDS);
  const via = found.get('via');
  const peer = via === undefined ? undefined : peerOf(draft, via);
  if (peer === undefined) addOnce(draft, draft.routes, destination, command);
  else addOnce(draft, routesOf(draft, peer), destination, command);
}

/** The tunnel that a route leads into: by its device, or by the network that its gateway is in. */
function routeDevice(
  { line, text }: IpCommand,
  { drafts, notes }: Inner,
  found: ReadonlyMap<string, string>,
): Draft {
  const dev = found.get('dev') ?? found.get('oif');
  if (dev !== undefined) {
    const draft = drafts.get(dev);
    if (draft === undefined) throw noTunnel(dev);
    return draft;
  }
  const via = found.get('via') ?? '';
  const near = [...drafts.values()].filter(({ address }) =>
    address.some((written) => {
      const prefix = parsePrefix(written);
      return prefix !== null && prefixContains(prefix, via);
    }),
  );
  const [draft] = near;
  if (draft === undefined || near.length > 1) throw new Skip('it names no device of these lines');
  const why = `read as a route of ${draft.name}, whose address has the gateway in its network`;
  notes.push({ line, words: text, why, tunnel: draft.name });
  return draft;
}

/** Where a tunnel without a remote sends what goes to a gateway: what ip neigh says, else the gateway itself. */
function peerOf(draft: Draft, via: string): string | undefined {
  if (draft.remote !== 'any') return undefined; // one peer: the gateway is behind it
  return draft.neighbours.get(via) ?? readAddress(via, via.includes(':') ? 6 : 4, 'via');
}

function routesOf({ peers }: Draft, peer: string): string[] {
  const routes = peers.get(peer) ?? [];
  peers.set(peer, routes);
  return routes;
}

const NEIGHBOUR_WORDS: Vocabulary = {
  to: {},
  dev: {},
  lladdr: {},
  nud: {},
  permanent: FLAG,
  router: FLAG,
};

/** In a GRE tunnel without a remote, the link-layer address is the outer address of the peer. */
export function addNeighbour(command: IpCommand, inner: Inner): void {
  const { found, alone } = scan(command.words, NEIGHBOUR_WORDS);
  const draft = inner.drafts.get(found.get('dev') ?? '');
  if (draft === undefined) throw noTunnel(found.get('dev'));
  const address = found.get('to') ?? alone[0];
  const peer = found.get('lladdr');
  if (address === undefined || peer === undefined)
    throw new Refusal('an address or lladdr is missing');
  if (draft.remote !== 'any') {
    const { line, text } = command;
    const why = `everything goes to ${draft.remote}`;
    inner.notes.push({ line, words: text, why, tunnel: draft.name });
    return;
  }
  const outer = readAddress(peer, peer.includes(':') ? 6 : 4, 'lladdr');
  draft.neighbours.set(address, outer);
  addOnce(draft, routesOf(draft, outer), readPrefix(address, 'the neighbour'), command);
}

/** Sorts words into those with a meaning, written in full or shortened, and the others. */
function scan(
  words: readonly string[],
  vocabulary: Vocabulary,
): { readonly found: Map<string, string>; readonly alone: string[] } {
  const found = new Map<string, string>();
  const alone: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    // The first word may be the name of a device, whatever it looks like.
    const isFirst = alone.length === 0 && found.size === 0;
    const name = wordOf(word, vocabulary, !isFirst);
    const entry = name === undefined ? undefined : vocabulary[name];
    if (name === undefined || entry === undefined) alone.push(word);
    else if (entry.isFlag) found.set(name, '');
    else {
      const value = words[++at];
      if (value === undefined) throw new Refusal(`${word} needs a value`);
      found.set(name, value);
    }
  }
  return { found, alone };
}

function wordOf(word: string, vocabulary: Vocabulary, isShort: boolean): string | undefined {
  if (Object.hasOwn(vocabulary, word)) return word;
  if (!isShort || word === '') return undefined;
  return Object.keys(vocabulary).find((name) => name.startsWith(word));
}

/** Notes the words that have no place in a config. */
function note(
  { line }: IpCommand,
  { notes }: Inner,
  { name }: Draft,
  found: ReadonlyMap<string, string>,
  vocabulary: Vocabulary,
): void {
  for (const [word, value] of found) {
    const why = vocabulary[word]?.why;
    if (why !== undefined)
      notes.push({ line, words: `${word} ${value}`.trim(), why, tunnel: name });
  }
}

function noTunnel(name: string | undefined): Skip {
  return new Skip(
    name === undefined ? 'it names no device' : `no line here makes ${name} a tunnel`,
  );
}

function addOnce({ origins }: Draft, list: string[], item: string, { line }: IpCommand): void {
  if (list.includes(item)) return;
  list.push(item);
  origins.set(item, line);
}

function remove(list: string[], item: string): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
