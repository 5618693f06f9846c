// What the device is told of an inner packet.
//
// The kernel merges tunnel packets on receipt (GRO): one long inner packet then stands for many, and its
// TCP checksum is the pseudo-header sum alone. A peer on the same machine leaves TCP and UDP checksums
// like that, too. The device is told to finish the checksum, and to split TCP that is longer than the
// tunnel's MTU into segments of that size again.
import {
  DESCRIPTOR_DEVICE_HEADER,
  DEVICE_CHECKSUM_OFFSET,
  GSO_TCPV4,
  GSO_TCPV6,
  NEEDS_CHECKSUM,
  RECORD_MTU,
} from './layout';
import { fold } from './wire/checksum';
import {
  headerLength4,
  IPV4_PROTOCOL,
  isFragment4,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  sumPseudo4,
} from './wire/ipv4';
import { IPV6_LENGTH, IPV6_NEXT_HEADER, sumPseudo6 } from './wire/ipv6';
import { TCP_CHECKSUM, tcpHeaderLength } from './wire/tcp';
import { UDP_CHECKSUM, UDP_LENGTH } from './wire/udp';

/** Writes the device header of an inner packet that was found sound, `offset` bytes into what the device gets. */
export function putDeviceHeader(
  descriptor: usize,
  record: usize,
  inner: usize,
  length: u32,
  family: u32,
  offset: u32,
): void {
  let first: u64 = 0; // all but csum_offset
  let checksumOffset: u32 = 0;
  const headers = partialTcpHeaders(inner, length, family);
  if (headers !== 0) {
    const start = <u64>(offset + upperStart(inner, family, PROTOCOL_TCP));
    const split = segmentation(record, length, headers, family, offset);
    first = <u64>NEEDS_CHECKSUM | (start << 48) | split;
    checksumOffset = TCP_CHECKSUM;
  } else {
    const start = upperStart(inner, family, PROTOCOL_UDP);
    if (start !== 0 && isPartialUdp(inner, start, length, family)) {
      first = <u64>NEEDS_CHECKSUM | ((<u64>(offset + start)) << 48);
      checksumOffset = UDP_CHECKSUM;
    }
  }
  store<u64>(descriptor, first, DESCRIPTOR_DEVICE_HEADER);
  store<u16>(descriptor + DESCRIPTOR_DEVICE_HEADER, <u16>checksumOffset, DEVICE_CHECKSUM_OFFSET);
}

/**
 * Length of IP and TCP header of a packet whose TCP checksum is the pseudo-header sum alone, the mark of
 * packets that a kernel merged or has not cut yet; 0 for every other packet.
 */
export function partialTcpHeaders(inner: usize, length: u32, family: u32): u32 {
  const start = upperStart(inner, family, PROTOCOL_TCP);
  if (start === 0 || start >= length) return 0;
  const own = tcpHeaderLength(inner + start, length - start);
  if (own === 0) return 0;
  const pseudo = sumPseudo(inner, length - start, family, PROTOCOL_TCP);
  return isChecksumPartial(inner + start + TCP_CHECKSUM, pseudo) ? start + own : 0;
}

function isPartialUdp(inner: usize, start: u32, length: u32, family: u32): bool {
  if (length < start + UDP_LENGTH) return false;
  const pseudo = sumPseudo(inner, length - start, family, PROTOCOL_UDP);
  return isChecksumPartial(inner + start + UDP_CHECKSUM, pseudo);
}

/** Whether a checksum field holds the pseudo-header sum alone: the rest was left to the device. */
function isChecksumPartial(field: usize, pseudo: u64): bool {
  return <u32>load<u16>(field) === fold(pseudo);
}

/** Where the header of `protocol` begins, or 0: it is another one, or only a fragment of it. */
function upperStart(inner: usize, family: u32, protocol: u32): u32 {
  if (family === 6) return <u32>load<u8>(inner, IPV6_NEXT_HEADER) === protocol ? IPV6_LENGTH : 0;
  if (<u32>load<u8>(inner, IPV4_PROTOCOL) !== protocol || isFragment4(inner)) return 0;
  return headerLength4(inner);
}

export function sumPseudo(inner: usize, length: u32, family: u32, protocol: u32): u64 {
  if (family === 6) return sumPseudo6(inner, protocol, length);
  return sumPseudo4(inner, protocol, length);
}

/** gso_type, hdr_len and gso_size in their places, or 0 for a packet that fits the tunnel as it is. */
function segmentation(record: usize, length: u32, headers: u32, family: u32, offset: u32): u64 {
  const mtu = load<u32>(record, RECORD_MTU);
  if (length <= mtu || mtu <= headers) return 0;
  const type: u32 = family === 6 ? GSO_TCPV6 : GSO_TCPV4;
  return ((<u64>type) << 8) | ((<u64>(offset + headers)) << 16) | ((<u64>(mtu - headers)) << 32);
}
