// ICMP errors of the underlay about packets that tunnels sent (RFC 2003, 4; RFC 2473, 8).
//
//   1. readIcmpError   is it about a packet of a tunnel protocol, and is that quoted as ours are?
//   2. errorTunnel     which tunnel's?
//   3. too big         the tunnel takes less from now on
//   4. relay           the sender of the inner packet is told, where enough of it is quoted
//
// Anyone can forge an error whose quote fits. What one can do is bounded: by a rate for each tunnel, by the least that
// a path is believed to take, and by its age.
import { REASON_ICMP_MALFORMED, REASON_ICMP_NO_TUNNEL } from '../../asm/reason.js';
import type { IcmpError } from '../packet/icmp.js';
import {
  errorTunnel,
  type IcmpMessage,
  type QuotedError,
  readIcmpError,
} from '../packet/icmp-quote.js';
import type { Answers } from './answers.js';
import { type Rate, TokenBuckets } from './bucket.js';
import type { Paths } from './paths.js';
import type { LaneTunnels } from './tunnels.js';

const RATE: Rate = { perSecond: 10, burst: 10 };

export interface ErrorsOptions {
  readonly tunnels: LaneTunnels;
  readonly paths: Paths;
  readonly answers: Answers;
  /** Told of each error about a packet of a tunnel protocol; `isHeeded` false: the rate did not allow it. */
  readonly onError: (isHeeded: boolean) => void;
  /** Told of each that is dropped for a reason. */
  readonly onDropped: (reason: number) => void;
}

export class UnderlayErrors {
  readonly #options: ErrorsOptions;
  readonly #buckets = new TokenBuckets(RATE);

  constructor(options: ErrorsOptions) {
    this.#options = options;
  }

  /** Takes a message that reached this machine. */
  take(message: IcmpMessage): void {
    const { tunnels, onError, onDropped } = this.#options;
    const error = readIcmpError(message);
    if (error === null) return;
    if (error === 'icmp-malformed') {
      onError(true);
      onDropped(REASON_ICMP_MALFORMED);
      return;
    }
    const record = errorTunnel(tunnels.table, error.quote);
    if (record === 0) {
      onError(true);
      onDropped(REASON_ICMP_NO_TUNNEL);
      return;
    }
    const isHeeded = this.#buckets.take(record, performance.now());
    onError(isHeeded);
    if (isHeeded) this.#heed(record, error);
  }

  #heed(record: number, { told, quote }: QuotedError): void {
    const { paths, answers } = this.#options;
    if (told.kind === 'too-big') paths.learnFromError(record, told.mtu);
    const error = relayed(told, paths.mtu(record), quote.protocol);
    if (error !== null) answers.relay(record, quote.inner, error);
  }
}

const PROTOCOL_UDP = 17;

/** What the sender of the inner packet is told, or null: nothing. */
function relayed(told: QuotedError['told'], mtu: number, protocol: number): IcmpError | null {
  switch (told.kind) {
    case 'too-big':
      return { kind: 'too-big', mtu };
    case 'time-exceeded':
      return { kind: 'unreachable', what: 'host' };
    case 'unreachable':
      // A port is the tunnel's own business, and there is one only under GRE-in-UDP: nobody listens at the peer.
      if (told.what === 'port' && protocol !== PROTOCOL_UDP) return null;
      return { kind: 'unreachable', what: told.what === 'network' ? 'network' : 'host' };
    case 'other':
      return null;
  }
}
