import type { Codec } from './contract.js';
import { DECAP_ANSWERS } from './known-decap.js';
import { ENCAP_ANSWERS } from './known-encap.js';
import type { Scratch } from './scratch.js';

export function warmUp(codec: Codec, scratch: Scratch): void {
  void codec;
  void scratch;
  void DECAP_ANSWERS;
  void ENCAP_ANSWERS;
}
