// The ICMP errors of the hostile packets' list, on a cable: what each changes, and how it is counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { type HostileCase, readHostileCases } from '../support/cases.js';
import { eventually, lacking, tunnelStatus } from '../support/lab.js';
import { ROUTER4, ROUTER6, withScanner } from '../support/scanner.js';

const ERRORS = readHostileCases().filter(({ direction }) => direction === 'control');
/** IPv4 and GRE with a key. */
const OVERHEAD = 28;
const MTU = 1500 - OVERHEAD;

const tunnels = (key: number): string =>
  [
    ...['[tunnel.over4]', 'mode = "gre"', `local = "${ROUTER4}"`, 'remote = "198.51.100.2"'],
    ...[`key = ${key}`, 'address = ["10.9.4.1/24"]', `mtu = ${MTU}`],
    ...['[tunnel.over6]', 'mode = "ip6gre"', `local = "${ROUTER6}"`, 'remote = "2001:db8:0:2::2"'],
    ...['address = ["10.9.6.1/24"]', ''],
  ].join('\n');

/** What an error makes known of a path, in bytes of the outer packet. */
const FOUND: Readonly<Record<string, number>> = {
  'icmp-quote-8': 1400,
  'icmp-quote-4': 1400,
  'icmp-mtu-0': 552,
  'icmp-mtu-68': 552,
};

async function heard(error: HostileCase, key: number) {
  let result: { icmp: object; drops: object; pathMtu: number | undefined } | undefined;
  await withScanner('errors', async ({ namespaces, router: namespace, scan }) => {
    const router = await startRouter(namespaces, namespace, tunnels(key));
    assert.deepEqual(scan([error.bytes]), []);
    assert.ok(await eventually(async () => (await readStatus(router)).icmp.errors === 1));
    const { icmp, drops, generated, received } = await readStatus(router);
    assert.deepEqual({ generated, received: received.underlay }, { generated: 0, received: 0 });
    const { pathMtu } = await tunnelStatus(router, 'over4');
    result = { icmp, drops, pathMtu };
  });
  return result;
}

/** One error, that nobody was told of. */
const ONE = { answers: 0, answersLimited: 0, errors: 1, errorsLimited: 0 };

for (const error of ERRORS) {
  const { id, reason, minMtu } = error;
  test(`${id}: ${reason ?? 'heard'}`, { skip: lacking() }, async () => {
    const found = FOUND[id];
    if (found !== undefined) assert.ok(found >= (minMtu ?? 0));
    assert.deepEqual(await heard(error, 7), {
      icmp: ONE,
      drops: reason === null ? {} : { [reason]: 1 },
      pathMtu: found === undefined ? undefined : found - OVERHEAD,
    });
  });
}

test('an error whose quote has another key than the tunnel is of no tunnel, one without a key is', {
  skip: lacking(),
}, async () => {
  const [keyed, keyless] = ERRORS;
  assert.ok(keyed?.id === 'icmp-quote-8' && keyless?.id === 'icmp-quote-4');
  const unheard = { icmp: ONE, drops: { 'icmp-no-tunnel': 1 }, pathMtu: undefined };
  assert.deepEqual(await heard(keyed, 8), unheard);
  assert.deepEqual(await heard(keyless, 8), { icmp: ONE, drops: {}, pathMtu: 1400 - OVERHEAD });
});
