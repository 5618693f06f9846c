import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { parseConfig } from '../../src/config/load.js';
import type { Question, Reply } from '../../src/config/lookup.js';
import { HostNames } from '../../src/router/host-names.js';
import { eventually } from '../support/lab.js';

const CONFIG = `[tunnel.a]
mode = "gre"
remote = "a.test"
allow = ["any"]
[tunnel.hub]
mode = "gre-udp"
remote = "any"
peers = [{ remote = "b.test", routes = ["10.3.0.0/16"] }]
`;

/** A minute is 60 ms. */
const SPEED = 1000;

function setUp(answers: Map<string, Reply>) {
  const { config } = parseConfig(Buffer.from(CONFIG), 'grebe.toml');
  assert.ok(config);
  const asked: Question[][] = [];
  const names = new HostNames(config, {
    log: pino({ enabled: false }),
    speed: SPEED,
    lookup: async (questions) => {
      asked.push([...questions]);
      return questions.map(({ name }) => answers.get(name) ?? { error: 'ENOTFOUND' });
    },
  });
  return { names, asked };
}

test('all names are asked for together, and one without an address has a reason', async () => {
  const { names, asked } = setUp(new Map([['a.test', { address: '192.0.2.2' }]]));
  await names.ask();
  assert.equal(asked.length, 1);
  assert.equal(names.addressOf('a', 'a.test'), '192.0.2.2');
  assert.equal(names.faultOf('a', 'a.test'), undefined);
  assert.equal(names.addressOf('hub', 'b.test'), undefined);
  assert.match(names.faultOf('hub', 'b.test') ?? '', /^cannot resolve b\.test: it has no address$/);
});

test('the address in use stays while the name has it, whatever comes first', async () => {
  const answers = new Map<string, Reply>([
    ['a.test', { address: '192.0.2.2', others: ['192.0.2.3'] }],
    ['b.test', { address: '192.0.2.9' }],
  ]);
  const { names, asked } = setUp(answers);
  await names.ask();
  let changes = 0;
  names.watch(async () => {
    changes++;
    return true;
  });
  answers.set('a.test', { address: '192.0.2.3', others: ['192.0.2.2'] });
  const count = asked.length;
  assert.ok(await eventually(() => asked.length >= count + 3));
  assert.deepEqual([names.addressOf('a', 'a.test'), changes], ['192.0.2.2', 0]);

  answers.set('a.test', { address: '192.0.2.4', others: ['192.0.2.3'] });
  assert.ok(await eventually(() => names.addressOf('a', 'a.test') === '192.0.2.4'));
  assert.equal(changes, 1);

  // A name server that fails takes nothing away.
  answers.delete('a.test');
  const later = asked.length;
  assert.ok(await eventually(() => asked.length >= later + 3));
  assert.deepEqual([names.addressOf('a', 'a.test'), changes], ['192.0.2.4', 1]);
  names.close();
});

test('a name without an address is asked for until it has one, and close ends all asking', async () => {
  const answers = new Map<string, Reply>([['a.test', { address: '192.0.2.2' }]]);
  const { names, asked } = setUp(answers);
  await names.ask();
  names.watch(async () => true);
  assert.ok(await eventually(() => asked.length > 5));
  answers.set('b.test', { address: '2001:db8::1' });
  assert.ok(await eventually(() => names.addressOf('hub', 'b.test') !== undefined));
  // The family was settled when the first question had no answer: the sockets are of IPv4.
  assert.equal(asked.at(-1)?.find(({ name }) => name === 'b.test')?.version, 4);
  names.close();
  const count = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(asked.length, count);
});
