// grebe against the tunnel drivers of a real Linux kernel: ip_gre, ipip, sit, ip6_gre, ip6_tunnel and fou of a guest
// under QEMU.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { fetchStatus } from '../../src/control/client.js';
import type { RouterProcess } from '../../src/demo/router-process.js';
import type { RouterStatus, TunnelStatus } from '../../src/router/contract.js';
import { eventually } from '../support/lab.js';
import {
  DEVICE,
  type KernelCounters,
  type KernelLab,
  kernelEnds,
  openKernelLab,
  TRANSFER_SIZE,
} from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

interface Pairing {
  readonly title: string;
  /** Lines of the tunnel's table in grebe's config. */
  readonly grebe: string;
  /** Words after `ip link add NAME type`. */
  readonly kernel: string;
  readonly carries: readonly ('ipv4' | 'ipv6')[];
  /** Version of the outer header; default 4. */
  readonly outer?: 4 | 6;
  /** Whether the kernel's receive offload merges such packets; it leaves numbered ones alone. */
  readonly merges: boolean;
  /**
   * The kernel leaves GRE checksums to the network card. On an underlay within one machine no card fills
   * them in, and a raw socket cannot tell a missing checksum from a wrong one.
   */
  readonly checksum?: boolean;
  /**
   * False: the guest must not merge what it receives. Its Linux 6.1 drops most of what its own receive offload made of
   * GRE over fou (Udp InErrors).
   */
  readonly guestMerges?: boolean;
}

interface Ends {
  readonly grebe: string;
  readonly kernel: string;
}

const INNER: Record<'ipv4' | 'ipv6', Ends & { readonly bits: number }> = {
  ipv4: { grebe: '10.9.0.1', kernel: '10.9.0.2', bits: 24 },
  ipv6: { grebe: 'fd00:9::1', kernel: 'fd00:9::2', bits: 64 },
};

const PLAIN_GRE: Pairing = {
  title: 'gre',
  grebe: 'mode = "gre"',
  kernel: 'gre',
  carries: ['ipv4', 'ipv6'],
  merges: true,
};

const PAIRINGS: readonly Pairing[] = [
  PLAIN_GRE,
  {
    title: 'gre with key, checksum and sequence',
    grebe: 'mode = "gre"\nkey = 42\ncsum = true\nseq = true',
    kernel: 'gre key 42 csum seq',
    carries: ['ipv4', 'ipv6'],
    merges: false,
    checksum: true,
  },
  {
    title: 'gre with a key of its own each way',
    grebe: 'mode = "gre"\nkey = { in = 1, out = 4294967295 }',
    kernel: 'gre ikey 4294967295 okey 1',
    carries: ['ipv4', 'ipv6'],
    merges: true,
  },
  // A socket that merges datagrams tells where they were, so each still counts.
  {
    title: 'gre-udp',
    grebe: 'mode = "gre-udp"',
    kernel: 'gre encap fou encap-sport auto encap-dport 4754',
    carries: ['ipv4', 'ipv6'],
    merges: false,
    guestMerges: false,
  },
  {
    title: 'gre-udp with key, sequence and UDP checksum',
    grebe: 'mode = "gre-udp"\nkey = 42\nseq = true',
    // One port: the kernel's receive offload lets flows overtake each other.
    kernel: 'gre key 42 seq encap fou encap-sport 50000 encap-dport 4754 encap-csum',
    carries: ['ipv4', 'ipv6'],
    merges: false,
  },
  { title: 'ipip', grebe: 'mode = "ipip"', kernel: 'ipip', carries: ['ipv4'], merges: true },
  { title: 'sit', grebe: 'mode = "sit"', kernel: 'sit', carries: ['ipv6'], merges: true },
  {
    title: 'gretap with a key',
    grebe: 'mode = "gretap"\nkey = 42',
    kernel: 'gretap key 42',
    carries: ['ipv4', 'ipv6'],
    merges: true,
  },
  {
    title: 'ip6gre',
    grebe: 'mode = "ip6gre"',
    kernel: 'ip6gre encaplimit none',
    carries: ['ipv4', 'ipv6'],
    outer: 6,
    merges: true,
  },
  {
    title: 'ip6gre with key, checksum, sequence and an encapsulation limit',
    grebe: 'mode = "ip6gre"\nkey = 42\ncsum = true\nseq = true\nencaplimit = 4',
    kernel: 'ip6gre key 42 csum seq',
    carries: ['ipv4', 'ipv6'],
    outer: 6,
    merges: false,
    checksum: true,
  },
  {
    title: 'ip6gretap with a key',
    grebe: 'mode = "ip6gretap"\nkey = 42',
    kernel: 'ip6gretap key 42 encaplimit none',
    carries: ['ipv4', 'ipv6'],
    outer: 6,
    merges: true,
  },
  {
    title: 'ip6ip6',
    grebe: 'mode = "ip6ip6"',
    kernel: 'ip6tnl mode ip6ip6 encaplimit none',
    carries: ['ipv6'],
    outer: 6,
    merges: true,
  },
  {
    title: 'ip6ip6 with an encapsulation limit',
    grebe: 'mode = "ip6ip6"\nencaplimit = 4',
    kernel: 'ip6tnl mode ip6ip6',
    carries: ['ipv6'],
    outer: 6,
    merges: true,
  },
  {
    title: 'ip4ip6',
    grebe: 'mode = "ip4ip6"',
    kernel: 'ip6tnl mode ipip6 encaplimit none',
    carries: ['ipv4'],
    outer: 6,
    merges: true,
  },
  {
    title: 'gre-udp over IPv6',
    grebe: 'mode = "gre-udp"',
    kernel: 'ip6gre encaplimit none encap fou encap-sport auto encap-dport 4754',
    carries: ['ipv4', 'ipv6'],
    outer: 6,
    merges: false,
    guestMerges: false,
  },
];

const PING_COUNT = 5;
/** One fits a packet, the other takes three inner fragments. */
const PING_SIZES = [56, 3000];
/** Counters are read until two readings agree. */
const SETTLE_MS = 30;
const SETTLE_READINGS = 20;
/** An emulated peer is slow on a busy machine. */
const PATIENCE_MS = 30_000;

describe('with a Linux kernel as peer', { skip: missingForKernelPeer() ?? false }, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
  });
  after(() => lab?.close());

  for (const pairing of PAIRINGS) {
    describe(pairing.title, () => {
      let tunnel: OpenTunnel;
      before(async () => {
        tunnel = await openTunnel(lab, pairing);
      });
      after(() => tunnel?.close());

      test('both sides come to the same MTU', async () => {
        const { kernel, grebe } = await settle(lab, tunnel.router);
        assert.equal(grebe.mtu, kernel.mtu);
      });

      test('pings of one packet and of fragments are answered both ways, all counted', async () => {
        const first = await settle(lab, tunnel.router);
        for (const ends of endsOf(pairing)) {
          for (const size of PING_SIZES) await pingBothWays(lab, ends, size);
        }
        const { kernel, grebe } = await settle(lab, tunnel.router);
        assert.equal(grebe.rx.packets - first.grebe.rx.packets, kernel.tx - first.kernel.tx);
        assert.equal(grebe.tx.packets - first.grebe.tx.packets, kernel.rx - first.kernel.rx);
      });

      for (const offloads of pairing.checksum ? (['off'] as const) : (['off', 'on'] as const)) {
        test(`TCP arrives whole both ways, underlay offloads ${offloads}`, async () => {
          lab.setOffloads(offloads);
          for (const ends of endsOf(pairing)) {
            await lab.transferFromKernel(ends.kernel);
            await lab.transferToKernel(ends.kernel);
          }
          await settle(lab, tunnel.router);
        });
      }

      test('TCP arrives whole although the network card merges its packets', async () => {
        lab.setOffloads('merging');
        const first = await settle(lab, tunnel.router);
        for (const ends of endsOf(pairing)) await lab.transferFromKernel(ends.kernel);
        const { grebe } = await settle(lab, tunnel.router);
        // A packet cannot hold more than the MTU, so fewer packets than this were merged ones.
        const fewest = (endsOf(pairing).length * TRANSFER_SIZE) / grebe.mtu;
        const packets = grebe.rx.packets - first.grebe.rx.packets;
        assert.equal(packets < fewest, pairing.merges, `${packets} packets`);
      });
    });
  }

  for (const title of ['gre', 'ipip', 'sit']) {
    test(`a probe through ${title} is answered until the kernel's device goes`, async () => {
      const pairing = PAIRINGS.find((one) => one.title === title);
      assert.ok(pairing);
      const [ends] = endsOf(pairing);
      const probe = `probe = { target = "${ends?.kernel}", interval = "200ms", count = 5 }`;
      const asking = { ...pairing, grebe: `${pairing.grebe}\n${probe}` };
      await withTunnel(lab, asking, async (router) => {
        await reaches(router, ({ state, localPackets }) => state === 'up' && localPackets >= 3);
        await settle(lab, router);
        await lab.peer.ask(`ip link set ${DEVICE} down`);
        await reaches(router, ({ downReason }) => downReason === 'probe');
      });
    });
  }

  test('a kernel that forwards sends keepalives back, as any router does', async () => {
    const keepalive = 'keepalive = { interval = "200ms", count = 5 }';
    const asking = { ...gre('key 42'), grebe: `mode = "gre"\nkey = 42\n${keepalive}` };
    // To it they are martians: packets from another host that have its own address for their source.
    const set = (name: string, value: number) => `echo ${value} > /proc/sys/net/ipv4/${name}`;
    const open = [
      ...[set('ip_forward', 1), set('conf/all/accept_local', 1)],
      ...[set(`conf/${DEVICE}/rp_filter`, 0), set('conf/all/rp_filter', 0)],
    ];
    await withTunnel(lab, asking, async (router) => {
      await lab.peer.ask(open.join(' && '));
      try {
        await reaches(router, ({ state, localPackets }) => state === 'up' && localPackets >= 3);
        await lab.peer.ask(set('ip_forward', 0));
        await reaches(router, ({ downReason }) => downReason === 'keepalive');
      } finally {
        await lab.peer.ask([set('ip_forward', 0), set('conf/all/accept_local', 0)].join(' && '));
      }
    });
  });

  test('a multicast ping crosses gre both ways and every router answers', async () => {
    await withTunnel(lab, gre(''), async (router) => {
      const words = ['ping', '-q', '-c', '3', '-i', '0.05', '-I', DEVICE];
      for (const group of ['224.0.0.1', 'ff02::1']) {
        // Each side answers its own pings too: the answers of the other are the duplicates.
        for (const report of [
          await lab.command('busybox', ...words, group),
          await lab.peer.ask([...words, group].join(' ')),
        ]) {
          assertAnswered(report, 3);
          assert.match(report, /[1-3] duplicates/);
        }
      }
      await settle(lab, router);
    });
  });

  test('a wrong key from the kernel is counted no-tunnel and never answered', async () => {
    await withTunnel(lab, { ...gre('key 99'), grebe: 'mode = "gre"\nkey = 42' }, async (router) => {
      const before = await lab.peer.ask('grep Icmp: /proc/net/snmp');
      const ping = await lab.peer.run(`ping -q -c 3 -i 0.05 -W 1 ${INNER.ipv4.grebe}`);
      assert.match(ping.output, /3 packets transmitted, 0 packets received/);
      const after = await lab.peer.ask('grep Icmp: /proc/net/snmp');
      assert.equal(icmpReceived(after), icmpReceived(before));

      const { grebe, drops, kernel } = await readCounters(lab, router);
      assert.deepEqual(drops, { 'no-tunnel': kernel.tx });
      assert.deepEqual(grebe.drops, {});
      assert.equal(grebe.rx.packets, 0);
    });
  });
});

/** Waits until the tunnel's status is as it has to be. */
async function reaches(
  router: RouterProcess,
  isThere: (tunnel: TunnelStatus) => boolean,
): Promise<void> {
  const read = async (): Promise<TunnelStatus> => tunnelOf(await fetchStatus(router.socket));
  const isReached = await eventually(async () => isThere(await read()), PATIENCE_MS);
  assert.ok(isReached, `it stays ${JSON.stringify(await read())}`);
}

/** Plain GRE; `words` go to the kernel's side. */
function gre(words: string): Pairing {
  return { ...PLAIN_GRE, kernel: `gre ${words}` };
}

function endsOf(pairing: Pairing): Ends[] {
  return pairing.carries.map((version) => INNER[version]);
}

interface OpenTunnel {
  readonly router: RouterProcess;
  close(): Promise<void>;
}

/** Makes both sides of one tunnel, grebe's first: what the kernel sends is counted from its first packet. */
async function openTunnel(lab: KernelLab, pairing: Pairing): Promise<OpenTunnel> {
  const inner = pairing.carries.map((version) => INNER[version]);
  lab.setOffloads('off');
  await lab.setGuestMerging(pairing.guestMerges ?? true);
  await lab.requireWire();
  const router = await lab.startGrebe(
    pairing.grebe,
    inner.map(({ grebe, bits }) => `${grebe}/${bits}`),
    pairing.outer,
  );
  const close = async () => {
    await lab.deleteKernelTunnel();
    await lab.stopGrebe(router);
  };
  try {
    await lab.addKernelTunnel(
      pairing.kernel,
      inner.map(({ kernel, bits }) => `${kernel}/${bits}`),
      kernelEnds(pairing.outer ?? 4),
    );
    return { router, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function withTunnel(
  lab: KernelLab,
  pairing: Pairing,
  body: (router: RouterProcess) => Promise<void>,
): Promise<void> {
  const tunnel = await openTunnel(lab, pairing);
  try {
    await body(tunnel.router);
  } finally {
    await tunnel.close();
  }
}

async function pingBothWays(lab: KernelLab, ends: Ends, size: number): Promise<void> {
  const words = ['ping', '-q', '-c', `${PING_COUNT}`, '-i', '0.05', '-W', '2', '-s', `${size}`];
  assertAnswered(await lab.command('busybox', ...words, ends.kernel), PING_COUNT);
  assertAnswered(await lab.peer.ask([...words, ends.grebe].join(' ')), PING_COUNT);
}

function assertAnswered(report: string, count: number): void {
  const [, sent, received] = /(\d+) packets transmitted, (\d+) packets received/.exec(report) ?? [];
  assert.deepEqual([Number(sent), Number(received)], [count, count], report);
}

/**
 * Reads the counters of both sides once they stand still, and asserts that nothing was lost or wrong. The
 * kernel counts a superpacket once, so packets are comparable only where there was no bulk TCP.
 */
async function settle(
  lab: KernelLab,
  router: RouterProcess,
): Promise<{ kernel: KernelCounters; grebe: TunnelStatus }> {
  let last = await readCounters(lab, router);
  for (let reading = 1; reading < SETTLE_READINGS; reading++) {
    await delay(SETTLE_MS);
    const next = await readCounters(lab, router);
    if (isDeepStrictEqual(next, last)) break;
    last = next;
  }
  assert.deepEqual(last.kernel.errors, {}, 'the kernel counted errors');
  assert.deepEqual(last.grebe.drops, {}, 'grebe dropped packets of the tunnel');
  assert.deepEqual(last.drops, {}, 'grebe dropped packets of no tunnel');
  return last;
}

async function readCounters(lab: KernelLab, router: RouterProcess) {
  const kernel = await lab.kernelCounters();
  const status = await fetchStatus(router.socket);
  return { kernel, grebe: tunnelOf(status), drops: status.drops };
}

function tunnelOf(status: RouterStatus): TunnelStatus {
  const tunnel = status.tunnels.find(({ name }) => name === DEVICE);
  assert.ok(tunnel, 'the tunnel is in the status');
  return tunnel;
}

/** The first number of the second line of `Icmp:` in /proc/net/snmp: messages received. */
function icmpReceived(snmp: string): string | undefined {
  return snmp.split('\n')[1]?.split(' ')[1];
}
