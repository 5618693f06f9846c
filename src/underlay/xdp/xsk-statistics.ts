import { getsockopt, NativeBlock } from '../../sys/libc.js';

// linux/if_xdp.h
const SOL_XDP = 283;
const XDP_STATISTICS = 7;
const STATISTICS_SIZE = 48;

/** What the kernel counts for an AF_XDP socket: struct xdp_statistics. */
export interface XskStatistics {
  /** Frames dropped because the fill ring named none to copy them to, or because they were longer than a frame has room. */
  readonly receiveDropped: number;
  /** Descriptors in the fill ring that name no frame. */
  readonly fillInvalid: number;
  /** Descriptors in the transmit ring that name no frame. */
  readonly transmitInvalid: number;
  /** Frames dropped because the receive ring was full. */
  readonly receiveRingFull: number;
  /** Times that the kernel found no frame in the fill ring. */
  readonly fillRingEmpty: number;
  /** Times that it found nothing to send. */
  readonly transmitRingEmpty: number;
}

/** Asks the kernel; undefined where it does not say: `errno()` tells why. */
export function readStatistics(fd: number): XskStatistics | undefined {
  const { address, view } = new NativeBlock(STATISTICS_SIZE);
  const length = new NativeBlock(4);
  length.view.setUint32(0, STATISTICS_SIZE, true);
  if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, address, length.address) !== 0) return undefined;
  const word = (index: number): number => Number(view.getBigUint64(index * 8, true));
  return {
    receiveDropped: word(0),
    fillInvalid: word(1),
    transmitInvalid: word(2),
    receiveRingFull: word(3),
    fillRingEmpty: word(4),
    transmitRingEmpty: word(5),
  };
}
