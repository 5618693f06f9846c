/** Bytes of a UDP header (RFC 768). */
export const UDP_LENGTH: u32 = 8;
export const UDP_TOTAL_LENGTH = 4;
export const UDP_CHECKSUM = 6;
