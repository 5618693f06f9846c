// A table image read back: what the packet path was told, for the codec that is no WebAssembly.
import {
  FLAG_ALLOW_LINK_LOCAL,
  FLAG_OVER6,
  FLAG_PEERS,
  IMAGE_OWN,
  IMAGE_OWN_MASK,
  IMAGE_RECORD_COUNT,
  IMAGE_RECORDS,
  IMAGE_ROUTE_MASK,
  IMAGE_ROUTES,
  OWN_FLAGS,
  OWN_INNER,
  OWN_OUTER,
  OWN_SIZE,
  PREFIX_MASK,
  PREFIX_SIZE,
  RECORD_DEFAULT,
  RECORD_FLAGS,
  RECORD_PREFIX_COUNT,
  RECORD_PREFIXES,
  RECORD_SIZE,
  ROUTE_BITS,
  ROUTE_PEER,
  ROUTE_SIZE,
  ROUTE_TUNNEL,
} from '../../asm/layout.js';
import { type Block, formatIpv4, formatIpv6, isMapped, toBlock } from '../packet/address.js';
import type { PeerRoute } from '../packet/peers.js';
import { createEntry, type Entry, ownName, type Table } from '../packet/table.js';
import type { Prefix } from '../packet/tunnel.js';
import { decodeMss, decodeRecord } from './record.js';

/** The table that the image at `image` holds. */
export function decodeTable(memory: WebAssembly.Memory, image: number): Table {
  const view = new DataView(memory.buffer);
  const records = view.getUint32(image + IMAGE_RECORDS, true);
  const count = view.getUint32(image + IMAGE_RECORD_COUNT, true);
  const entries: (Entry | undefined)[] = [];
  const routes = decodeRoutes(view, image);
  for (let record = 1; record < count; record++) {
    const address = records + record * RECORD_SIZE;
    const entry = decodeEntry(view, address, `record ${record}`);
    const hasPeers = (view.getUint32(address + RECORD_FLAGS, true) & FLAG_PEERS) !== 0;
    if (entry === undefined || !hasPeers) entries.push(entry);
    else
      entries.push({
        ...entry,
        routes: [...(routes.get(record) ?? []), ...defaultRoute(view, address)],
      });
  }
  return { entries, ...decodeOwn(view, image) };
}

function decodeEntry(view: DataView, address: number, name: string): Entry | undefined {
  const given = { name, allow: decodePrefixes(view, address), addresses: [] };
  const tunnel = decodeRecord(view, address, given);
  if (tunnel === undefined) return undefined;
  const flags = view.getUint32(address + RECORD_FLAGS, true);
  return {
    ...createEntry(tunnel),
    version: flags & FLAG_OVER6 ? 6 : 4,
    allowsLinkLocal: (flags & FLAG_ALLOW_LINK_LOCAL) !== 0,
    mss: decodeMss(view, address),
  };
}

/** Networks behind peers, by the record of their tunnel. */
function decodeRoutes(view: DataView, image: number): Map<number, PeerRoute[]> {
  const first = view.getUint32(image + IMAGE_ROUTES, true);
  const mask = view.getUint32(image + IMAGE_ROUTE_MASK, true);
  const routes = new Map<number, PeerRoute[]>();
  for (let slot = 0; slot <= mask; slot++) {
    const place = first + slot * ROUTE_SIZE;
    const tunnel = view.getUint32(place + ROUTE_TUNNEL, true);
    if (tunnel === 0) continue;
    const prefix = {
      address: formatIpv6(copy16(view, place)),
      bits: view.getUint32(place + ROUTE_BITS, true),
    };
    const known = routes.get(tunnel);
    const route = { block: blockOf(prefix), record: view.getUint32(place + ROUTE_PEER, true) };
    if (known === undefined) routes.set(tunnel, [route]);
    else known.push(route);
  }
  return routes;
}

/** The peer that has ::/0, which no place is taken for. */
function defaultRoute(view: DataView, address: number): PeerRoute[] {
  const record = view.getUint32(address + RECORD_DEFAULT, true);
  return record === 0 ? [] : [{ block: blockOf({ address: '::', bits: 0 }), record }];
}

/** INVARIANT: a place holds what was a block when it was written. */
function blockOf(prefix: Prefix): Block {
  const block = toBlock(prefix);
  if (block === null) throw new RangeError(`${prefix.address}/${prefix.bits} is no address block`);
  return block;
}

function decodePrefixes(view: DataView, record: number): Prefix[] {
  const first = view.getUint32(record + RECORD_PREFIXES, true);
  const count = view.getUint32(record + RECORD_PREFIX_COUNT, true);
  return Array.from({ length: count }, (_, index) => {
    const address = copy16(view, first + index * PREFIX_SIZE);
    const mask = copy16(view, first + index * PREFIX_SIZE + PREFIX_MASK);
    const bits = mask.reduce((sum, byte) => sum + ONES.indexOf(byte), 0);
    if (bits >= 96 && isMapped(address)) return { address: formatTail(address), bits: bits - 96 };
    return { address: formatIpv6(address), bits };
  });
}

/** Bytes that begin with so many ones. */
const ONES = [0x00, 0x80, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc, 0xfe, 0xff];

function decodeOwn(view: DataView, image: number): Pick<Table, 'ownOuter' | 'ownInner'> {
  const own = view.getUint32(image + IMAGE_OWN, true);
  const mask = view.getUint32(image + IMAGE_OWN_MASK, true);
  const ownOuter = new Set<string>();
  const ownInner = new Set<string>();
  for (let slot = 0; slot <= mask; slot++) {
    const flags = view.getUint32(own + slot * OWN_SIZE + OWN_FLAGS, true);
    if (flags === 0) continue;
    const address = copy16(view, own + slot * OWN_SIZE);
    const name = ownName(address);
    if (flags & OWN_OUTER) ownOuter.add(name);
    if (flags & OWN_INNER) ownInner.add(name);
  }
  return { ownOuter, ownInner };
}

/** The IPv4 address at the end of 16 bytes. */
function formatTail(address: Uint8Array): string {
  return formatIpv4(new DataView(address.buffer).getUint32(12));
}

function copy16(view: DataView, address: number): Uint8Array {
  return new Uint8Array(view.buffer, address, 16).slice();
}
