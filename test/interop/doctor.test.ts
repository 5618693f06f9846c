// The kernel's own tunnel modules beside grebe: what a Linux kernel under QEMU does with packets that are a grebe
// tunnel's, and what the doctor makes of what that kernel says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseConfig } from '../../src/config/load.js';
import { judgeKernelTunnels } from '../../src/doctor/checks/kernel-tunnel.js';
import type { Outcome } from '../../src/doctor/finding.js';
import type { Link } from '../../src/doctor/machine.js';
import type { Target } from '../../src/doctor/subject.js';
import { gre, ipv4 } from '../support/packets.js';
import { type KernelLab, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

const GRE = 47;
/** On the wire behind the Ethernet header: IPv4 without options, then type 3 and code 3 of ICMP. */
const PORT_UNREACHABLE = /^[0-9a-f]{24}080045[0-9a-f]{16}01[0-9a-f]{20}0303/;
/** As the config of a router on that machine would have it. */
const CONFIG = `[tunnel.gre1]
mode = "gre"
local = "192.0.2.2"
remote = "192.0.2.1"
key = 7
[tunnel.sit1]
mode = "sit"
local = "192.0.2.2"
remote = "192.0.2.1"
`;

function targets(): Target[] {
  const { config } = parseConfig(Buffer.from(CONFIG), 'grebe.toml');
  return (config?.tunnels ?? []).map((one): Target => {
    const { name, mode, local, dev, remote } = one;
    return { name, mode, local, dev, remotes: [remote], config: one, status: undefined };
  });
}

const obstacle = missingForKernelPeer() ?? false;

describe('the doctor beside a Linux kernel with tunnels', {
  skip: obstacle,
  timeout: 60_000,
}, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
  });
  after(() => lab?.close());

  async function judge(): Promise<Outcome[]> {
    const links: Link[] = JSON.parse(await lab.peer.ask('ip -j -d link show'));
    const modules = (await lab.peer.ask('cat /proc/modules')).split('\n');
    const loaded = new Set(modules.map((line) => line.split(' ')[0] ?? ''));
    return judgeKernelTunnels(
      targets(),
      new Map(links.map((one) => [one.ifname ?? '', one])),
      loaded,
    );
  }

  test('a module without a device answers with port unreachable, and is warned of', async () => {
    const frames = await lab.seeFrames();
    const ends = { source: '192.0.2.1', destination: '192.0.2.2' };
    const payload = gre({ key: 7, payload: ipv4({ source: '10.9.0.1', destination: '10.9.0.2' }) });
    const packet = ipv4({ ...ends, protocol: GRE, payload });
    await lab.inject([packet]);
    assert.ok(
      frames.some((frame) => PORT_UNREACHABLE.test(frame)),
      frames.join('\n'),
    );
    const outcomes = await judge();
    assert.deepEqual(
      outcomes.map(({ severity, found }) => [severity, found.split(' ')[0]]),
      [
        ['warning', 'ip_gre'],
        ['warning', 'sit'],
      ],
    );
  });

  test('a device that takes the same packets is an error, one with another key is not', async () => {
    const add = 'ip link add kern type gre local 192.0.2.2 remote 192.0.2.1';
    await lab.peer.ask(`${add} key 8`);
    assert.deepEqual(
      (await judge()).map(({ severity }) => severity),
      ['warning', 'warning'],
    );
    await lab.peer.ask(`ip link del kern; ${add} key 7`);
    const [twin, ...others] = await judge();
    assert.equal(twin?.severity, 'error');
    assert.equal(twin?.tunnel, 'gre1');
    assert.match(twin?.found ?? '', /device kern takes the packets of gre1, too/);
    assert.equal(twin?.next, 'sudo ip link del dev kern');
    assert.deepEqual(
      others.map(({ found }) => found.split(' ')[0]),
      ['sit'],
    );
  });
});
