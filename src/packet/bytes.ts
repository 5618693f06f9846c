// Big-endian fields of packets. A read past the end gives zeros: callers check lengths first, and a
// check that is missing shows up in the properties instead of as an exception.

export function u8(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}

export function u16(bytes: Uint8Array, offset: number): number {
  return (u8(bytes, offset) << 8) | u8(bytes, offset + 1);
}

export function u32(bytes: Uint8Array, offset: number): number {
  return ((u16(bytes, offset) << 16) | u16(bytes, offset + 2)) >>> 0;
}

export function setU8(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
}

export function setU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

export function setU32(bytes: Uint8Array, offset: number, value: number): void {
  setU16(bytes, offset, value >>> 16);
  setU16(bytes, offset + 2, value & 0xffff);
}
