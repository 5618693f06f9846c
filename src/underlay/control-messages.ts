// Control messages (cmsg(3)): what the kernel says of a message besides its bytes, and is told.
//
//   length u64, with these 16 bytes | level i32 | type i32 | data, padded to 8

/** Bytes in front of the data. */
export const CONTROL_HEADER = 16;

export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const SOL_UDP = 17;
// IPPROTO_IP
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_PKTINFO = 8;
// IPPROTO_IPV6
export const IPV6_FLOWINFO = 11;
export const IPV6_PKTINFO = 50;
export const IPV6_HOPLIMIT = 52;
export const IPV6_TCLASS = 67;
// SOL_UDP
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

/** Walks over the control messages of a received message. */
export class ControlCursor {
  level = 0;
  type = 0;
  /** Offset of the data, and how many bytes of them there are. */
  data = 0;
  size = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;

  /** Begins with the control messages from `start` to before `end` of `view`. */
  begin(view: DataView, start: number, end: number): void {
    this.#view = view;
    this.#at = start;
    this.#end = Math.min(end, view.byteLength);
  }

  /** Goes to the next one. Returns false when there is none that is whole. */
  next(): boolean {
    const at = this.#at;
    if (at + CONTROL_HEADER > this.#end) return false;
    const length = this.#view.getUint32(at, true);
    if (length < CONTROL_HEADER || at + length > this.#end) return false;
    this.data = at + CONTROL_HEADER;
    this.size = length - CONTROL_HEADER;
    this.level = this.#view.getInt32(at + 8, true);
    this.type = this.#view.getInt32(at + 12, true);
    this.#at = at + ((length + 7) & ~7);
    return true;
  }
}

/** Writes the head of a control message of `size` bytes of data at `at`. */
export function writeControl(
  view: DataView,
  at: number,
  size: number,
  level: number,
  type: number,
): void {
  view.setUint32(at, CONTROL_HEADER + size, true);
  view.setUint32(at + 4, 0, true);
  view.setInt32(at + 8, level, true);
  view.setInt32(at + 12, type, true);
}
