/** A packet as a lane kept it: for the recorder (recorder.ts), or for whoever captures (capture-ring.ts). */
export interface RecordedPacket {
  /** Tunnel, 0 = none. */
  readonly record: number;
  /** DIRECTION_*. */
  readonly direction: number;
  /** REASON_*, or undefined: its batch is under way. */
  readonly reason: number | undefined;
  /** When its batch was filled, ms since 1970. */
  readonly timeMs: number;
  /** From then until the codec was through with the batch; 0: not measured, as of a batch of few. */
  readonly codecNs: number;
  /** From then until the batch was sent or delivered; undefined where `reason` is. */
  readonly endNs: number | undefined;
  /** Bytes of the whole packet: with its outer header, where it had one. */
  readonly length: number;
  /** Where in it the inner packet begins, 0 = not told. */
  readonly inner: number;
  /** Packets on the wire that it stands for. */
  readonly packets: number;
  /** Its first bytes: a copy. */
  readonly bytes: Uint8Array;
}
