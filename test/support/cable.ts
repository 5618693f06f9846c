import { ip } from '../../src/demo/namespaces.js';
import { OUTER, UNDERLAY, type Wire } from './lab.js';

/** Puts a cable with `queues` queues at either end in the place of the one between the routers, if there is one. */
export function replaceCable({ rA, rB }: Pick<Wire, 'rA' | 'rB'>, queues: number): void {
  const count = ['numrxqueues', `${queues}`, 'numtxqueues', `${queues}`];
  if (ip('-n', rA, '-brief', 'link').includes(`${UNDERLAY}@`))
    ip('-n', rA, 'link', 'del', UNDERLAY);
  const far = ['peer', 'name', UNDERLAY, 'netns', rB, ...count];
  ip('-n', rA, 'link', 'add', UNDERLAY, ...count, 'type', 'veth', ...far);
  for (const [router, address] of [
    [rA, OUTER.A],
    [rB, OUTER.B],
  ] as const) {
    ip('-n', router, 'address', 'add', `${address}/24`, 'dev', UNDERLAY);
    ip('-n', router, 'link', 'set', UNDERLAY, 'up');
  }
}
