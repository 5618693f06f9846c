import type { GreHeader } from './gre.js';
import type { Inner } from './inner.js';
import type { Payload } from './payload.js';
import type { Received } from './received.js';
import type { Entry } from './table.js';

/** A check that a packet has passed, with what is known of the packet since. */
export type Passed =
  // decap
  | { readonly at: 'outer'; readonly outer: Received }
  | { readonly at: 'udp'; readonly header: Uint8Array }
  | { readonly at: 'gre'; readonly gre: GreHeader }
  | { readonly at: 'tunnel'; readonly entry: Entry }
  | { readonly at: 'reserved' }
  | { readonly at: 'checksum' }
  | { readonly at: 'sequence' }
  | { readonly at: 'payload'; readonly payload: Payload }
  | { readonly at: 'addresses' }
  | { readonly at: 'destination' }
  | { readonly at: 'source' }
  | { readonly at: 'ttl' }
  | { readonly at: 'ecn' }
  // encap; `tunnel` and `inner` in both
  | { readonly at: 'inner'; readonly inner: Inner | null; readonly length: number }
  | { readonly at: 'mtu'; readonly length: number }
  | { readonly at: 'peer' }
  | { readonly at: 'to' }
  | { readonly at: 'from' }
  | { readonly at: 'limit'; readonly limit: number | null };

/**
 * Is told of each check as a packet passes it, in order; what comes after the last of them is where the packet ended.
 * An argument of decap and encap, so that an explanation cannot differ from the verdict.
 */
export type Observe = (passed: Passed) => void;
