import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/config/nearest.js';

const KEYS = ['local', 'remote', 'routes', 'ttl', 'tos', 'mtu', 'mss'];

test('a swapped, missing, wrong or doubled letter still finds the word', () => {
  assert.equal(nearest('remtoe', KEYS), 'remote');
  assert.equal(nearest('remot', KEYS), 'remote');
  assert.equal(nearest('Local', KEYS), 'local');
  assert.equal(nearest('loccal', KEYS), 'local');
  assert.equal(nearest('mtv', KEYS), 'mtu');
});

test('what is far from every word gets no suggestion', () => {
  assert.equal(nearest('keepalive', KEYS), undefined);
  assert.equal(nearest('', KEYS), undefined);
  assert.equal(nearest('x'.repeat(1000), KEYS), undefined);
});
