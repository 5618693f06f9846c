// Answers to who sent what goes no further: to our own side, to the far side, at what rate, and counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_TOO_BIG } from '../../asm/reason.js';
import { decapBatch } from '../../src/lane/decap.js';
import { icmpOf, openAnsweringLane as open } from '../support/answering-lane.js';
import { frame, hex, ipv4, ipv6 } from '../support/packets.js';

const INNER4 = { source: '10.1.0.2', destination: '10.2.0.2', protocol: 17 };
const INNER6 = {
  source: 'fd000001000000000000000000000002',
  destination: 'fd000002000000000000000000000002',
};
const DF = 0x4000;

const big4 = (length: number, fragment = DF): Uint8Array =>
  ipv4({ ...INNER4, fragment, payload: new Uint8Array(length - 20) });
const big6 = (length: number): Uint8Array =>
  ipv6({ ...INNER6, nextHeader: 17, payload: new Uint8Array(length - 40) });

test('what is too big is answered from the address of the device, with the MTU of the tunnel', () => {
  const { turn, counters } = open();
  assert.deepEqual(icmpOf(turn(big4(1401))), ['0a090001', 3, 4, 1400]);
  assert.deepEqual(icmpOf(turn(big6(1401))), ['fd000009000000000000000000000001', 2, 0, 1400]);
  const { icmp, records, generated } = counters();
  assert.deepEqual(icmp, { answers: 2, answersLimited: 0, errors: 0, errorsLimited: 0 });
  assert.deepEqual(records[1]?.encapDrops, { 'too-big': 2 });
  assert.equal(generated, 0);
});

test('what its path is known to take counts, but no less than 1280 bytes of IPv6', () => {
  const { turn, pathMtus, sent } = open();
  pathMtus.set(1, 1300);
  assert.deepEqual(icmpOf(turn(big4(1301))), ['0a090001', 3, 4, 1300]);
  pathMtus.set(1, 600);
  assert.deepEqual(icmpOf(turn(big6(1281))), ['fd000009000000000000000000000001', 2, 0, 1280]);
  assert.equal(sent.length, 0);
  assert.equal(turn(big6(1280)), undefined);
  assert.equal(sent.length, 1);
  assert.equal((sent[0]?.[6] ?? 0) & 0x40, 0, 'it may be fragmented on its way');
});

test('without an address of its own over IPv4 the local end of the tunnel answers, over IPv6 nobody', () => {
  const { turn, counters } = open({ addresses: [] });
  assert.deepEqual(icmpOf(turn(big4(1401))), ['c0000201', 3, 4, 1400]);
  assert.equal(turn(big6(1401)), undefined);
  assert.equal(counters().icmp.answers, 1);
});

test('with DF clear it goes in fragments, which count in its place', () => {
  const { turn, sent, counters } = open();
  assert.equal(turn(big4(3000, 0)), undefined);
  assert.deepEqual(
    sent.map((packet) => packet.length - 24),
    [1396, 1396, 248],
  );
  const { deviceReceived, generated, records, icmp } = counters();
  assert.equal(deviceReceived, 3);
  assert.equal(generated, 0);
  assert.equal(records[1]?.tx.packets, 3);
  assert.deepEqual(records[1]?.encapDrops, {});
  assert.equal(icmp.answers, 0);
});

test('a packet that only the kernel refuses shows what the way takes', () => {
  const { turn, underlay, setWay, learned, pathMtus } = open();
  setWay(1324);
  underlay.send = (ring, from) => ring.setReason(from, REASON_TOO_BIG);
  assert.deepEqual(icmpOf(turn(big4(1400))), ['0a090001', 3, 4, 1300]);
  assert.deepEqual(learned, [[1, 1300]]);
  assert.equal(pathMtus.get(1), 1300);
});

test('a packet that may enter no tunnel more is answered with where it says so', () => {
  const { turn, counters } = open();
  const options = hex('11000104010100000401000000000000'.slice(0, 16));
  options.set([17, 0, 1, 1, 0, 4, 1, 0]); // PadN, then the limit: 0
  const packet = ipv6({
    ...INNER6,
    nextHeader: 60,
    payload: Uint8Array.from([...options, ...new Uint8Array(16)]),
  });
  assert.deepEqual(icmpOf(turn(packet)), ['fd000009000000000000000000000001', 4, 0, 47]);
  assert.deepEqual(counters().records[1]?.encapDrops, { 'encap-limit': 1 });
});

test('a packet whose TTL ran out is answered into its tunnel and nowhere else', () => {
  const { arrive, device, sent, counters } = open({ allow: 'any' });
  arrive(
    ipv4({
      ...INNER4,
      source: '10.2.0.2',
      destination: '10.1.0.2',
      ttl: 1,
      payload: new Uint8Array(8),
    }),
  );
  assert.equal(device.take(), undefined);
  assert.equal(sent.length, 1);
  assert.deepEqual(icmpOf(sent[0]?.subarray(24)), ['0a090001', 11, 0, 0]);
  const { generated, records, icmp } = counters();
  assert.equal(generated, 1);
  assert.equal(icmp.answers, 1);
  assert.deepEqual(records[1]?.decapDrops, { 'inner-ttl': 1 });
  assert.equal(records[1]?.tx.packets, 1);
});

test('to the far side go 10 answers at once, to our own 50; the rest is counted', () => {
  const { arrive, turn, counters, sent } = open({ allow: 'any' });
  for (let n = 0; n < 15; n++) {
    arrive(
      ipv4({
        ...INNER4,
        source: '10.2.0.2',
        destination: '10.1.0.2',
        ttl: 1,
        payload: new Uint8Array(8),
      }),
    );
  }
  assert.equal(sent.length, 10);
  assert.deepEqual(counters().icmp, {
    answers: 10,
    answersLimited: 5,
    errors: 0,
    errorsLimited: 0,
  });
  const answers = Array.from({ length: 60 }, () => turn(big4(1401))).filter((answer) => answer);
  const { icmp } = counters();
  assert.ok(answers.length >= 50 && answers.length < 60);
  assert.equal(icmp.answers, 10 + answers.length);
  assert.equal(icmp.answersLimited, 5 + 60 - answers.length);
});

test('nobody of no tunnel is answered, nor an error, nor a broadcast', () => {
  const { arrive, turn, underlay, lane, sent, counters } = open({ allow: 'any' });
  underlay.inject(
    ipv4({
      source: '203.0.113.9',
      destination: '192.0.2.1',
      protocol: 47,
      payload: new Uint8Array(8),
    }),
  );
  decapBatch(lane);
  arrive(
    ipv4({
      ...INNER4,
      source: '10.2.0.2',
      destination: '10.1.0.2',
      ttl: 1,
      protocol: 1,
      payload: Uint8Array.of(3, 1, 0, 0, 0, 0, 0, 0),
    }),
  );
  const error = ipv4({
    ...INNER4,
    protocol: 1,
    fragment: DF,
    payload: Uint8Array.of(3, ...new Uint8Array(1400)),
  });
  assert.equal(turn(error), undefined);
  assert.equal(
    turn(
      ipv4({ ...INNER4, destination: '239.1.1.1', fragment: DF, payload: new Uint8Array(1400) }),
    ),
    undefined,
  );
  assert.equal(sent.length, 0);
  assert.deepEqual(counters().icmp, { answers: 0, answersLimited: 0, errors: 0, errorsLimited: 0 });
});

test('out of a frame an answer goes as a frame, back to where it came from', () => {
  const { turn } = open({ mode: 'gretap' });
  const payload = big4(1401);
  const from = frame({ source: '020000000001', destination: '020000000002', payload });
  const answer = turn(from);
  assert.deepEqual(answer?.subarray(0, 14), hex('020000000001' + '020000000002' + '0800'));
  assert.deepEqual(icmpOf(answer?.subarray(14)), ['0a020002', 3, 4, 1400]);
});

test('a frame to everyone is not answered', () => {
  const { turn } = open({ mode: 'gretap' });
  const payload = big4(1401);
  const toAll = frame({ source: '020000000001', destination: 'ffffffffffff', payload });
  assert.equal(turn(toAll), undefined);
});

/** An ICMP error about `outer`, to us. */
function errorAbout(outer: Uint8Array, type: number, code: number, mtu = 0) {
  const bytes = Buffer.concat([Buffer.alloc(8), outer.subarray(0, 500)]);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt8(code, 1);
  bytes.writeUInt16BE(mtu, 6);
  return { version: 4, destination: hex('c0000201'), bytes: Uint8Array.from(bytes) } as const;
}

test('an error about a packet on its way: the path is learned, the sender told', () => {
  const { lane, turn, sent, device, learned, pathMtus, counters } = open();
  turn(big4(1400));
  lane.errors?.take(errorAbout(sent[0] ?? big4(40), 3, 4, 1324));
  assert.deepEqual(learned, [[1, 1300]]);
  assert.equal(pathMtus.get(1), 1300);
  assert.deepEqual(icmpOf(device.take()), ['0a090001', 3, 4, 1300]);
  // Later ones that say more, and ones that say impossibly little.
  lane.errors?.take(errorAbout(sent[0] ?? big4(40), 3, 4, 1400));
  assert.equal(pathMtus.get(1), 1300);
  lane.errors?.take(errorAbout(sent[0] ?? big4(40), 3, 4, 68));
  assert.equal(pathMtus.get(1), 552 - 24);
  assert.deepEqual(counters().icmp.errors, 3);
});

for (const [what, type, code, answer] of [
  ['network unreachable', 3, 0, [3, 0]],
  ['host unreachable', 3, 1, [3, 1]],
  ['protocol unreachable', 3, 2, [3, 1]],
  ['time exceeded', 11, 0, [3, 1]],
  ['port unreachable', 3, 3, undefined],
  ['source route failed', 3, 5, undefined],
  ['reassembly time exceeded', 11, 1, undefined],
  ['source quench', 4, 0, undefined],
  ['a redirect', 5, 1, undefined],
  ['parameter problem', 12, 0, undefined],
] as const) {
  test(`${what} about an outer packet ${answer ? 'reaches' : 'does not reach'} the inner sender`, () => {
    const { lane, turn, sent, device } = open();
    turn(big4(100));
    lane.errors?.take(errorAbout(sent[0] ?? big4(40), type, code));
    const told = device.take();
    if (answer === undefined) assert.equal(told, undefined);
    else assert.deepEqual(icmpOf(told).slice(1, 3), answer);
  });
}

test('errors about no tunnel, and malformed ones, are counted as such', () => {
  const { lane, counters } = open();
  const stranger = ipv4({
    source: '192.0.2.1',
    destination: '203.0.113.9',
    protocol: 47,
    payload: hex('0000080045000000'),
  });
  lane.errors?.take(errorAbout(stranger, 3, 1));
  lane.errors?.take(errorAbout(stranger.subarray(0, 12), 3, 1));
  const { icmp, records } = counters();
  assert.equal(icmp.errors, 2);
  assert.deepEqual(records[0]?.decapDrops, { 'icmp-no-tunnel': 1, 'icmp-malformed': 1 });
});

test('after its peer moved, errors count for the new address, and the kernel is asked for the way there', () => {
  const { lane, tunnel, counters, pathMtus, turn, setWay, asked, underlay, learned } = open();
  const to = (destination: string): Uint8Array =>
    ipv4({ source: '192.0.2.1', destination, protocol: 47, payload: hex('0000080045000000') });
  const [before, after] = [to('198.51.100.2'), to('198.51.100.3')];
  lane.errors?.take(errorAbout(after, 3, 4, 1324));
  assert.deepEqual(counters().records[0]?.decapDrops, { 'icmp-no-tunnel': 1 });
  lane.tunnels?.change([[1, { ...tunnel, remote: '198.51.100.3' }]]);
  lane.errors?.take(errorAbout(before, 3, 4, 1224));
  assert.deepEqual(counters().records[0]?.decapDrops, { 'icmp-no-tunnel': 2 });
  assert.deepEqual(learned, []);
  lane.errors?.take(errorAbout(after, 3, 4, 1324));
  assert.equal(pathMtus.get(1), 1300);
  assert.deepEqual(counters().records[0]?.decapDrops, { 'icmp-no-tunnel': 2 });
  underlay.send = (ring, from) => ring.setReason(from, REASON_TOO_BIG);
  setWay(1100);
  turn(big4(1200));
  assert.deepEqual(asked, ['198.51.100.3']);
  assert.equal(pathMtus.get(1), 1100 - 24);
});

test('a tunnel that gets a peer, and one that is gone', () => {
  const { lane, tunnel, counters } = open();
  const outer = ipv4({
    ...{ source: '192.0.2.1', destination: '198.51.100.2', protocol: 47 },
    payload: hex('0000080045000000'),
  });
  lane.tunnels?.change([
    [1, undefined],
    [2, { ...tunnel, remote: '198.51.100.9' }],
  ]);
  lane.errors?.take(errorAbout(outer, 3, 1));
  assert.deepEqual(counters().records[0]?.decapDrops, { 'icmp-no-tunnel': 1 });
  assert.equal(lane.tunnels?.of(1), undefined);
  assert.equal(lane.tunnels?.of(2)?.remote, '198.51.100.9');
  assert.equal(lane.tunnels?.isOwn(hex('c0000201')), true);
  lane.tunnels?.change([[2, undefined]]);
  assert.equal(lane.tunnels?.isOwn(hex('c0000201')), false);
});

test('of a flood of errors few have an effect', () => {
  const { lane, turn, sent, counters, learned } = open();
  turn(big4(1400));
  for (let n = 0; n < 1000; n++) lane.errors?.take(errorAbout(sent[0] ?? big4(40), 3, 4, 1300 - n));
  const { icmp } = counters();
  assert.equal(icmp.errors, 1000);
  assert.ok(icmp.errorsLimited >= 980);
  assert.equal(learned.length, 1000 - icmp.errorsLimited);
});
