import { addressBytes, parseAddress } from '../packet/address.js';
import { isGroup } from '../packet/table.js';

/** Whether a text is the address of a multicast group. */
export function isGroupAddress(text: string): boolean {
  const address = parseAddress(text);
  return address !== null && isGroup(addressBytes(address));
}
