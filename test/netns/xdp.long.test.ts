// Two routers over AF_XDP, hosts behind them. Which way packets took is counted, so that nothing here can pass
// over raw sockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus } from '../../src/demo/router-process.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  type Lab,
  lacking,
  OUTER,
  ping,
  type Side,
  tunnelStatus,
  UNDERLAY,
  withLab,
  XDP,
} from '../support/lab.js';
import { injectPackets, seeFrames } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';
import {
  assertAlive,
  assertDrops,
  assertNothingDropped,
  assertTransfers,
  introduce,
  PEER,
  plainGre,
  sentBy,
  TUNNEL,
  type TunnelKind,
  tunnelOf,
  tunnelPeer,
} from '../support/traffic.js';
import { FrameWitness, RawWitness, redirected } from '../support/wire-count.js';

const TRANSFER_SIZE = 16 << 20;
const skip = lacking('ping', 'ethtool');

interface Kind extends TunnelKind {
  readonly protocol: number;
  /** Whether the kernel can segment behind its outer header. */
  readonly isSegmented: boolean;
}

const gre4 = (name: string, isSegmented: boolean, ...lines: string[]): Kind => ({
  ...{ name, mode: 'gre', lines, version: 4, protocol: 47, isSegmented },
});
const over6 = (
  name: string,
  mode: string,
  version: 4 | 6,
  protocol: number,
  ...lines: string[]
): Kind => ({ name, mode, lines, version, protocol, isSegmented: true, outer: 6 });
const ethernet = (name: string, mode: string, outer: 4 | 6): Kind => ({
  ...{ name, mode, lines: [], version: 4, protocol: 47 },
  ...{ isSegmented: false, outer, isEthernet: true },
});
const EVERYTHING = ['key = 7', 'csum = true', 'seq = true'];
const PLAIN = gre4('plain GRE', true);
const KINDS: readonly Kind[] = [
  PLAIN,
  gre4('GRE with key', true, 'key = 42'),
  gre4('GRE with checksum', false, 'csum = true'),
  gre4('GRE with key, checksum and sequence', false, ...EVERYTHING),
  { name: 'IPIP', mode: 'ipip', lines: [], version: 4, protocol: 4, isSegmented: true },
  { name: 'SIT', mode: 'sit', lines: [], version: 6, protocol: 41, isSegmented: true },
  ethernet('GRETAP', 'gretap', 4),
  over6('GRE over IPv6', 'ip6gre', 4, 47),
  over6('GRE over IPv6 with key around IPv6', 'ip6gre', 6, 47, 'key = 42'),
  { ...over6('GRE over IPv6 with everything', 'ip6gre', 4, 47, ...EVERYTHING), isSegmented: false },
  over6('IPv4 over IPv6', 'ip4ip6', 4, 4),
  over6('IPv6 over IPv6', 'ip6ip6', 6, 41),
  ethernet('GRETAP over IPv6', 'ip6gretap', 6),
];

/** What sees packets that do not go by AF_XDP, at both ends. */
class Witnesses {
  readonly raw: readonly RawWitness[];
  readonly frames: readonly FrameWitness[];

  constructor({ rA, rB }: Lab, protocol: number, outer: 4 | 6 = 4) {
    this.raw = [rA, rB].map((router) => new RawWitness(router, protocol, outer));
    this.frames = [rA, rB].map((router) => new FrameWitness(router, UNDERLAY, protocol, outer));
  }

  counts(): number[] {
    return [...this.raw, ...this.frames].map((witness) => witness.count());
  }

  close(): void {
    for (const witness of [...this.raw, ...this.frames]) witness.close();
  }
}

/** Pings until both routers know their next hop: from then on nothing has to go by the raw socket. */
async function settle({ rA }: Lab, witnesses: Witnesses, peer: string): Promise<void> {
  const settled = await eventually(async () => {
    const before = witnesses.counts();
    await ping(rA, '-c', '1', '-W', '1', peer);
    return `${witnesses.counts()}` === `${before}`;
  });
  assert.ok(settled, `packets still pass ${witnesses.counts()}`);
}

for (const kind of KINDS) {
  for (const gso of kind.isSegmented ? [true, false] : [true]) {
    const { name, version, protocol, isSegmented, outer = 4 } = kind;
    test(`${name}, gso ${gso ? 'on' : 'off'}: AF_XDP carries every packet, counted once`, {
      skip,
    }, async () => {
      const router = `${XDP}\noffload = { gso = ${gso} }`;
      const ipv6 = version === 6;
      const options = { tunnels: tunnelOf(kind), hosts: true, ipv6, outer, router };
      await withLab('xdp', { ...options, offloads: true }, async (lab) => {
        const { namespaces, rA, rB, a, b } = lab;
        assertAlive(lab);
        if (kind.isEthernet) introduce(lab, version);
        const witnesses = new Witnesses(lab, protocol, outer);
        const peer = tunnelPeer('A', version);
        await settle(lab, witnesses, peer);
        const [rawA, rawB, framesA, framesB] = witnesses.counts();
        await assertAnswered(namespaces, rA, peer);
        await assertAnswered(namespaces, rA, peer, 3000);
        await assertTransfers(lab, { size: TRANSFER_SIZE, version });
        await assertNothingDropped(lab);
        assert.equal((await readStatus(a)).underlay, 'xdp');

        // Every packet that one sent, the program at the other's device gave to its socket.
        const [sentA, sentB] = [await sentBy(a), await sentBy(b)];
        assert.deepEqual(
          [redirected(namespaces, rB, UNDERLAY), redirected(namespaces, rA, UNDERLAY)],
          [sentA, sentB],
        );
        const after = witnesses.counts();
        assert.deepEqual(after.slice(0, 2), [rawA, rawB], 'no raw socket saw any');
        const [superA = 0, superB = 0] = [
          (after[2] ?? 0) - (framesA ?? 0),
          (after[3] ?? 0) - (framesB ?? 0),
        ];
        if (gso && isSegmented) {
          // Superpackets leave by packet sockets; the witness has room for a part of their segments.
          assert.ok(superA > 500 && superB > 500, `${superA} of ${sentA}, ${superB} of ${sentB}`);
        } else {
          assert.deepEqual([superA, superB], [0, 0], 'AF_XDP sent them all');
        }
        witnesses.close();
      });
    });
  }
}

for (const kind of [PLAIN, KINDS[3] as Kind, over6('GRE over IPv6', 'ip6gre', 4, 47)]) {
  test(`${kind.name}: a router over AF_XDP and one over raw sockets understand each other`, {
    skip,
  }, async () => {
    const router = (side: 'A' | 'B'): string => (side === 'A' ? XDP : 'underlay = "raw"');
    const { outer = 4 } = kind;
    const options = { tunnels: tunnelOf(kind), hosts: true, ipv6: false, outer, router };
    await withLab('mixed', options, async (lab) => {
      const { namespaces, rA, rB, a, b } = lab;
      await assertAnswered(namespaces, rB, tunnelPeer('B'), 3000);
      await assertTransfers(lab, { size: TRANSFER_SIZE });
      await assertNothingDropped(lab);
      assert.deepEqual(
        [(await readStatus(a)).underlay, (await readStatus(b)).underlay],
        ['xdp', 'raw'],
      );
      assert.equal(redirected(namespaces, rA, UNDERLAY), await sentBy(b));
    });
  });
}

test('a tunnel without a local address leaves by the IP stack, which fills it in', {
  skip,
}, async () => {
  // Its end of plainGre without the line that says where it is.
  const tunnels = (side: Side): string => plainGre(side).replace(/^local = .*$/m, '');
  await withLab('anywhere', { tunnels, hosts: true, ipv6: false, router: XDP }, async (lab) => {
    const { namespaces, rA } = lab;
    assertAlive(lab);
    await assertAnswered(namespaces, rA, PEER);
    await sleep(300); // by then next hops are known
    await assertAnswered(namespaces, rA, PEER, 3000);
    await assertTransfers(lab, { size: 1 << 20 });
    await assertNothingDropped(lab);
  });
});

test('outer fragments pass to the kernel, which puts them together for the raw socket', {
  skip,
}, async () => {
  const kind = { ...PLAIN, lines: ['pmtudisc = false', 'mtu = 1400'] };
  await withLab('fragment', { tunnels: tunnelOf(kind), ipv6: false, router: XDP }, async (lab) => {
    const { namespaces, rA, rB, b } = lab;
    const witness = new RawWitness(rB);
    // Smaller than the tunnel believes: A sends what is too long by the raw socket, in fragments.
    ip('-n', rA, 'route', 'change', '192.0.2.0/24', 'dev', UNDERLAY, 'src', OUTER.A, 'mtu', '600');
    await sleep(300);
    const before = { raw: witness.count(), redirected: redirected(namespaces, rB, UNDERLAY) };
    const large = ['-c', '3', '-i', '0.2', '-W', '1', '-s', '1200', '-M', 'dont'];
    const { received, output } = await ping(rA, ...large, PEER);
    assert.equal(received, 3, output);
    assert.equal(witness.count() - before.raw, 3);
    assert.equal(redirected(namespaces, rB, UNDERLAY) - before.redirected, 0);
    await assertAnswered(namespaces, rA, PEER, 300);
    assert.equal(redirected(namespaces, rB, UNDERLAY) - before.redirected, 3);
    assert.equal((await tunnelStatus(b, TUNNEL)).rx.packets, 6);
    await assertNothingDropped(lab);
    witness.close();
  });
});

test('what is longer than the way takes is too-big once: its sender is told, and the rest passes', {
  skip,
}, async () => {
  const kind = { ...PLAIN, lines: ['mtu = 1500'] };
  const options = { tunnels: tunnelOf(kind), hosts: true, ipv6: false, router: XDP };
  await withLab('long', options, async (lab) => {
    const { namespaces, rA } = lab;
    await assertAnswered(namespaces, rA, PEER);
    await sleep(300);
    const long = await ping(rA, '-c', '3', '-i', '0.2', '-W', '1', '-s', '1472', PEER);
    assert.equal(long.received, 2, long.output);
    await assertDrops(lab, { 'too-big': 1 }, {});
    const fits = await ping(rA, '-c', '3', '-i', '0.2', '-s', '1448', PEER);
    assert.equal(fits.received, 3);
    await assertDrops(lab, { 'too-big': 1 }, {});
  });
});

test('strangers pass to the kernel, are counted at the raw socket, and get no answer', {
  skip,
}, async () => {
  await withLab('stranger', { tunnels: plainGre, ipv6: false, router: XDP }, async (lab) => {
    const { namespaces, rA, rB, b } = lab;
    await assertAnswered(namespaces, rA, PEER);
    const seen = await seeFrames(namespaces, rB, UNDERLAY);
    const witness = new RawWitness(rB);
    const before = redirected(namespaces, rB, UNDERLAY);
    const inner = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 });
    const stranger = ipv4({
      ...{ source: '192.0.2.99', destination: OUTER.B, protocol: 47, identification: 1 },
      payload: gre({ payload: inner }),
    });
    injectPackets(namespaces, rA, [stranger, stranger, stranger]);
    assert.ok(await eventually(async () => (await dropsOf(b))['no-tunnel'] === 3));
    assert.equal(witness.count(), 3);
    assert.equal(redirected(namespaces, rB, UNDERLAY), before);
    await assertAnswered(namespaces, rA, PEER);
    assert.deepEqual(await dropsOf(b), { 'no-tunnel': 3 });
    const answers = seen.filter(
      (frame) => frame.slice(24, 28) === '0800' && frame.slice(52, 60) === 'c0000202',
    );
    const isAnswer = (frame: string): boolean => frame.slice(46, 48) !== '2f';
    assert.deepEqual(answers.filter(isAnswer), [], 'no ICMP');
    assert.ok(seen.length >= 3, 'the watcher saw the strangers');
    witness.close();
  });
});
