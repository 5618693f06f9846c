import { parseAddress } from '../packet/address.js';

/** Whether a text is the address of a multicast group. */
export function isGroupAddress(text: string): boolean {
  const address = parseAddress(text);
  if (address === null) return false;
  return address.version === 4 ? address.value >>> 28 === 0xe : address.value[0] === 0xff;
}
