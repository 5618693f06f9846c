// From the link layer of a capture to the IP packet inside it. Numbers: the LINKTYPE_ registry of
// tcpdump.org; EtherTypes: IEEE 802.

const LINKTYPE_NULL = 0;
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_LOOP = 108;
const LINKTYPE_LINUX_SLL = 113;
const LINKTYPE_LINUX_SLL2 = 276;
/** Link types whose packets begin with the IP header: DLT_RAW of BSDs (12, 14), RAW, IPV4, IPV6. */
const RAW_LINK_TYPES: ReadonlySet<number> = new Set([12, 14, 101, 228, 229]);

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** 802.1Q, 802.1ad, and the number that double-tagging switches used before it. */
const VLAN_ETHERTYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);

/** AF_INET is 2 everywhere; AF_INET6 differs: Linux, NetBSD and OpenBSD, FreeBSD, macOS. */
const IP_FAMILIES: ReadonlySet<number> = new Set([2, 10, 24, 28, 30]);

/** Whether packets of a link type can be looked into at all. */
export function isKnownLinkType(linkType: number): boolean {
  return (
    RAW_LINK_TYPES.has(linkType) ||
    linkType === LINKTYPE_NULL ||
    linkType === LINKTYPE_ETHERNET ||
    linkType === LINKTYPE_LOOP ||
    linkType === LINKTYPE_LINUX_SLL ||
    linkType === LINKTYPE_LINUX_SLL2
  );
}

/**
 * Where the IP packet begins in a captured packet, or null when it holds none. What follows may still be
 * no IP packet: only the link layer was asked. Trailing padding is the reader's to cut off.
 */
export function ipOffset(linkType: number, bytes: Uint8Array): number | null {
  if (RAW_LINK_TYPES.has(linkType)) return 0;
  switch (linkType) {
    case LINKTYPE_ETHERNET:
      return afterEthertype(bytes, 12);
    case LINKTYPE_LINUX_SLL:
      return afterEthertype(bytes, 14);
    case LINKTYPE_LINUX_SLL2:
      // The EtherType comes first; 18 bytes of interface and address follow it.
      return afterEthertype(bytes, 0, 20);
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      return afterFamily(bytes);
    default:
      return null;
  }
}

/** Follows VLAN tags (2 bytes of tag, then the next EtherType) from the EtherType at `offset`. */
function afterEthertype(bytes: Uint8Array, offset: number, end = offset + 2): number | null {
  let type = ethertype(bytes, offset);
  let next = end;
  while (VLAN_ETHERTYPES.has(type)) {
    type = ethertype(bytes, next + 2);
    next += 4;
  }
  return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6 ? next : null;
}

/** The address family is a 32-bit number in the byte order of the machine that captured. */
function afterFamily(bytes: Uint8Array): number | null {
  if (bytes.length < 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 4);
  return IP_FAMILIES.has(view.getUint32(0)) || IP_FAMILIES.has(view.getUint32(0, true)) ? 4 : null;
}

function ethertype(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}
