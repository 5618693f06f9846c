import { RFC_6040, RFC_9601 } from './ecn.js';
import { RFC_1701, RFC_2784, RFC_2890, RFC_7676 } from './gre.js';
import { RFC_2003, RFC_2473, RFC_4213 } from './ip.js';
import type { Rfc } from './requirement.js';
import { RFC_8086 } from './udp.js';

/** In the order of the page. */
export const RFCS: readonly Rfc[] = [
  RFC_1701,
  RFC_2784,
  RFC_2890,
  RFC_7676,
  RFC_8086,
  RFC_2003,
  RFC_4213,
  RFC_2473,
  RFC_6040,
  RFC_9601,
];
