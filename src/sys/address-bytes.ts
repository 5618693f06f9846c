/** The 4 or 16 bytes of an address as ip(8) prints it, without a zone. */
export function addressBytes(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').flatMap(groupBytes);
  const front = groups(head);
  const back = groups(tail ?? '');
  const zeros = new Array<number>(Math.max(0, 16 - front.length - back.length)).fill(0);
  return Uint8Array.from([...front, ...zeros, ...back]);
}

/** A group of hexadecimal digits, or an IPv4 address at the end. */
function groupBytes(group: string): number[] {
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >>> 8, value & 0xff];
}
