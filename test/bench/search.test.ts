import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findHighestRate } from '../../bench/traffic/search.js';

/** A path that carries `capacity` and loses the rest, behind a sender that can `most`. */
function carrier(capacity: number, most = Number.POSITIVE_INFINITY) {
  const rates: number[] = [];
  const attempt = async (rate: number) => {
    rates.push(rate);
    const sent = Math.min(rate, most);
    return { sent, lost: Math.max(0, 1 - capacity / sent) };
  };
  return { rates, attempt };
}

test('the search closes in on the capacity from below, whatever it starts at', async () => {
  for (const ceiling of [130, 1000, 20]) {
    const { attempt } = carrier(100);
    const found = await findHighestRate({ ceiling, allowed: 0.001, tries: 12, attempt });
    assert.ok(found <= 100.2 && found > 95, `${found} from ${ceiling}`);
  }
});

test('the search ends where the sender does', async () => {
  const { rates, attempt } = carrier(500, 100);
  assert.equal(await findHighestRate({ ceiling: 200, allowed: 0.001, tries: 6, attempt }), 100);
  assert.deepEqual(rates, [200]);
});

test('a rate that fails by little is tried once more, one that fails by much is not', async () => {
  const { rates, attempt } = carrier(99);
  await findHighestRate({ ceiling: 100, allowed: 0.001, tries: 1, attempt });
  assert.deepEqual(rates, [100, 100]);
  const clear = carrier(50);
  await findHighestRate({ ceiling: 100, allowed: 0.001, tries: 1, attempt: clear.attempt });
  assert.deepEqual(clear.rates, [100]);
});

test('a path that loses at any rate has the rate 0', async () => {
  const attempt = async (rate: number) => ({ sent: rate, lost: 0.5 });
  assert.equal(await findHighestRate({ ceiling: 100, allowed: 0.001, tries: 6, attempt }), 0);
});
