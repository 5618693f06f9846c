import { release } from 'node:os';

/** Why a test that needs Linux `major.minor` cannot run here, or false: what the `skip` option of a test takes. */
export function olderThan(major: number, minor: number): string | false {
  const [isMajor = 0, isMinor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  if (isMajor > major || (isMajor === major && isMinor >= minor)) return false;
  return `needs Linux ${major}.${minor}, this is ${release()}`;
}
