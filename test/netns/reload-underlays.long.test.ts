// Tunnels that come and go at run time, with several lanes and past the IP stack.
import { test } from 'node:test';
import { lacking, XDP } from '../support/lab.js';
import { assertComeAndGo } from '../support/reloads.js';

for (const router of ['lanes = 2', XDP, `${XDP}\nlanes = 2`]) {
  test(`tunnels come, are rebuilt, renamed and go, and another loses nothing by it: ${router.replace('\n', ', ')}`, {
    skip: lacking('ping'),
  }, async () => {
    await assertComeAndGo(router);
  });
}
