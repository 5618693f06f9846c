/** Bytes of a TCP header without options (RFC 9293, 3.1). */
export const TCP_LENGTH: u32 = 20;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const TCP_FIN: u32 = 0x01;
export const TCP_SYN: u32 = 0x02;
export const TCP_PSH: u32 = 0x08;
export const TCP_ACK: u32 = 0x10;
export const TCP_CWR: u32 = 0x80;

/** Bytes of the TCP header at `segment`, or 0 when `length` bytes do not hold it. */
export function tcpHeaderLength(segment: usize, length: u32): u32 {
  if (length < TCP_LENGTH) return 0;
  const own = (<u32>load<u8>(segment, TCP_DATA_OFFSET) >>> 4) << 2;
  return own < TCP_LENGTH || own > length ? 0 : own;
}
