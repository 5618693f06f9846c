// The odd packets of test/reference/strictness-rows.ts, sent to a Linux kernel: it does with each what its row says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readInner, setTtl } from '../../src/packet/inner.js';
import { outerVersion, type Tunnel } from '../../src/packet/tunnel.js';
import {
  packetsOf,
  RECEIVE_ROWS,
  type ReceiveRow,
  receiverOf,
  SEND_ROWS,
} from '../reference/strictness-rows.js';
import { eventually } from '../support/lab.js';
import { ipv6 } from '../support/packets.js';
import { PLAIN_IPIP } from '../support/tunnels.js';
import { DEVICE, KERNEL, type KernelLab, kernelEnds, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

/** Where the packets of rows that send go: the guest is a router on the way, the tunnel the rest of it. */
const BEHIND = { 4: '10.2.2.0/24', 6: '2001:db8:b::/48' } as const;

const INNER = {
  source: '20010db8000a00000000000000000005',
  destination: '20010db8000b00000000000000000009',
} as const;
/** Hexadecimal digits of an Ethernet header. */
const ETHERNET_DIGITS = 28;

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
      const frames = await lab.seeFrames();
      const errors = await sendThroughKernel(lab, row.tunnel, row.bytes);
      assert.equal('tx.errors' in errors, row.kernel === 'drop');
      if (row.kernel === 'accept') await carriers(frames, row.bytes);
    });
  }

  test('Linux sends inner congestion experienced as outer ECT(0)', async () => {
    const frames = await lab.seeFrames();
    const inner = ipv6({ ...INNER, trafficClass: 3 });
    await sendThroughKernel(lab, { ...PLAIN_IPIP, mode: 'sit' }, inner);
    const [outer] = await carriers(frames, inner);
    assert.equal(outer?.slice(0, 4), '4502');
  });

  test('Linux passes on an encapsulation limit, less one, in a tunnel that sends none', async () => {
    const frames = await lab.seeFrames();
    const limited = Uint8Array.of(59, 0, 4, 1, 3, 1, 1, 0);
    const inner = ipv6({ ...INNER, nextHeader: 60, payload: limited });
    await sendThroughKernel(lab, { ...PLAIN_IPIP, mode: 'ip6ip6' }, inner);
    const [outer] = await carriers(frames, inner);
    assert.equal(outer?.slice(80), '2900040102010100');
  });
});

/** Has the guest route a packet into a tunnel like this one, and returns the errors that its device counted. */
async function sendThroughKernel(lab: KernelLab, tunnel: Tunnel, bytes: Uint8Array) {
  const { mode, encapLimit = 'none' } = tunnel;
  const isOver4 = outerVersion(mode) === 4;
  const words = isOver4 ? mode : `ip6tnl mode ${mode} encaplimit ${encapLimit}`;
  const version = mode === 'ipip' ? 4 : 6;
  const behind = BEHIND[version];
  await lab.command('ip', `-${version}`, 'route', 'replace', behind, 'via', KERNEL[version]);
  await lab.addKernelTunnel(words, [], kernelEnds(isOver4 ? 4 : 6));
  try {
    await lab.peer.ask(`echo 1 >/proc/sys/net/ipv${version}/conf/all/forwarding`);
    await lab.peer.ask(`ip -${version} route add ${behind} dev ${DEVICE}`);
    await lab.inject([bytes]);
    return (await lab.kernelCounters()).errors;
  } finally {
    await lab.deleteKernelTunnel();
  }
}

/** The outer headers, as hex, of the frames that carry `inner` on from a router, which took its hop limit down. */
async function carriers(frames: readonly string[], inner: Uint8Array): Promise<string[]> {
  const carried = readInner(inner.slice(), (inner[0] ?? 0) >>> 4 === 4 ? 4 : 6);
  setTtl(carried, carried.ttl - 1);
  const end = Buffer.from(carried.bytes).toString('hex');
  const found = () => frames.filter((frame) => frame.endsWith(end));
  assert.ok(await eventually(() => found().length > 0), 'the guest sends the packet on');
  return found().map((frame) => frame.slice(ETHERNET_DIGITS, -end.length));
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
