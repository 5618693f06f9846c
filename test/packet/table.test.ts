import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBlock } from '../../src/packet/address.js';
import { isWithin } from '../../src/packet/policy.js';
import { endpoint, isToGroup } from '../../src/packet/table.js';
import { hex } from '../support/packets.js';
import { PLAIN_GRE } from '../support/tunnels.js';

test('a tunnel is to a group where its remote is the address of one', () => {
  for (const remote of ['224.0.0.1', '239.1.1.1', 'ff02::1', 'ff15::1:2']) {
    assert.equal(isToGroup({ remote }), true, remote);
  }
  for (const remote of ['192.0.2.1', '240.0.0.1', '2001:db8::1', 'fe80::1', '::ffff:224.0.0.1']) {
    assert.equal(isToGroup({ remote }), false, remote);
  }
});

test('a remote that is no address is no group, and where one is needed it is refused by name', () => {
  for (const remote of ['any', 'peer.example', '239.1.1', '239.1.1.1/32', '']) {
    assert.equal(isToGroup({ remote }), false, remote);
    if (remote === 'any') continue;
    const tunnel = { ...PLAIN_GRE, name: 'gre7', remote };
    assert.throws(
      () => endpoint(tunnel, 'remote'),
      new RangeError(`gre7: remote ${remote} is no IPv4 address`),
    );
  }
});

test('a mapped source in an IPv6 header is within no block, an IPv4 source only within one of IPv4', () => {
  const allow = ['0.0.0.0/0', '::/0', '::ffff:0:0/96'].map((text) => {
    const [address = '', bits = ''] = text.split('/');
    return { text, block: toBlock({ address, bits: Number(bits) }) };
  });
  const mapped = hex('00000000000000000000ffff0a010002');
  const six = hex('fd000001000000000000000000000002');
  for (const { text, block } of allow) {
    const blocks = block === null ? [] : [block];
    assert.equal(isWithin(blocks, { version: 6, source: mapped }), false, text);
    assert.equal(isWithin(blocks, { version: 6, source: six }), text === '::/0', text);
    assert.equal(
      isWithin(blocks, { version: 4, source: hex('0a010002') }),
      block?.version === 4,
      text,
    );
  }
});
