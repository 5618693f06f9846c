// Whether a router's counters add up.
import assert from 'node:assert/strict';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { eventually } from './lab.js';

/** Every packet counts once: what came in, or was made, went on, ended here, or was dropped. */
async function isAccounted(router: RouterProcess): Promise<boolean> {
  const { received, generated, tunnels, gone, drops } = await readStatus(router);
  const sum = (counts: object): number =>
    Object.values(counts).reduce((total: number, count: number) => total + count, 0);
  const done = [...tunnels, ...(gone === undefined ? [] : [gone])].map((one) => {
    return one.rx.packets + one.tx.packets + one.localPackets + sum(one.drops);
  });
  return received.device + received.underlay + generated === sum(done) + sum(drops);
}

export async function assertAccounted(...routers: RouterProcess[]): Promise<void> {
  for (const router of routers) {
    const message = `the counters do not add up: ${JSON.stringify(await readStatus(router))}`;
    assert.ok(await eventually(() => isAccounted(router)), message);
  }
}
