// The JSON Schema of a config, made from the schema that judges it (schema.ts), so that the two cannot differ.
//
// What needs more than one value (a ttl beside pmtudisc, two tunnels with one route) is beyond it: `grebe check` says it.

import { z } from 'zod';
import { logSchema, offloadSchema, recorderSchema, routerSchema, tunnelSchema } from './schema.js';

export type Draft = '2020-12' | '4';

/** What an editor shows of a key. */
export const DESCRIPTIONS: { readonly [key: string]: string } = {
  router: 'The router itself.',
  tunnel: 'Tunnels by name; the name is that of the device, at most 15 bytes.',
  codec: 'Build of the packet codec: "auto", "simd", "scalar", "js", or the path of a .wasm.',
  underlay: '"raw" is what "auto" is; "xdp" passes firewall and IP stack.',
  lanes: 'Threads that move packets, or "auto".',
  socket: 'Path of the control socket. Default /run/grebe/grebe.sock.',
  metrics: 'Address and port of the listener for /metrics.',
  api: 'Address and port of the control API and the web page; without it they are on the socket alone.',
  offload: 'What is done for many packets at once, by the names of ethtool.',
  busypoll: 'Microseconds that a lane looks for more work before it sleeps.',
  recorder: 'What is kept of the last packets of every tunnel.',
  keep: 'Packets kept of each tunnel sent, received and dropped, each; 0: none.',
  dumps: 'Folder of the dumps that the router writes itself; "auto", "off", or a path.',
  burst: 'Drops of a tunnel within a second that are worth a dump; 0: never.',
  log: 'Level, and format: "auto" asks whether a terminal is there.',
  level: 'What is logged: this and what matters more.',
  format: '"json" for programs, "pretty" for people.',
  csum: 'Tunnel devices leave checksums to grebe.',
  tso4: 'TCP over IPv4 comes out of tunnel devices in superpackets.',
  tso6: 'TCP over IPv6 comes out of tunnel devices in superpackets.',
  uso4: 'UDP over IPv4 does; the same as uso6.',
  uso6: 'UDP over IPv6 does; the same as uso4.',
  gro: 'Received TCP goes into tunnel devices in superpackets.',
  ugro: 'Received UDP does.',
  gso: "Superpackets leave whole and the kernel splits them, past the firewall's OUTPUT.",
  mode: 'Kind of tunnel. ip6 and ip4ip6 go over IPv6, gre-udp over both, the others over IPv4.',
  local: 'Our outer address, or "any".',
  remote: 'The peer: an address, a host name, a multicast group, or "any".',
  key: 'GRE key, or { in, out } for one of each way.',
  'tunnel.csum': 'GRE checksums, or { in, out }.',
  seq: 'GRE sequence numbers, or { in, out }.',
  reorder: 'With seq: packets that come too early wait for those before them.',
  ttl: 'Outer TTL or hop limit, 1..255 or "inherit". Default 64.',
  tos: 'Outer TOS or traffic class without the ECN bits, or "inherit", the default.',
  ecn: '"compatibility" for a peer that drops congestion marks (RFC 6040, 4.1).',
  pmtudisc: 'Sets DF on outer IPv4 packets. Default true.',
  'ignore-df': 'With pmtudisc = false: does not copy DF from inner packets either.',
  encaplimit: 'IPv6: how many tunnels more may be entered on the way (RFC 2473, 4.1).',
  flowlabel: 'IPv6: outer flow label, "inherit", or "flow": made of what tells flows apart.',
  sport: 'Of gre-udp: UDP source port, "random": one for all packets, "auto": one a flow.',
  mtu: 'Largest inner packet. Default: path MTU minus headers.',
  mss: 'What TCP is told of the MTU: "auto", "off", or bytes.',
  dev: 'Network device that the tunnel is bound to.',
  address: 'Addresses of the tunnel device, with prefix lengths.',
  routes: 'Prefixes routed into the tunnel.',
  allow: 'Inner senders accepted. Default: routes and the subnets of address. ["any"]: everyone.',
  profile: 'What happens to odd packets: as the RFCs ask, or as Linux does.',
  keepalive: 'Of gre, as Cisco routers have it.',
  probe: 'ICMP echo inside the tunnel.',
  reflect: 'Echo replies from our own inner address go straight back.',
  peers: 'With remote = "any": who is behind the tunnel, and what is routed to each.',
};

/** Lists whose elements are judged one by one elsewhere: text, all of them. */
const LISTS = ['address', 'routes', 'allow'];

type Json = { [key: string]: unknown };

/** The JSON Schema of the whole file. */
export function configJsonSchema(draft: Draft = '2020-12'): Json {
  const config = z
    .strictObject({
      router: routerSchema.extend({
        log: logSchema.optional(),
        offload: offloadSchema.optional(),
        recorder: recorderSchema.optional(),
      }),
      tunnel: z.record(z.string(), tunnelSchema),
    })
    .partial();
  const schema: Json = z.toJSONSchema(config, {
    target: draft === '4' ? 'draft-04' : 'draft-2020-12',
    io: 'input', // what is written: no key is required because it has a default
  });
  complete(schema, '');
  return { ...schema, title: 'grebe.toml', description: 'Config of grebe, a tunnel router.' };
}

/** Adds descriptions, and what elements of lists are. `path` is that of a table: `tunnel.` or nothing. */
function complete(schema: unknown, path: string): void {
  if (!isJson(schema)) return;
  for (const [key, property] of entries(schema.properties)) {
    const inside = key === 'tunnel' ? 'tunnel.' : path;
    const description = DESCRIPTIONS[`${path}${key}`] ?? DESCRIPTIONS[key];
    if (description !== undefined) property.description = description;
    if (LISTS.includes(key)) property.items = { type: 'string' };
    complete(property, inside);
  }
  complete(schema.additionalProperties, path);
  complete(schema.items, path);
  for (const choice of Array.isArray(schema.anyOf) ? schema.anyOf : []) complete(choice, path);
}

function entries(value: unknown): [string, Json][] {
  return isJson(value)
    ? Object.entries(value).filter((entry): entry is [string, Json] => isJson(entry[1]))
    : [];
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
