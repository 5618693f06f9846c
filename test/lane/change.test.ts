// What a lane is told of other tunnels while it runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Board } from '../../src/lane/board.js';
import { fromFault, toFault } from '../../src/lane/change.js';
import { LaneTunnels } from '../../src/lane/tunnels.js';
import { peerRanges, recordsOf } from '../../src/packet/peers.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const named = (name: string, rest: Partial<Tunnel> = {}): Tunnel =>
  Object.assign({}, PLAIN_GRE, rest, { name });
const peers = (...remotes: (string | null)[]) => remotes.map((remote) => ({ remote, routes: [] }));
const namesOf = (list: readonly (Tunnel | undefined)[]): string =>
  list
    .map((one) => (one === undefined ? '-' : `${one.name}:${one.remote.split('.').at(-1)}`))
    .join(' ');

test('peers have their records where the tunnel says, or behind all tunnels', () => {
  const hub = named('hub', { remote: 'any', peers: peers('192.0.2.7', null, '192.0.2.9') });
  const plain = named('gre', { remote: '192.0.2.2' });
  assert.equal(
    namesOf(recordsOf([hub, plain]).map(({ tunnel }) => tunnel)),
    'hub:any gre:2 hub:7 - hub:9',
  );
  const placed: Tunnel = Object.assign({}, hub, { peersAt: 5 });
  const records = recordsOf([placed, undefined, plain]);
  assert.equal(namesOf(records.map(({ tunnel }) => tunnel)), 'hub:any - gre:2 - hub:7 - hub:9');
  assert.deepEqual(
    records.map(({ device }) => device),
    [1, 2, 3, 4, 1, 1, 1],
  );
  assert.deepEqual(peerRanges([placed, undefined, plain]), [{ device: 1, first: 5, count: 3 }]);
});

test('tunnels that change are seen by whoever asks, peers and holes too', () => {
  const known = new LaneTunnels([named('a', { remote: '192.0.2.1' })]);
  const all = (): string => namesOf([1, 2, 3, 4].map((record) => known.of(record)));
  known.change([[3, named('c', { remote: '192.0.2.3' })]]);
  assert.equal(all(), 'a:1 - c:3 -');
  known.change([
    [1, undefined],
    [2, Object.assign(named('b', { remote: 'any', peers: peers('192.0.2.8') }), { peersAt: 4 })],
  ]);
  assert.equal(all(), '- b:any c:3 b:8');
  assert.equal(known.table.entries.length, 4);
  known.change([[2, undefined]]);
  assert.equal(all(), '- - c:3 -');
});

test('a record of the board that is taken over begins anew, and no other does', () => {
  const board = new Board();
  for (const record of [4, 5]) {
    board.ask(record, 'probe');
    board.takeBare(record, 'probe');
    board.setDown(record, true);
    board.setLastHeard(record, 9);
  }
  board.reset(4);
  const state = (record: number) => [
    board.heard(record, 'probe'),
    board.isDown(record),
    board.lastHeardMs(record),
  ];
  assert.deepEqual(
    [state(4), state(5)],
    [
      [0, false, null],
      [1, true, 9],
    ],
  );
});

test('a Failure comes out of a lane as it was, anything else as our bug', () => {
  const failure = new Failure(EXIT.kernelRefused, 'no socket', 'see ss');
  assert.deepEqual(fromFault(toFault(failure)), failure);
  assert.equal(fromFault(toFault(new Error('oops'))).exitCode, EXIT.bug);
});
