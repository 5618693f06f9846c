// Whether the peer is there: keepalives both ways, probes, and answers to peers that ask, on real devices.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import { assertAccounted } from '../support/accounted.js';
import {
  eventually,
  GREBE,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  tunnelTable6,
  withLab,
  XDP,
} from '../support/lab.js';
import { withLoneRouter } from '../support/lone-router.js';
import { gre, hex, ipv4 } from '../support/packets.js';

/** More than any machine needs. */
const PATIENCE_MS = 20_000;
const GRE = 47;
const NOTHING = { packets: 0, bytes: 0 };

const address = (side: Side): string => `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`;

async function becomes(router: RouterProcess, name: string, state: 'up' | 'down'): Promise<void> {
  const is = async (): Promise<boolean> => (await tunnelStatus(router, name)).state === state;
  const shown = async (): Promise<string> => JSON.stringify(await tunnelStatus(router, name));
  assert.ok(await eventually(is, PATIENCE_MS), `${name} does not go ${state}: ${await shown()}`);
}

/** Whether the kernel says of a device that its cable is in. */
function hasCarrier(namespace: string, device: string): boolean {
  const [link] = JSON.parse(ip('-n', namespace, '-j', 'link', 'show', 'dev', device));
  return !link.flags.includes('NO-CARRIER');
}

test('keepalives both ways: a peer that hangs is down, its device without carrier, and comes back', {
  skip: lacking(),
}, async () => {
  const tunnels = (side: Side): string =>
    tunnelTable(
      'gre1',
      side,
      ...['mode = "gre"', 'key = { in = 7, out = 7 }', 'csum = true', address(side)],
      'keepalive = { interval = "100ms", count = 3 }',
    );
  await withLab('keepalive', { tunnels, ipv6: false }, async ({ rA, a, b }) => {
    const answered = async (router: RouterProcess): Promise<boolean> =>
      // Half of them asked by the peer, half answers.
      (await tunnelStatus(router, 'gre1')).localPackets >= 10;
    for (const router of [a, b]) assert.ok(await eventually(() => answered(router), PATIENCE_MS));
    assert.equal((await tunnelStatus(a, 'gre1')).state, 'up');
    assert.equal(hasCarrier(rA, 'gre1'), true);

    for (const answers of [1, 2]) {
      b.child.kill('SIGSTOP');
      try {
        await becomes(a, 'gre1', 'down');
      } finally {
        if (answers > 1) b.child.kill('SIGCONT');
      }
      if (answers === 1) {
        const status = await tunnelStatus(a, 'gre1');
        assert.equal(status.downReason, 'keepalive');
        assert.ok(status.lastReceivedMs !== null);
        assert.ok(await eventually(() => !hasCarrier(rA, 'gre1')));
        assert.match(ip('-n', rA, 'route', 'show', 'dev', 'gre1'), /linkdown/);
        const shown = spawnSync(process.execPath, [GREBE, 'status', '--socket', a.socket]);
        assert.equal(shown.status, 3);
        assert.match(String(shown.stdout), /down \(keepalive\)/);
        b.child.kill('SIGCONT');
      }
      await becomes(a, 'gre1', 'up');
      await becomes(b, 'gre1', 'up');
      assert.ok(await eventually(() => hasCarrier(rA, 'gre1')));
      const cost = answers === 1 ? 'one answer' : '2 answers in a row';
      assert.match(a.messages(), new RegExp(`gre1 is down: 3 of its keepalives.*${cost}`));
    }
    await assertAccounted(a, b);
    for (const router of [a, b]) {
      const { rx, tx, drops } = await tunnelStatus(router, 'gre1');
      assert.deepEqual(rx, { packets: 0, bytes: 0 });
      assert.deepEqual(drops, {});
      assert.ok(tx.packets > 0);
    }
  });
});

/** Ways to the wire that keepalives are to find their way by, besides raw sockets over IPv4. */
const WAYS = [
  { what: 'AF_XDP and two lanes', outer: 4, router: `${XDP}\nlanes = 2` },
  { what: 'IPv6', outer: 6, router: '' },
] as const;

for (const { what, outer: version, router } of WAYS) {
  test(`keepalives over ${what} are answered, and answers count`, { skip: lacking() }, async () => {
    const lines = ['keepalive = { interval = "100ms", count = 5 }', 'allow = ["any"]'];
    const tunnels = (side: Side): string =>
      version === 4
        ? tunnelTable('gre1', side, 'mode = "gre"', ...lines)
        : tunnelTable6('gre1', side, 'mode = "ip6gre"', ...lines);
    const options = { tunnels, router, ipv6: false, outer: version };
    await withLab('ways', options, async ({ a, b }) => {
      for (const one of [a, b]) {
        const isAnswered = async (): Promise<boolean> =>
          (await tunnelStatus(one, 'gre1')).localPackets >= 12;
        assert.ok(await eventually(isAnswered, PATIENCE_MS));
      }
      await assertAccounted(a, b);
      for (const one of [a, b]) {
        const { state, drops, rx } = await tunnelStatus(one, 'gre1');
        assert.deepEqual({ state, drops, rx }, { state: 'up', drops: {}, rx: NOTHING });
      }
    });
  });
}

test('probes of both versions: a peer whose device goes is down, and comes back with it', {
  skip: lacking(),
}, async () => {
  const tunnels = (side: Side): string => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const probe = (target: string): string =>
      side === 'A' ? `probe = { target = "${target}", interval = "100ms", count = 3 }` : '';
    return [
      tunnelTable('ipip1', side, 'mode = "ipip"', address(side), probe(`10.9.0.${theirs}`)),
      tunnelTable(
        'sit1',
        side,
        ...['mode = "sit"', `address = ["fd00:9::${ours}/64"]`, probe(`fd00:9::${theirs}`)],
      ),
    ].join('\n');
  };
  await withLab('probe', { tunnels }, async ({ rA, rB, a, b }) => {
    for (const name of ['ipip1', 'sit1']) {
      const answered = async (): Promise<boolean> =>
        (await tunnelStatus(a, name)).localPackets >= 5;
      assert.ok(await eventually(answered, PATIENCE_MS), name);
      assert.equal((await tunnelStatus(a, name)).state, 'up');
      ip('-n', rB, 'link', 'set', 'dev', name, 'down');
      await becomes(a, name, 'down');
      assert.equal((await tunnelStatus(a, name)).downReason, 'probe');
      assert.ok(await eventually(() => !hasCarrier(rA, name)));
      ip('-n', rB, 'link', 'set', 'dev', name, 'up');
      // The kernel takes the IPv6 addresses of a device that goes down.
      if (name === 'sit1') {
        ip('-n', rB, 'address', 'replace', 'fd00:9::2/64', 'dev', name, 'nodad');
      }
      await becomes(a, name, 'up');
      assert.ok(await eventually(() => hasCarrier(rA, name)));
    }
    assert.equal((await tunnelStatus(b, 'ipip1')).localPackets, 0);
    await assertAccounted(a, b);
  });
});

/** B's tunnels to a peer that is this test: frames are made and compared by hand. */
const RESPONDER = [
  tunnelTable('gre1', 'B', 'mode = "gre"', 'address = ["10.9.0.2/24"]', 'reflect = true'),
  tunnelTable('gre2', 'B', 'mode = "gre"', 'key = 42', 'allow = ["any"]'),
].join('\n');

/** The IPv4 packets among frames: kernels also ask for each other's hardware address. */
function packetsOf(frames: readonly Uint8Array[]): Uint8Array[] {
  const isIpv4 = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0;
  return frames.filter(isIpv4).map((frame) => Uint8Array.from(frame.subarray(14)));
}

function outer(payload: Uint8Array): Uint8Array {
  return ipv4({
    ...{ source: OUTER.A, destination: OUTER.B, protocol: GRE, identification: 1 },
    payload,
  });
}

test('a keepalive of Cisco’s is sent back byte for byte; with a wrong key it is nobody’s', {
  skip: lacking(),
}, async () => {
  await withLoneRouter('responder', RESPONDER, '', async ({ send, answers, b }) => {
    const asked = (key: number | undefined, ttl: number): Uint8Array =>
      ipv4({
        ...{ source: OUTER.B, destination: OUTER.A, protocol: GRE, ttl, identification: 7 },
        payload: gre({ protocol: 0, ...(key === undefined ? {} : { key }) }),
      });
    send(outer(gre({ payload: asked(undefined, 255) })));
    send(outer(gre({ key: 42, checksum: true, payload: asked(42, 64) })));
    send(outer(gre({ key: 43, payload: asked(43, 64) })));
    send(outer(gre({ payload: asked(undefined, 1) })));
    send(outer(hex('0000 0000'))); // answers nothing that was asked
    const isThere = async (): Promise<boolean> => (await readStatus(b)).received.underlay === 5;
    assert.ok(await eventually(isThere));
    const sent = packetsOf(answers());
    assert.deepEqual(sent, [asked(undefined, 254), asked(42, 63)]);

    const status = await readStatus(b);
    assert.deepEqual(status.drops, { 'no-tunnel': 1 });
    assert.equal(status.generated, 2);
    const [plain, keyed] = status.tunnels;
    assert.equal(plain?.localPackets, 1);
    assert.deepEqual(plain?.drops, { 'inner-ttl': 1, 'unknown-protocol': 1 });
    assert.deepEqual(plain?.tx, { packets: 1, bytes: 24 });
    assert.equal(keyed?.localPackets, 1);
    assert.deepEqual(keyed?.drops, {});
    await assertAccounted(b);
  });
});

test('an echo reply that claims our own address goes back into the tunnel', {
  skip: lacking(),
}, async () => {
  await withLoneRouter('reflect', RESPONDER, '', async ({ send, answers, b }) => {
    const payload = hex('0000 1234 0001 0001 6162');
    const check = { source: '10.9.0.2', destination: '172.64.240.1', protocol: 1, payload };
    send(outer(gre({ payload: ipv4(check) })));
    const isBack = async (): Promise<boolean> => (await tunnelStatus(b, 'gre1')).tx.packets === 1;
    assert.ok(await eventually(isBack));
    const [packet, ...more] = packetsOf(answers());
    assert.deepEqual(more, []);
    const back = ipv4({ ...check, ttl: 63 });
    assert.deepEqual(packet?.subarray(24), back);
    const { rx, tx, localPackets, drops } = await tunnelStatus(b, 'gre1');
    assert.deepEqual(
      { rx, tx, localPackets, drops },
      {
        rx: { packets: 0, bytes: 0 },
        tx: { packets: 1, bytes: back.length },
        localPackets: 1,
        drops: {},
      },
    );
  });
});
