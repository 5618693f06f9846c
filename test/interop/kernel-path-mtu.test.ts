// Path MTU between grebe and a real Linux kernel, both ways: a router between them passes on 1400 bytes. Each end
// finds that by the first packet that is too long, and tells its sender.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fetchStatus } from '../../src/control/client.js';
import { lacking } from '../support/lab.js';
import { DEVICE, type KernelLab, kernelEnds, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

interface Path {
  readonly mode: string;
  /** Words after `ip link add NAME type`. */
  readonly kernel: string;
  readonly outer: 4 | 6;
  readonly inner: 4 | 6;
  readonly overhead: number;
}

const NARROW = 1400;
const PATHS: readonly Path[] = [
  { mode: 'gre', kernel: 'gre', outer: 4, inner: 4, overhead: 24 },
  { mode: 'gre', kernel: 'gre', outer: 4, inner: 6, overhead: 24 },
  { mode: 'ipip', kernel: 'ipip', outer: 4, inner: 4, overhead: 20 },
  { mode: 'sit', kernel: 'sit', outer: 4, inner: 6, overhead: 20 },
  { mode: 'ip6gre', kernel: 'ip6gre encaplimit none', outer: 6, inner: 4, overhead: 44 },
  {
    mode: 'ip6ip6',
    kernel: 'ip6tnl mode ip6ip6 encaplimit none',
    outer: 6,
    inner: 6,
    overhead: 40,
  },
];

const INNER = {
  4: { grebe: '10.9.0.1', kernel: '10.9.0.2', bits: 24, headers: 28 },
  6: { grebe: 'fd00:9::1', kernel: 'fd00:9::2', bits: 64, headers: 48 },
} as const;

const missing = missingForKernelPeer() ?? lacking('ping');

describe('behind a narrow router, with a Linux kernel as peer', { skip: missing ?? false }, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
    await lab.narrowPath(NARROW);
  });
  after(() => lab?.close());

  for (const path of PATHS) {
    test(`IPv${path.inner} in ${path.mode}: each end tells its sender what the path takes`, async () => {
      const { grebe, kernel, bits, headers } = INNER[path.inner];
      await lab.forgetPaths();
      const router = await lab.startGrebe(
        `mode = "${path.mode}"\nmss = "off"`,
        [`${grebe}/${bits}`],
        path.outer,
      );
      try {
        await lab.addKernelTunnel(path.kernel, [`${kernel}/${bits}`], kernelEnds(path.outer));
        const narrow = NARROW - path.overhead;

        // From the kernel's side, while nobody knows the path here: TCP begins with segments that are too long.
        await lab.transferFromKernel(kernel);
        assert.match(await lab.peer.ask(`ip route get ${grebe}`), new RegExp(`mtu ${narrow}\\b`));

        // From grebe's side: the first ping that is too long is answered by what would fit, and that gets through.
        const size = (length: number): string => String(length - headers);
        const ping = (length: number, count: number): Promise<string> =>
          lab.command(
            'sh',
            '-c',
            `ping -M do -c ${count} -i 0.2 -W 2 -s ${size(length)} ${kernel} || true`,
          );
        await ping(100, 1);
        assert.match(await ping(1500 - path.overhead, 1), new RegExp(`mtu ?= ?${narrow}\\b`));
        assert.match(await ping(narrow, 3), /3 received/);
        const { tunnels, drops, icmp } = await fetchStatus(router.socket);
        const [tunnel] = tunnels;
        assert.equal(tunnel?.pathMtu, narrow);
        assert.deepEqual(drops, {});
        assert.deepEqual(icmp, { answers: 1, answersLimited: 0, errors: 1, errorsLimited: 0 });

        await lab.transferToKernel(kernel);

        const { errors } = await lab.kernelCounters();
        const received = Object.keys(errors).filter((name) => name.startsWith('rx.'));
        assert.deepEqual(received, [], 'the kernel counted receive errors');
        assert.deepEqual((await fetchStatus(router.socket)).drops, {});
      } finally {
        await lab.peer.run(`ip link del ${DEVICE}`);
        await lab.stopGrebe(router);
      }
    });
  }
});
