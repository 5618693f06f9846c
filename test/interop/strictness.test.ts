// The odd packets of test/reference/strictness-rows.ts, sent to a Linux kernel: it does with each what its row says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { outerVersion } from '../../src/packet/tunnel.js';
import {
  packetsOf,
  RECEIVE_ROWS,
  type ReceiveRow,
  receiverOf,
  SEND_ROWS,
  type SendRow,
} from '../reference/strictness-rows.js';
import { DEVICE, type KernelLab, kernelEnds, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

/** Where the packets of rows that send go: the guest is a router on the way, the tunnel the rest of it. */
const BEHIND = '2001:db8:b::/48';
const GUEST6 = '2001:db8::2';

/** The tunnel without a key that takes packets from anyone to anyone: the driver makes it, and no second one. */
const FALLBACK = 'gre0';

describe('odd packets and a Linux kernel', { skip: missingForKernelPeer() ?? false }, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
  });
  after(() => lab?.close());

  for (const row of RECEIVE_ROWS) {
    test(`${row.packet}: ${row.kernel}`, async () => {
      const packets = packetsOf(row);
      const device = await openKernelTunnel(lab, row);
      try {
        if (packets.length > 1) await lab.inject(packets.slice(0, -1));
        const first = await lab.kernelCounters(device);
        await lab.inject(packets.slice(-1));
        const { rx, errors } = await lab.kernelCounters(device);
        assert.equal(rx - first.rx, row.kernel === 'accept' ? 1 : 0);
        assert.deepEqual(Object.keys(errors).sort(), errorsOf(row));
      } finally {
        await closeKernelTunnel(lab, device);
      }
    });
  }

  for (const row of SEND_ROWS) {
    test(`${row.packet}: ${row.kernel}`, async () => {
      await lab.command('ip', '-6', 'route', 'replace', BEHIND, 'via', GUEST6);
      const outer = outerVersion(row.tunnel.mode) === 6 ? 6 : 4;
      await lab.addKernelTunnel(kernelWords(row), [], kernelEnds(outer));
      try {
        await lab.peer.ask('echo 1 >/proc/sys/net/ipv6/conf/all/forwarding');
        await lab.peer.ask(`ip -6 route add ${BEHIND} dev ${DEVICE}`);
        const first = await lab.kernelCounters();
        await lab.inject([row.bytes]);
        const { tx, errors } = await lab.kernelCounters();
        assert.equal(tx - first.tx, row.kernel === 'accept' ? 1 : 0);
        assert.equal('tx.errors' in errors, row.kernel === 'drop');
      } finally {
        await lab.deleteKernelTunnel();
      }
    });
  }
});

/** What `ip link add` makes of the tunnel of a row that sends. */
function kernelWords({ tunnel: { mode, encapLimit } }: SendRow): string {
  return mode === 'sit' ? mode : `ip6tnl mode ${mode} encaplimit ${encapLimit ?? 'none'}`;
}

/** Makes the tunnel of a row in the guest and returns the name of its device. */
async function openKernelTunnel(lab: KernelLab, row: ReceiveRow): Promise<string> {
  const { local, remote, keyIn, checksumIn, sequenceIn } = receiverOf(row, 'linux');
  if (local === 'any' && remote === 'any' && keyIn === undefined) {
    await lab.peer.ask(`ip link set ${FALLBACK} up`);
    return FALLBACK;
  }
  const words = ['gre'];
  if (keyIn !== undefined) words.push(`ikey ${keyIn}`);
  if (checksumIn) words.push('icsum');
  if (sequenceIn) words.push('iseq');
  await lab.addKernelTunnel(words.join(' '), [], `local ${local} remote ${remote}`);
  return DEVICE;
}

async function closeKernelTunnel(lab: KernelLab, device: string): Promise<void> {
  if (device === FALLBACK) await lab.peer.ask(`ip link set ${FALLBACK} down`);
  else await lab.deleteKernelTunnel();
}

/** The counters, besides packets and bytes, that are not 0. */
function errorsOf({ counter }: ReceiveRow): string[] {
  if (counter === undefined) return [];
  return counter === 'dropped' ? ['rx.dropped'] : [`rx.${counter}`, 'rx.errors'].sort();
}
