// What the protocol type of a GRE header leads to. A new payload is a line here, its handler in decap.ts, and the
// same two places of asm/.
import { u8 } from './bytes.js';
import { type GreHeader, TYPE_ETHERNET, TYPE_IPV4, TYPE_IPV6, TYPE_WCCP } from './gre.js';

/** What is inside, and how many bytes behind the GRE header it begins. */
export interface Payload {
  readonly kind: 4 | 6 | 'ethernet';
  readonly offset: number;
}

/** Bytes of the redirect header that WCCP version 2 puts in front of the packet. */
const WCCP_HEADER = 4;

/** The payload of `bytes`, a GRE header and what follows, in a packet of the given outer version; null: not known. */
export function payloadOf(bytes: Uint8Array, gre: GreHeader, outer: 4 | 6): Payload | null {
  switch (gre.protocol) {
    case TYPE_IPV4:
      return { kind: 4, offset: 0 };
    case TYPE_IPV6:
      return { kind: 6, offset: 0 };
    case TYPE_ETHERNET:
      return { kind: 'ethernet', offset: 0 };
    case TYPE_WCCP: {
      // A redirected packet of the outer header's version, behind a bare GRE header: version 1 of the protocol puts
      // nothing between, version 2 a header whose first bits look like no IP version.
      if (gre.length !== 4) return null;
      const isBare = u8(bytes, 4) >>> 4 === outer;
      return { kind: outer, offset: isBare ? 0 : WCCP_HEADER };
    }
    default:
      return null;
  }
}
