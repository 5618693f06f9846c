// Peers that vanish, stop or send nonsense, devices that go down: the router carries on, and tells what it lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { mutated } from '../support/arbitrary.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  killRouter,
  type Lab,
  lacking,
  OUTER,
  ping,
  tunnelStatus,
  UNDERLAY,
  withLab,
  XDP,
} from '../support/lab.js';
import { type LoneRouter, withLoneRouter } from '../support/lone-router.js';
import { gre, hex, ipv4 } from '../support/packets.js';
import {
  assertAlive,
  assertNoDrops,
  assertTransfer,
  assertTransfers,
  PEER,
  plainGre,
  sentBy,
  TUNNEL,
} from '../support/traffic.js';
import { redirected } from '../support/wire-count.js';

const skip = lacking('ping', 'ethtool');
/** Lasts several seconds, so that what happens to a transfer happens in its midst. */
const LONG = 400 << 20;
const SHORT = 4 << 20;

/** Starts a transfer from A, waits until it is under way, and lets `disturb` happen; every byte arrives. */
async function assertSurvives(lab: Lab, disturb: () => Promise<void>): Promise<void> {
  let isDone = false;
  const transfer = assertTransfer(lab, { from: 'A', size: LONG });
  transfer.then(
    () => {
      isDone = true;
    },
    () => {},
  );
  assert.ok(await eventually(async () => (await sentBy(lab.a)) > 2000));
  await disturb();
  assert.ok(!isDone, 'it was disturbed in its midst');
  await transfer;
}

for (const underlay of ['raw', 'xdp']) {
  const router = `underlay = "${underlay}"`;
  const options = { tunnels: plainGre, hosts: true, ipv6: false, router, offloads: true };

  test(`${underlay}: a peer that is killed and restarted goes on with the transfer`, {
    skip,
  }, async () => {
    await withLab('restart', options, async (lab) => {
      await assertSurvives(lab, async () => {
        await killRouter(lab.b);
        await sleep(200);
        await startRouter(lab.namespaces, lab.rB, plainGre('B'), router);
      });
      assert.deepEqual(await dropsOf(lab.a), {});
    });
  });

  test(`${underlay}: a peer that stands still for two seconds costs what it missed, no more`, {
    skip,
  }, async () => {
    await withLab('stopped', options, async (lab) => {
      await assertSurvives(lab, async () => {
        lab.b.child.kill('SIGSTOP');
        await sleep(500);
        const before = await sentBy(lab.a);
        const flood = await ping(lab.rA, '-q', '-f', '-c', '5000', '-w', '1', PEER);
        assert.equal(flood.received, 0);
        assert.ok(await eventually(async () => (await sentBy(lab.a)) >= before + flood.sent));
        await sleep(500);
        lab.b.child.kill('SIGCONT');
      });
      await assertAnswered(lab.namespaces, lab.rA, PEER);
      assertAlive(lab);
      await assertNoDrops(lab);
    });
  });

  test(`${underlay}: a tunnel device set down under load drops as tunnel-down, and comes back`, {
    skip,
  }, async () => {
    await withLab('tundown', options, async (lab) => {
      const { rB, a, b } = lab;
      await assertSurvives(lab, async () => {
        ip('-n', rB, 'link', 'set', TUNNEL, 'down');
        await sleep(300);
        assert.equal((await tunnelStatus(b, TUNNEL)).state, 'down');
        ip('-n', rB, 'link', 'set', TUNNEL, 'up');
        // The kernel forgets the routes of a device that goes down.
        ip('-n', rB, 'route', 'replace', '10.1.0.0/24', 'dev', TUNNEL);
      });
      assert.equal((await tunnelStatus(b, TUNNEL)).state, 'up');
      const drops = await dropsOf(b);
      assert.deepEqual(Object.keys(drops), ['tunnel-down']);
      assert.ok((drops['tunnel-down'] ?? 0) > 0);
      assert.deepEqual(await dropsOf(a), {});
      assertAlive(lab);
      await assertTransfers(lab, { size: SHORT });
    });
  });
}

/** B alone, over AF_XDP. */
const withVictim = (use: (victim: LoneRouter) => Promise<void>): Promise<void> =>
  withLoneRouter('hostile', plainGre('B'), XDP, async (victim) => {
    assert.equal((await readStatus(victim.b)).underlay, 'xdp');
    await use(victim);
  });

/** An echo reply that nobody waits for: the host behind does not answer it. */
const INNER = ipv4({
  ...{ source: '10.9.0.1', destination: '10.9.0.2', protocol: 1 },
  payload: hex('0000ffff 00000000'),
});
const ENDS = { source: OUTER.A, destination: OUTER.B, protocol: 47 };
const GOOD = ipv4({ ...ENDS, payload: gre({ payload: INNER }) });
const carrying = (text: string): Uint8Array => ipv4({ ...ENDS, payload: hex(text) });

/** What is wrong with a packet, and the reason it is dropped for; '' for one that is taken. */
const HOSTILE: readonly (readonly [name: string, packet: Uint8Array, reason: string])[] = [
  ['a GRE header cut off', carrying('0000'), 'gre-truncated'],
  ['no GRE header at all', carrying(''), 'gre-truncated'],
  ['a key that is not there', carrying('2000 0800'), 'gre-truncated'],
  ['nothing behind the GRE header', carrying('0000 0800'), 'inner-truncated'],
  ['half an inner header', carrying('0000 0800 45000014 0000'), 'inner-truncated'],
  [
    'a total length beyond the frame',
    ipv4({ ...ENDS, payload: gre({ payload: INNER }), totalLength: 1400 }),
    'outer-header',
  ],
  [
    'a total length within the header',
    ipv4({ ...ENDS, payload: gre({ payload: INNER }), totalLength: 19 }),
    'outer-header',
  ],
  [
    'a header longer than the packet',
    ipv4({ ...ENDS, payload: new Uint8Array(4), headerWords: 15 }),
    'outer-header',
  ],
  [
    'a wrong header checksum',
    ipv4({ ...ENDS, payload: gre({ payload: INNER }), checksum: 0x1234 }),
    'outer-header',
  ],
  [
    'an inner length beyond the packet',
    ipv4({
      ...ENDS,
      payload: gre({
        payload: ipv4({ source: '10.9.0.1', destination: '10.9.0.2', totalLength: 900 }),
      }),
    }),
    'inner-header',
  ],
  ['GRE version 1', ipv4({ ...ENDS, payload: gre({ flags: 1, payload: INNER }) }), 'gre-version'],
  ['padding behind it', Buffer.concat([GOOD, new Uint8Array(40).fill(0xee)]), ''],
];

test('hostile packets on the wire are counted by AF_XDP, each for what it is, and not answered', {
  skip,
}, async () => {
  await withVictim(async ({ wire, b, send, answers }) => {
    let expected: Record<string, number> = {};
    let taken = 0;
    for (const [name, packet, reason] of HOSTILE) {
      send(packet);
      if (reason === '') taken++;
      else expected = { ...expected, [reason]: (expected[reason] ?? 0) + 1 };
      const isCounted = await eventually(async () => {
        const { packets } = (await tunnelStatus(b, TUNNEL)).rx;
        return (
          packets === taken &&
          `${JSON.stringify(sorted(await dropsOf(b)))}` === JSON.stringify(sorted(expected))
        );
      }, 1000);
      assert.ok(isCounted, `${name}: ${JSON.stringify([expected, await dropsOf(b)])}`);
    }
    assert.equal(redirected(wire.namespaces, wire.rB, UNDERLAY), HOSTILE.length);
    // Runts: shorter than Ethernet and IPv4 header, which no program and no router looks at.
    for (const length of [0, 1, 19]) send(GOOD.subarray(0, length));
    assert.equal(redirected(wire.namespaces, wire.rB, UNDERLAY), HOSTILE.length);
    assert.equal((await readStatus(b)).received.underlay, HOSTILE.length);
    assert.deepEqual(answers(), []);
    assert.equal(b.child.exitCode, null);
  });
});

const sorted = (drops: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(drops).sort(([one], [other]) => one.localeCompare(other));

test('thousands of spoiled packets leave AF_XDP alive, each counted exactly once', {
  skip,
}, async (context) => {
  await withVictim(async ({ wire, b, send }) => {
    const seed = Date.now() & 0xffff;
    context.diagnostic(`seed ${seed}`);
    const packets = fc
      .sample(mutated, { numRuns: 8000, seed })
      .filter((bytes) => bytes.length >= 20 && bytes.length <= 1500)
      .filter(([first = 0]) => first >>> 4 !== 6); // the tunnels are over IPv4
    for (const [n, packet] of packets.entries()) {
      const sent = Uint8Array.from(packet);
      // From the peer to us as a rule, whatever else is wrong with it.
      if (n % 8 > 0) {
        sent.set(OUTER.A.split('.').map(Number), 12);
        sent.set(OUTER.B.split('.').map(Number), 16);
      }
      if (n % 3 > 0) {
        sent.set([0, 0], 10);
        const header = sent.subarray(0, Math.min(sent.length, ((sent[0] ?? 0) & 15) * 4));
        new DataView(sent.buffer).setUint16(10, checksumOf(header));
      }
      send(sent);
      if (n % 64 === 63) await sleep(1);
    }
    const status = async (): Promise<{ received: number; counted: number }> => {
      const { received, tunnels: all, drops } = await readStatus(b);
      const lost = (table: Readonly<Record<string, number>>): number =>
        Object.values(table).reduce((sum, count) => sum + count, 0);
      const counted = all.reduce(
        (sum, { rx, drops: own }) => sum + rx.packets + lost(own),
        lost(drops),
      );
      return { received: received.underlay, counted };
    };
    const through = redirected(wire.namespaces, wire.rB, UNDERLAY);
    assert.ok(through > 1000, `${through} went to AF_XDP`);
    assert.ok(await eventually(async () => (await status()).received >= through));
    const { received, counted } = await status();
    assert.equal(counted, received);
    context.diagnostic(`${received} received: ${JSON.stringify(await dropsOf(b))}`);
    assert.doesNotMatch(b.messages(), /fault/);
    send(GOOD);
    assert.ok(await eventually(async () => (await status()).received === received + 1));
    assert.equal(b.child.exitCode, null);
  });
});

function checksumOf(header: Uint8Array): number {
  let sum = 0;
  for (let n = 0; n + 1 < header.length; n += 2) {
    sum += ((header[n] ?? 0) << 8) | (header[n + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
