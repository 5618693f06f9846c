import { planXsk, type XskPlan, type XskSize } from '../../src/ring/xsk-plan.js';

/** A shared memory of its own for `count` sockets: a page of 64 KiB, then the areas of each, then a page. */
export function xskMemory(
  size: XskSize,
  count = 1,
): {
  readonly memory: WebAssembly.Memory;
  readonly plans: readonly XskPlan[];
  readonly end: number;
} {
  let end = 65536;
  const reserve = (bytes: number, alignment: number): number => {
    const start = Math.ceil(end / alignment) * alignment;
    end = start + bytes;
    return start;
  };
  const plans = Array.from({ length: count }, () => planXsk(reserve, size));
  const pages = Math.ceil(end / 65536) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return { memory, plans, end };
}
