// A peer with a host name moves to another address, which takes a minute to be asked for, while another tunnel works.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { outer4, withBridge } from '../support/bridge.js';
import { createHostsFile } from '../support/hosts-file.js';
import { assertAnswered, eventually, lacking, ping, tunnelStatus, XDP } from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, internetChecksum, ipv4 } from '../support/packets.js';

/** A minute, what is left to chance, and some. */
const LIMIT_MS = 75_000;

/** IPv4 and GRE with a sequence number. */
const OVERHEAD = 28;

/** What a router on the way would say of a packet of the tunnel `moving` that has no key. */
function tooBig(local: string, remote: string, mtu: number): Uint8Array {
  const quoted = ipv4({
    ...{ source: local, destination: remote, protocol: 47, fragment: 0x4000 },
    payload: gre({ sequence: 1, payload: new Uint8Array(64) }),
  });
  const message = Buffer.concat([Buffer.of(3, 4, 0, 0, 0, 0, mtu >>> 8, mtu & 0xff), quoted]);
  message.writeUInt16BE(internetChecksum(message), 2);
  return ipv4({ source: outer4(3), destination: local, protocol: 1, payload: message });
}

function table(name: string, local: number, remote: string, ...lines: string[]): string {
  const ends = [`local = "${outer4(local)}"`, `remote = "${remote}"`];
  return [`[tunnel.${name}]`, 'mode = "gre"', ...ends, ...lines, ''].join('\n');
}

for (const [underlay, router] of [
  ['raw', ''],
  ['xdp', XDP],
] as const) {
  test(`a peer moves to another address, and no other tunnel loses a packet: ${underlay}`, {
    skip: lacking('ping'),
  }, async () => {
    await withBridge('moves', { ipv6: false }, async ({ namespaces, routers }) => {
      const hosts = createHostsFile(namespaces, 'r1');
      hosts.write({ 'peer.test': outer4(2) });
      const own = [
        table('moving', 1, 'peer.test', 'seq = true', 'address = ["10.9.0.1/24"]'),
        table('still', 1, outer4(3), 'key = 5', 'seq = true', 'address = ["10.8.0.1/24"]'),
      ];
      const a = await startRouter(namespaces, routers[0], own.join('\n'), router, hosts.before);
      const far = (number: number): string =>
        [
          table('moving', number, outer4(1), 'seq = true', 'address = ["10.9.0.2/24"]'),
          table('still', number, outer4(1), 'key = 5', 'seq = true', 'address = ["10.8.0.3/24"]'),
        ].join('\n');
      assert.equal((await readStatus(a)).underlay, underlay);
      const b = await startRouter(namespaces, routers[1], far(2));
      const c = await startRouter(namespaces, routers[2], far(3));
      await assertAnswered(namespaces, routers[0], '10.9.0.2');
      assert.equal((await tunnelStatus(b, 'moving')).rx.packets, 3);

      const about = (remote: number, mtu: number): void =>
        injectPackets(namespaces, routers[2], [tooBig(outer4(1), outer4(remote), mtu)]);
      about(2, 1300);
      const pathMtu = async () => (await tunnelStatus(a, 'moving')).pathMtu;
      assert.ok(await eventually(async () => (await pathMtu()) === 1300 - OVERHEAD));

      const steady = ping(routers[0], '-q', '-i', '0.01', '-w', '80', '10.8.0.3');
      hosts.write({ 'peer.test': outer4(3) });
      const hasMoved = async () => (await tunnelStatus(a, 'moving')).remoteAddress === outer4(3);
      assert.ok(await eventually(hasMoved, LIMIT_MS), a.messages());
      await assertAnswered(namespaces, routers[0], '10.9.0.2');
      assert.equal((await tunnelStatus(b, 'moving')).rx.packets, 3);
      assert.equal((await tunnelStatus(c, 'moving')).rx.packets, 3);
      // The way is another, and so are the packets that errors are about.
      assert.ok(await eventually(async () => (await pathMtu()) === undefined));
      about(2, 1200);
      assert.ok(await eventually(async () => (await readStatus(a)).icmp.errors === 2));
      assert.deepEqual((await readStatus(a)).drops, { 'icmp-no-tunnel': 1 });
      assert.equal(await pathMtu(), undefined);
      about(3, 1250);
      assert.ok(await eventually(async () => (await pathMtu()) === 1250 - OVERHEAD));
      assert.deepEqual((await readStatus(a)).drops, { 'icmp-no-tunnel': 1 });
      const { sent, received, output } = await steady;
      assert.ok(sent > 1000, output);
      // The last may be on its way.
      assert.ok(received >= sent - 1, output);
      const { drops } = await tunnelStatus(a, 'still');
      assert.deepEqual(drops, {});
    });
  });
}
