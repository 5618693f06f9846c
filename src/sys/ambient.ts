import { CAPABILITIES, type Capability } from './capability.js';
import { capget, capset, NativeBlock, prctl } from './libc.js';

/** linux/capability.h: two blocks of effective, permitted and inheritable bits. */
const VERSION_3 = 0x20080522;
const HEADER_SIZE = 8;
const DATA_SIZE = 24;
const BLOCK_SIZE = 12;
const PERMITTED = 4;
const INHERITABLE = 8;
/** linux/prctl.h */
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;

/**
 * Lets the programs that this thread starts, ip(8) above all, have these capabilities, too. Those that a file was
 * given (setcap) end with it otherwise; capabilities(7), "Ambient". Returns whether they have them; where not, the
 * kernel refuses what they do.
 */
export function passOnCapabilities(names: readonly Capability[]): boolean {
  const header = new NativeBlock(HEADER_SIZE);
  header.view.setUint32(0, VERSION_3, true);
  const data = new NativeBlock(DATA_SIZE);
  if (capget(header.address, data.address) !== 0) return false;
  for (const name of names) {
    const bit = Number(CAPABILITIES[name]);
    const block = (bit >>> 5) * BLOCK_SIZE;
    const mask = 1 << (bit & 31);
    if ((data.view.getUint32(block + PERMITTED, true) & mask) === 0) return false;
    const inheritable = data.view.getUint32(block + INHERITABLE, true) | mask;
    data.view.setUint32(block + INHERITABLE, inheritable, true);
  }
  if (capset(header.address, data.address) !== 0) return false;
  return names.every((name) => {
    const bit = Number(CAPABILITIES[name]);
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0) === 0;
  });
}
