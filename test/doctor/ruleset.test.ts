// Rules as `nft -j list ruleset` of nftables 1.0.6 prints them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blockedBy,
  type FirewallPacket,
  type Rule,
  type Ruleset,
} from '../../src/doctor/ruleset.js';

const GRE_IN: FirewallPacket = {
  ...{ hook: 'input', version: 4, protocol: 47, device: 'eth0' },
  ...{ source: '192.0.2.2', destination: '192.0.2.1' },
};

const chain = { family: 'inet', table: 'filter' };
const input = { ...chain, name: 'input', hook: 'input', prio: 0, policy: 'accept' };

function ruleset(...expressions: readonly (readonly unknown[])[]): Ruleset {
  const rules = expressions.map((expr, index): Rule => {
    return { ...chain, chain: 'input', handle: index + 1, expr };
  });
  return { chains: [input], rules };
}

const match = (left: object, right: unknown, op = '=='): object => ({ match: { op, left, right } });
const meta = (key: string): object => ({ meta: { key } });
const field = (protocol: string, name: string): object => ({ payload: { protocol, field: name } });
const DROP = { drop: null };
const ACCEPT = { accept: null };

/** What of a rule decides, and whether the packet is dropped by it. */
const MATCHES: readonly (readonly [what: string, statement: object, drops: boolean])[] = [
  ['the protocol by name', match(meta('l4proto'), 'gre'), true],
  ['the protocol by number', match(meta('l4proto'), 47), true],
  ['another protocol', match(meta('l4proto'), 'tcp'), false],
  ['every other protocol', match(meta('l4proto'), 'tcp', '!='), true],
  ['one of several protocols', match(meta('l4proto'), { set: ['esp', 'gre'] }), true],
  ['the protocol field of IPv4', match(field('ip', 'protocol'), 'gre'), true],
  ['the header of the other version', match(field('ip6', 'nexthdr'), 'gre'), false],
  ['the source', match(field('ip', 'saddr'), '192.0.2.2'), true],
  [
    'the network of the source',
    match(field('ip', 'saddr'), { prefix: { addr: '192.0.2.0', len: 30 } }),
    true,
  ],
  [
    'another network',
    match(field('ip', 'saddr'), { prefix: { addr: '192.0.2.4', len: 30 } }),
    false,
  ],
  [
    'a range with the source',
    match(field('ip', 'saddr'), { range: ['192.0.2.1', '192.0.2.9'] }),
    true,
  ],
  ['a range without it', match(field('ip', 'saddr'), { range: ['192.0.2.3', '192.0.2.9'] }), false],
  ['the port of TCP', match(field('tcp', 'dport'), 22), false],
  ['the device', match(meta('iifname'), 'eth0'), true],
  ['devices whose names begin alike', match(meta('iifname'), 'eth*'), true],
  ['another device', match(meta('iifname'), 'lo'), false],
  [
    'the state of a connection, which is not known',
    match({ ct: { key: 'state' } }, 'invalid', 'in'),
    false,
  ],
  ['a named set that is not there', match(field('ip', 'saddr'), '@friends'), false],
  ['a limit, which is not known', { limit: { rate: 1, per: 'second' } }, false],
];

for (const [what, statement, drops] of MATCHES) {
  test(`a rule that drops by ${what} ${drops ? 'stops' : 'is not known to stop'} a GRE packet`, () => {
    const blocked = blockedBy(
      ruleset([statement, { counter: { packets: 0, bytes: 0 } }, DROP]),
      GRE_IN,
    );
    assert.equal(blocked?.rule?.handle, drops ? 1 : undefined);
    assert.equal(blocked?.isCertain, drops ? true : undefined);
  });
}

test('the first rule that decides wins', () => {
  const gre = match(meta('l4proto'), 'gre');
  assert.equal(blockedBy(ruleset([gre, ACCEPT], [gre, DROP]), GRE_IN), undefined);
  assert.equal(blockedBy(ruleset([gre, DROP], [gre, ACCEPT]), GRE_IN)?.rule?.handle, 1);
});

test('a chain that is jumped to decides, returns, or lets the next rule decide', () => {
  const rules = (expr: readonly unknown[]): Ruleset => {
    const { chains, rules: own } = ruleset([{ jump: { target: 'side' } }], [DROP]);
    const side: Rule = { ...chain, chain: 'side', handle: 9, expr };
    return { chains: [...chains, { ...chain, name: 'side' }], rules: [...own, side] };
  };
  assert.equal(blockedBy(rules([ACCEPT]), GRE_IN), undefined);
  assert.equal(blockedBy(rules([DROP]), GRE_IN)?.rule?.handle, 9);
  assert.equal(blockedBy(rules([{ return: null }]), GRE_IN)?.rule?.handle, 2);
});

test('chains that call each other end', () => {
  const { chains, rules } = ruleset([{ jump: { target: 'input' } }]);
  assert.equal(blockedBy({ chains, rules }, GRE_IN), undefined);
});

test('a packet passes the chains of its family and of its way alone', () => {
  const drops = ruleset([DROP]);
  const asOutput = { ...drops, chains: [{ ...input, hook: 'output' }] };
  assert.equal(blockedBy(asOutput, GRE_IN), undefined);
  assert.notEqual(blockedBy(asOutput, { ...GRE_IN, hook: 'output' }), undefined);
  const ofSix = { family: 'ip6', table: 'filter' };
  const onSix: Ruleset = {
    chains: [{ ...input, ...ofSix }],
    rules: drops.rules.map((rule) => ({ ...rule, ...ofSix })),
  };
  assert.equal(blockedBy(onSix, GRE_IN), undefined);
});

test('named sets and verdict maps decide by what is in them', () => {
  const source = field('ip', 'saddr');
  const holding = (...elem: readonly unknown[]) => [{ ...chain, name: 'bad', elem }];
  const dropped = (set: ReturnType<typeof holding>) =>
    blockedBy({ ...ruleset([match(source, '@bad'), DROP]), sets: set }, GRE_IN)?.rule?.handle;
  assert.equal(dropped(holding('192.0.2.9', { prefix: { addr: '192.0.2.0', len: 30 } })), 1);
  assert.equal(dropped(holding({ elem: { val: '192.0.2.2', timeout: 60 } })), 1);
  assert.equal(dropped(holding('192.0.2.9')), undefined);
  assert.equal(dropped(holding()), undefined);

  const pairs = [
    ['tcp', ACCEPT],
    ['gre', DROP],
  ];
  const vmap = (data: unknown) => [{ vmap: { key: meta('l4proto'), data } }];
  assert.equal(blockedBy(ruleset(vmap({ set: pairs })), GRE_IN)?.rule?.handle, 1);
  assert.equal(blockedBy(ruleset(vmap({ set: [['tcp', DROP]] })), GRE_IN), undefined);
  const named = {
    ...ruleset(vmap('@verdicts')),
    sets: [{ ...chain, name: 'verdicts', elem: pairs }],
  };
  assert.equal(blockedBy(named, GRE_IN)?.rule?.handle, 1);
  assert.equal(blockedBy({ ...named, sets: [] }, GRE_IN), undefined);
});

test('a chain of the device that packets come by, or leave by, stops them', () => {
  const drops = ruleset([DROP]);
  const place = { family: 'netdev', table: 'edge' };
  const at = (dev: string | readonly string[], hook: string): Ruleset => ({
    chains: [{ ...input, ...place, hook, dev }],
    rules: drops.rules.map((rule) => ({ ...rule, ...place })),
  });
  assert.notEqual(blockedBy(at('eth0', 'ingress'), GRE_IN), undefined);
  assert.notEqual(blockedBy(at(['eth1', 'eth0'], 'ingress'), GRE_IN), undefined);
  assert.equal(blockedBy(at('eth1', 'ingress'), GRE_IN), undefined);
  assert.equal(blockedBy(at('eth0', 'egress'), GRE_IN), undefined);
  assert.notEqual(blockedBy(at('eth0', 'egress'), { ...GRE_IN, hook: 'output' }), undefined);
});
