// A table image read back: what the packet path was told, for the codec that is no WebAssembly.
import {
  FLAG_ALLOW_LINK_LOCAL,
  FLAG_OVER6,
  IMAGE_OWN,
  IMAGE_OWN_MASK,
  IMAGE_RECORD_COUNT,
  IMAGE_RECORDS,
  OWN_FLAGS,
  OWN_INNER,
  OWN_OUTER,
  OWN_SIZE,
  PREFIX_MASK,
  PREFIX_SIZE,
  RECORD_FLAGS,
  RECORD_PREFIX_COUNT,
  RECORD_PREFIXES,
  RECORD_SIZE,
} from '../../asm/layout.js';
import { formatIpv4, formatIpv6, isMapped } from '../packet/address.js';
import { createEntry, type Entry, ownName, type Table } from '../packet/table.js';
import type { Prefix } from '../packet/tunnel.js';
import { decodeMss, decodeRecord } from './record.js';

/** The table that the image at `image` holds. */
export function decodeTable(memory: WebAssembly.Memory, image: number): Table {
  const view = new DataView(memory.buffer);
  const records = view.getUint32(image + IMAGE_RECORDS, true);
  const count = view.getUint32(image + IMAGE_RECORD_COUNT, true);
  const entries: (Entry | undefined)[] = [];
  for (let record = 1; record < count; record++) {
    entries.push(decodeEntry(view, records + record * RECORD_SIZE, `record ${record}`));
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
