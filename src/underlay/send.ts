import {
  REASON_NO_ROUTE,
  REASON_TOO_BIG,
  REASON_TX_ENOBUFS,
  REASON_TX_ERROR,
} from '../../asm/reason.js';
import { ERRNO, errno, sendmmsg } from '../sys/libc.js';
import type { SendRoom } from './send-room.js';

const MSG_DONTWAIT = 0x40;

/** Messages for sendmmsg. */
interface Messages {
  /** Native address of message `index`. */
  header(index: number): number;
}

interface Sending {
  readonly fd: number;
  readonly messages: Messages;
  /** How many of them, from the first on. */
  readonly count: number;
  /** Gives the time to wait for a full queue. */
  readonly room: SendRoom;
  /** The drop reason for an error number; default `sendReason`. */
  readonly judge?: (error: number) => number;
  /** Told of each message that was not taken: its reason, and the error number that it was judged by. */
  readonly onFailed: (index: number, reason: number, error: number) => void;
}

/** Sends messages in order. */
export function sendInOrder(sending: Sending): void {
  const { fd, messages, count, room, judge = sendReason, onFailed } = sending;
  let done = 0;
  while (done < count) {
    const sent = sendmmsg(fd, messages.header(done), count - done, MSG_DONTWAIT);
    if (sent > 0) {
      done += sent;
      continue;
    }
    const error = errno();
    if (error === ERRNO.EINTR) continue;
    const reason = judge(error);
    if (reason === REASON_TX_ENOBUFS && room.wait(fd)) continue;
    onFailed(done++, reason, error);
  }
}

/** The drop reason for a failed send. */
export function sendReason(error: number): number {
  switch (error) {
    case ERRNO.EAGAIN:
    case ERRNO.ENOBUFS:
    case ERRNO.ENOMEM:
      return REASON_TX_ENOBUFS;
    case ERRNO.EMSGSIZE:
      return REASON_TOO_BIG;
    case ERRNO.ENETUNREACH:
    case ERRNO.EHOSTUNREACH:
    case ERRNO.ENETDOWN:
    case ERRNO.ENODEV:
    case ERRNO.ENXIO:
    case ERRNO.EINVAL: // what a blackhole route answers
      return REASON_NO_ROUTE;
    default: // EPERM: the firewall; EACCES: broadcast, prohibit route
      return REASON_TX_ERROR;
  }
}
