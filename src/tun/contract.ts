/**
 * The device side of a tunnel: whole IP packets in, whole IP packets out, in the dataplane's memory.
 * `address` is an offset in that memory and points at the packet; the DEVICE_HEADER_SIZE bytes in front
 * of it belong to the call: a device that has a header (struct virtio_net_hdr) reads or writes it there.
 */
export interface TunDevice {
  readonly name: string;

  /** File descriptor to wait on for packets to read, or -1 for a device that has none. */
  readonly fd: number;

  /** For devices without a descriptor: called whenever packets are waiting. */
  onReadable?: (() => void) | undefined;

  /** Reads one packet of at most `size` bytes and returns its length, 0 when none is waiting. Never blocks. */
  read(address: number, size: number): number;

  /** Writes one packet. Returns 0, or the drop reason (REASON_*) when the device did not take it. Never blocks. */
  write(address: number, length: number): number;

  close(): void;
}
