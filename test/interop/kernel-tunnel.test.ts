// grebe against the tunnel drivers of a real Linux kernel: ip_gre, ipip and sit of a guest under QEMU.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type RouterProcess, readStatus, type Status } from '../../src/demo/router-process.js';
import {
  DEVICE,
  type KernelCounters,
  type KernelLab,
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
  /** Whether the kernel's receive offload merges such packets; it leaves numbered ones alone. */
  readonly merges: boolean;
}

type TunnelStatus = Status['tunnels'][number];

interface Ends {
  readonly grebe: string;
  readonly kernel: string;
}

const INNER: Record<'ipv4' | 'ipv6', Ends & { readonly bits: number }> = {
  ipv4: { grebe: '10.9.0.1', kernel: '10.9.0.2', bits: 24 },
  ipv6: { grebe: 'fd00:9::1', kernel: 'fd00:9::2', bits: 64 },
};

const PAIRINGS: readonly Pairing[] = [
  {
    title: 'gre',
    grebe: 'mode = "gre"',
    kernel: 'gre',
    carries: ['ipv4', 'ipv6'],
    merges: true,
  },
  {
    title: 'gre with key, checksum and sequence',
    grebe: 'mode = "gre"\nkey = 42\ncsum = true\nseq = true',
    kernel: 'gre key 42 csum seq',
    carries: ['ipv4', 'ipv6'],
    merges: false,
  },
  {
    title: 'gre with a key of its own each way',
    grebe: 'mode = "gre"\nkey = { in = 1, out = 4294967295 }',
    kernel: 'gre ikey 4294967295 okey 1',
    carries: ['ipv4', 'ipv6'],
    merges: true,
  },
  { title: 'ipip', grebe: 'mode = "ipip"', kernel: 'ipip', carries: ['ipv4'], merges: true },
  { title: 'sit', grebe: 'mode = "sit"', kernel: 'sit', carries: ['ipv6'], merges: true },
];

const PING_COUNT = 5;
/** One fits a packet, the other takes three inner fragments. */
const PING_SIZES = [56, 3000];
/** Counters are read until two readings agree. */
const SETTLE_MS = 30;
const SETTLE_READINGS = 20;

describe('with a Linux kernel as peer', { skip: missingForKernelPeer() ?? false }, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
  });
  after(() => lab?.close());

  for (const pairing of PAIRINGS) {
    test(`${pairing.title} carries pings both ways and both sides count every packet`, async (t) => {
      t.diagnostic(`Linux ${lab.peer.release}, booted in ${Math.round(lab.peer.bootMs)} ms`);
      await withTunnel(lab, pairing, async (router) => {
        for (const ends of endsOf(pairing)) {
          for (const size of PING_SIZES) await pingBothWays(lab, ends, size);
        }
        const { kernel, grebe } = await settle(lab, router);
        assert.equal(grebe.rx.packets, kernel.tx);
        assert.equal(grebe.tx.packets, kernel.rx);
      });
    });

    for (const offloads of ['as they are', 'off'] as const) {
      test(`${pairing.title} carries TCP both ways, underlay offloads ${offloads}`, async () => {
        await withTunnel(lab, pairing, async (router) => {
          await lab.setOffloads(offloads);
          for (const ends of endsOf(pairing)) {
            await lab.transferFromKernel(ends.kernel);
            await lab.transferToKernel(ends.kernel);
          }
          await settle(lab, router);
        });
      });
    }

    test(`${pairing.title} carries TCP whose packets the network card merged`, async () => {
      await withTunnel(lab, pairing, async (router) => {
        await lab.setOffloads('merging');
        for (const ends of endsOf(pairing)) await lab.transferFromKernel(ends.kernel);
        const { grebe } = await settle(lab, router);
        // A packet cannot hold more than the MTU, so fewer packets than this were merged ones.
        const fewest = (endsOf(pairing).length * TRANSFER_SIZE) / grebe.mtu;
        assert.equal(grebe.rx.packets < fewest, pairing.merges, `${grebe.rx.packets} packets`);
        for (const ends of endsOf(pairing)) await lab.transferToKernel(ends.kernel);
        await settle(lab, router);
      });
    });
  }

  test('a multicast ping crosses gre both ways and every router answers', async () => {
    await withTunnel(lab, gre(''), async (router) => {
      const words = ['ping', '-q', '-c', '3', '-i', '0.05', '-I', DEVICE];
      for (const group of ['224.0.0.1', 'ff02::1']) {
        // Each side answers its own too, so at least as many answers as requests come.
        assertAnswered(await lab.command('busybox', ...words, group), 3);
        assertAnswered(await lab.peer.ask([...words, group].join(' ')), 3);
      }
      await settle(lab, router);
    });
  });

  test('a wrong key from the kernel is counted no-tunnel and never answered', async () => {
    const pairing = { ...gre('key 99'), grebe: 'mode = "gre"\nkey = 42' };
    await withTunnel(lab, pairing, async (router) => {
      const before = await lab.peer.ask('grep Icmp: /proc/net/snmp');
      const ping = await lab.peer.run(`ping -q -c 3 -i 0.05 -W 1 ${INNER.ipv4.grebe}`);
      assert.match(ping.output, /3 packets transmitted, 0 packets received/);
      const after = await lab.peer.ask('grep Icmp: /proc/net/snmp');
      assert.deepEqual(icmpReceived(after), icmpReceived(before));

      const { tx } = await lab.kernelCounters();
      const status = readStatus(router);
      assert.deepEqual(status.drops, { 'no-tunnel': tx });
      assert.deepEqual(tunnelOf(status).drops, {});
      assert.equal(tunnelOf(status).rx.packets, 0);
    });
  });
});

/** Plain GRE; `words` go to the kernel's side. */
function gre(words: string): Pairing {
  const title = 'gre';
  return { title, grebe: 'mode = "gre"', kernel: `gre ${words}`, carries: ['ipv4'], merges: true };
}

function endsOf(pairing: Pairing): Ends[] {
  return pairing.carries.map((version) => INNER[version]);
}

/** Both sides of one tunnel for as long as `body` runs, on an underlay as the kernel makes it. */
async function withTunnel(
  lab: KernelLab,
  pairing: Pairing,
  body: (router: RouterProcess) => Promise<void>,
): Promise<void> {
  const inner = pairing.carries.map((version) => INNER[version]);
  await lab.setOffloads('as they are');
  const router = await lab.startGrebe(
    pairing.grebe,
    inner.map(({ grebe, bits }) => `${grebe}/${bits}`),
  );
  try {
    await lab.addKernelTunnel(
      pairing.kernel,
      inner.map(({ kernel, bits }) => `${kernel}/${bits}`),
    );
    await body(router);
  } finally {
    await lab.deleteKernelTunnel();
    await lab.stopGrebe(router);
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
  const status = readStatus(router);
  return { kernel, grebe: tunnelOf(status), drops: status.drops };
}

function tunnelOf(status: Status): TunnelStatus {
  const tunnel = status.tunnels.find(({ name }) => name === DEVICE);
  assert.ok(tunnel, 'the tunnel is in the status');
  return tunnel;
}

/** The first number of the second line of `Icmp:` in /proc/net/snmp: messages received. */
function icmpReceived(snmp: string): string | undefined {
  return snmp.split('\n')[1]?.split(' ')[1];
}
