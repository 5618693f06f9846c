// What ends at the router itself is answered, or noted; the counters add up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBuild } from '../../src/codec/builds.js';
import { Board } from '../../src/lane/board.js';
import { decapBatch } from '../../src/lane/decap.js';
import { encapBatch, generatedBatch } from '../../src/lane/encap.js';
import { openLane } from '../../src/lane/open.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { MemoryTun } from '../../src/tun/memory.js';
import { readCounters } from '../../src/tunnel/counters.js';
import { TunnelTable } from '../../src/tunnel/table.js';
import { MemoryUnderlay } from '../../src/underlay/memory.js';
import { gre, hex, ipv4, ipv6 } from '../support/packets.js';
import { CODECS } from '../support/planes.js';
import { PLAIN_GRE } from '../support/tunnels.js';

const TUNNEL: Tunnel = {
  ...PLAIN_GRE,
  keyIn: 42,
  keyOut: 42,
  addresses: [
    { address: '10.9.0.1', bits: 24 },
    { address: 'fd00:9::1', bits: 64 },
  ],
  keepalive: true,
  reflect: true,
};
const { local: OURS, remote: THEIRS } = PLAIN_GRE;
const GRE = 47;

function open(tunnel: Tunnel, codec: string) {
  const plan = planMemory(1);
  const memory = createMemory(plan);
  new TunnelTable(memory, plan).publish([tunnel]);
  const underlay = new MemoryUnderlay(memory);
  const sent: Uint8Array[] = [];
  underlay.onSent = (bytes) => sent.push(bytes);
  const device = new MemoryTun('gre1', memory);
  const board = new Board();
  const lane = openLane({
    ...{ memory, plan: plan.lanes[0], codec: loadBuild(codec), merge: 0, reorder: [], underlay },
    board: board.buffer,
    devices: () => [[1, device]],
    events: { onFault: () => {}, onMergeRefused: () => {} },
  });
  /** Takes a packet of the underlay in, and sends what that leads to. */
  const receive = (bytes: Uint8Array): void => {
    underlay.inject(bytes);
    decapBatch(lane);
    generatedBatch(lane);
  };
  const counters = () => readCounters(memory, plan);
  return { board, lane, device, receive, sent, counters };
}

function outer(payload: Uint8Array): Uint8Array {
  return ipv4({ source: THEIRS, destination: OURS, protocol: GRE, payload });
}

/** Cisco's keepalive, in a tunnel packet. */
function keepalive(inner: Partial<Parameters<typeof ipv4>[0]> = {}, key = 42): Uint8Array {
  const payload = gre({ key: 42, protocol: 0 });
  const packet = { source: OURS, destination: THEIRS, protocol: GRE, payload, ...inner };
  return outer(gre({ key, payload: ipv4(packet) }));
}

for (const codec of CODECS) {
  test(`${codec}: a keepalive goes back to the peer as it was, with one hop less`, () => {
    const { receive, sent, counters, board } = open(TUNNEL, codec);
    receive(keepalive({ ttl: 255, tos: 0xc0, identification: 9 }));
    const back = ipv4({
      ...{ source: OURS, destination: THEIRS, protocol: GRE, tos: 0xc0, identification: 9 },
      ...{ ttl: 254, payload: gre({ key: 42, protocol: 0 }) },
    });
    assert.deepEqual(sent, [back]);
    const { records, generated, underlayReceived } = counters();
    assert.equal(underlayReceived, 1);
    assert.equal(generated, 1);
    assert.equal(records[1]?.local, 1);
    assert.deepEqual(records[1]?.rx, { packets: 0, bytes: 0 });
    assert.deepEqual(records[1]?.tx, { packets: 1, bytes: back.length });
    assert.deepEqual(records[1]?.decapDrops, {});
    assert.ok((board.lastHeardMs(1) ?? 0) > 0);
  });

  test(`${codec}: what is no keepalive of this peer is dropped and not answered`, () => {
    const { receive, sent, counters } = open(TUNNEL, codec);
    receive(keepalive({}, 43)); // another key
    receive(keepalive({ destination: '198.51.100.9' })); // to somebody else
    receive(keepalive({ payload: gre({ key: 42, protocol: 0x0800 }) })); // carries something
    receive(keepalive({ ttl: 1 }));
    receive(keepalive({ fragment: 0x2000 }));
    receive(keepalive({ payload: hex('2000') }));
    assert.deepEqual(sent, []);
    const [row0, row1] = counters().records;
    assert.deepEqual(row0?.decapDrops, { 'no-tunnel': 1 });
    assert.deepEqual(row1?.decapDrops, { 'inner-src-spoof': 4, 'inner-ttl': 1 });
    assert.equal(row1?.local, 0);
  });

  test(`${codec}: MikroTik's keepalive over IPv6 goes back too`, () => {
    const [ours, theirs] = ['20010db8000000000000000000000001', '20010db8000000000000000000000002'];
    const ends = { local: '2001:db8::1', remote: '2001:db8::2' };
    const { receive, sent } = open({ ...PLAIN_GRE, ...ends, mode: 'ip6gre' }, codec);
    const inner = { source: ours, destination: theirs, nextHeader: GRE };
    const payload = gre({ protocol: 0 });
    const carrying = gre({ payload: ipv6({ ...inner, payload }), protocol: 0x86dd });
    receive(ipv6({ source: theirs, destination: ours, nextHeader: GRE, payload: carrying }));
    assert.deepEqual(sent, [ipv6({ ...inner, payload, hopLimit: 63 })]);
  });

  test(`${codec}: an answer counts when it brings back what was asked, once, or nothing at all`, () => {
    const { receive, board, counters } = open(TUNNEL, codec);
    board.setCookie(1, 'keepalive', [0x01234567, 0x89abcdef]);
    const answer = (payload: Uint8Array) => receive(outer(gre({ key: 42, protocol: 0, payload })));
    const heard = () => board.heard(1, 'keepalive');

    const first = board.ask(1, 'keepalive');
    assert.deepEqual(first, hex('00000001 0123456789abcdef'));
    answer(hex('00000001 0123456789abcdee'));
    answer(hex('00000002 0123456789abcdef')); // not asked yet
    answer(hex('00000001'));
    assert.equal(heard(), 0);
    answer(first);
    assert.equal(heard(), 1);

    const second = board.ask(1, 'keepalive');
    answer(first); // again
    assert.equal(heard(), 1);
    assert.equal(board.unanswered(1, 'keepalive'), 1);
    board.ask(1, 'keepalive');
    answer(second);
    assert.equal(heard(), 2);
    answer(new Uint8Array(0)); // as bare as Cisco's: with key
    assert.equal(heard(), 3);
    assert.equal(counters().records[1]?.local, 7);
    assert.deepEqual(counters().records[1]?.decapDrops, {});
  });

  test(`${codec}: four bytes of GRE are an answer too; where nothing is asked they are none`, () => {
    const plain = { ...PLAIN_GRE, keepalive: true };
    const bare = outer(hex('00000000'));
    const asking = open(plain, codec);
    asking.board.ask(1, 'keepalive');
    asking.receive(bare);
    assert.equal(asking.board.heard(1, 'keepalive'), 1);
    assert.equal(asking.counters().records[1]?.local, 1);
    const silent = open(PLAIN_GRE, codec);
    silent.receive(bare);
    assert.deepEqual(silent.counters().records[1]?.decapDrops, { 'unknown-protocol': 1 });
    assert.deepEqual([...asking.sent, ...silent.sent], []);
  });

  test(`${codec}: an echo reply from our own address goes back into the tunnel`, () => {
    const { receive, sent, counters } = open(TUNNEL, codec);
    const reply = { source: '10.9.0.1', destination: '172.64.240.1', protocol: 1 };
    const payload = hex('0000 1234 0001 0001 6162');
    receive(outer(gre({ key: 42, payload: ipv4({ ...reply, payload }) })));
    const back = ipv4({ ...reply, payload, ttl: 63 });
    assert.equal(sent.length, 1);
    assert.deepEqual(sent[0]?.subarray(28), back);
    assert.deepEqual([...(sent[0]?.subarray(12, 20) ?? [])], [192, 0, 2, 1, 198, 51, 100, 2]);
    const reply6 = {
      source: 'fd000009000000000000000000000001',
      destination: '20010db8000000000000000000000009',
    };
    const echo = hex('8100 1234 0001 0001');
    receive(outer(gre({ key: 42, payload: ipv6({ ...reply6, payload: echo }) })));
    assert.deepEqual(sent[1]?.subarray(28), ipv6({ ...reply6, payload: echo, hopLimit: 63 }));
    // A request is no reply, and a reply to one of ours is forged.
    const request = hex('0800 1234 0001 0001');
    receive(outer(gre({ key: 42, payload: ipv4({ ...reply, payload: request }) })));
    const toUs = ipv4({ ...reply, payload, destination: '10.9.0.1' });
    receive(outer(gre({ key: 42, payload: toUs })));
    const { records, generated } = counters();
    assert.equal(sent.length, 2);
    assert.equal(generated, 2);
    assert.equal(records[1]?.local, 2);
    assert.deepEqual(records[1]?.decapDrops, { 'inner-src-spoof': 2 });
    assert.equal(records[1]?.tx.packets, 2);
  });

  test(`${codec}: a probe's answer is noted, another's goes to the device`, () => {
    const probe = { target: '10.9.0.2', identifier: 0x1234 };
    const { receive, board, device, counters } = open({ ...TUNNEL, probe }, codec);
    board.setCookie(1, 'probe', [1, 2]);
    const question = board.ask(1, 'probe');
    const answer = (identifier: string, source = '10.9.0.2') => {
      const payload = Buffer.concat([hex(`0000 0000 ${identifier} 0001`), question]);
      const inner = ipv4({ source, destination: '10.9.0.1', protocol: 1, payload });
      receive(outer(gre({ key: 42, payload: inner })));
    };
    answer('1235');
    answer('1234', '10.9.0.3');
    assert.equal(board.heard(1, 'probe'), 0);
    answer('1234');
    assert.equal(board.heard(1, 'probe'), 1);
    assert.equal(counters().records[1]?.local, 1);
    assert.equal(counters().records[1]?.rx.packets, 2);
    assert.equal(device.take()?.length, 40);
  });

  test(`${codec}: while the peer is away nothing is sent but questions`, () => {
    const { lane, board, device, sent, counters } = open(TUNNEL, codec);
    board.setDown(1, true);
    const packet = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 });
    device.send(packet);
    encapBatch(lane, 1);
    assert.deepEqual(sent, []);
    assert.deepEqual(counters().records[1]?.encapDrops, { 'tunnel-down': 1 });
    lane.aside.emit(1, packet.slice());
    generatedBatch(lane);
    assert.equal(sent.length, 1);
    board.setDown(1, false);
    device.send(packet);
    encapBatch(lane, 1);
    assert.equal(sent.length, 2);
    assert.deepEqual(counters().records[1]?.tx, { packets: 2, bytes: 40 });
  });
}
