import { release } from 'node:os';

/** Whether the running kernel is of this release or a later one. */
export function isKernelAtLeast(major: number, minor: number, running = release()): boolean {
  const [, first = '0', second = '0'] = /^(\d+)\.(\d+)/.exec(running) ?? [];
  return Number(first) > major || (Number(first) === major && Number(second) >= minor);
}
