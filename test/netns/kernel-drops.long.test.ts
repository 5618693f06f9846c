// What the kernel drops before a router reads it: a router that stands still is sent more than there is room for, and
// the kernel's counters say exactly what is missing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus, type Status } from '../../src/demo/router-process.js';
import { eventually, lacking, OUTER, tunnelStatus, withLab, XDP } from '../support/lab.js';
import { type LoneRouter, withLoneRouter } from '../support/lone-router.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, greUdp, hex, ipv4 } from '../support/packets.js';
import { plainGre, TUNNEL, tunnelOf } from '../support/traffic.js';

const skip = lacking('ethtool');
/** More than 8 MB of receive buffer hold, the kernel's own bytes for each packet included, and more than there are frames. */
const FLOOD = 60_000;
const LIMIT_MS = 20_000;

/** An echo reply that nobody waits for. */
const INNER = ipv4({
  ...{ source: '10.9.0.1', destination: '10.9.0.2', protocol: 1 },
  payload: hex('0000ffff 00000000'),
});
const ENDS = { source: OUTER.A, destination: OUTER.B };
const PLAIN = ipv4({ ...ENDS, protocol: 47, payload: gre({ payload: INNER }) });
const OVER_UDP = ipv4({
  ...{ ...ENDS, protocol: 17 },
  payload: greUdp({ ...ENDS, payload: gre({ payload: INNER }) }),
});

const total = (drops: Status['kernelDrops']): number =>
  Object.values(drops).reduce((sum, count) => sum + count, 0);

/** Sends the flood while B stands still. Returns its status once every packet is accounted for. */
async function flood({ b, send }: LoneRouter, packet: Uint8Array): Promise<Status> {
  b.child.kill('SIGSTOP');
  for (let n = 0; n < FLOOD; n++) send(packet);
  b.child.kill('SIGCONT');
  const isComplete = async (): Promise<boolean> => {
    const { received, kernelDrops } = await readStatus(b);
    return received.underlay + total(kernelDrops) === FLOOD;
  };
  assert.ok(await eventually(isComplete, LIMIT_MS), JSON.stringify(await readStatus(b)));
  return readStatus(b);
}

interface Way {
  readonly name: string;
  readonly tunnels: string;
  readonly router: string;
  readonly packet: Uint8Array;
  /** What the kernel tells where packets are missing. */
  readonly told: (missing: number) => Status['kernelDrops'];
}

const UDP_TUNNEL = tunnelOf({ mode: 'gre-udp', lines: [], version: 4 })('B');
const WAYS: readonly Way[] = [
  {
    ...{ name: 'raw sockets', tunnels: plainGre('B'), router: '', packet: PLAIN },
    told: (rawSocket) => ({ rawSocket }),
  },
  {
    ...{ name: 'the raw sockets of two lanes', tunnels: plainGre('B'), router: 'lanes = 2' },
    packet: PLAIN,
    told: (rawSocket) => ({ rawSocket }),
  },
  {
    ...{ name: 'UDP sockets', tunnels: UDP_TUNNEL, router: '', packet: OVER_UDP },
    told: (udpSocket) => ({ udpSocket }),
  },
  {
    ...{ name: 'AF_XDP', tunnels: plainGre('B'), router: XDP, packet: PLAIN },
    told: (xdpNoFrame) => ({ rawSocket: 0, xdpRingFull: 0, xdpNoFrame, xdpInvalid: 0 }),
  },
];

for (const { name, tunnels, router, packet, told } of WAYS) {
  test(`${name}: what is missing is what the kernel dropped, beside the counters of the router`, {
    skip,
  }, async (context) => {
    await withLoneRouter('full', tunnels, router, async (lone) => {
      assert.deepEqual((await readStatus(lone.b)).kernelDrops, told(0));
      const { received, kernelDrops, tunnels: all, drops } = await flood(lone, packet);
      const missing = FLOOD - received.underlay;
      context.diagnostic(`${missing} of ${FLOOD} are missing`);
      assert.ok(missing > 0 && missing < FLOOD);
      assert.deepEqual(kernelDrops, told(missing));
      assert.deepEqual(
        all.map(({ rx, drops: own, queueDrops }) => ({ packets: rx.packets, own, queueDrops })),
        [{ packets: received.underlay, own: {}, queueDrops: 0 }],
      );
      assert.deepEqual(drops, {});
    });
  });
}

test('what the queue of a tunnel device did not hold is shown with the tunnel', {
  skip,
}, async () => {
  await withLab('queue', { tunnels: plainGre, ipv6: false }, async ({ namespaces, rA, a, b }) => {
    const count = 1500; // the queue holds 1000
    const packets = new Array<Uint8Array>(count).fill(INNER);
    a.child.kill('SIGSTOP');
    injectPackets(namespaces, rA, packets);
    a.child.kill('SIGCONT');
    const isComplete = async (): Promise<boolean> => {
      const { received } = await readStatus(a);
      return received.device + ((await tunnelStatus(a, TUNNEL)).queueDrops ?? 0) === count;
    };
    assert.ok(await eventually(isComplete, LIMIT_MS), JSON.stringify(await readStatus(a)));
    const { tx, queueDrops, drops } = await tunnelStatus(a, TUNNEL);
    assert.equal(queueDrops, 500);
    assert.equal(tx.packets, 1000);
    assert.deepEqual(drops, {});
    assert.equal((await tunnelStatus(b, TUNNEL)).queueDrops, 0);
  });
});
