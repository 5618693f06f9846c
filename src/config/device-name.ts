/** Bytes of a device name without its final zero: IFNAMSIZ - 1. */
const NAME_MAX = 15;
/** Rows of /proc/sys/net/ipv4/conf that stand for other devices. */
const RESERVED = ['all', 'default', 'lo'];

/** Why `name` cannot be the name of a network device, or undefined when it can. */
export function deviceNameFault(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name === '.' || name === '..') return 'the kernel does not take it';
  const size = Buffer.byteLength(name);
  if (size > NAME_MAX) return `it is ${size} bytes long, at most ${NAME_MAX} fit`;
  if (/\s/.test(name)) return 'it has a space in it';
  if (/\p{Cc}/u.test(name)) return 'it has a control character in it';
  const forbidden = /[/:%]/.exec(name);
  if (forbidden !== null) return `it has "${forbidden[0]}" in it`;
  if (RESERVED.includes(name)) return 'the system uses this name itself';
  return undefined;
}
