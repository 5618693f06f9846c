// A tunnel whose remote is a multicast group: what one router sends, all others in the group get.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus, startRouter } from '../../src/demo/router-process.js';
import { outer4, outer6, withBridge } from '../support/bridge.js';
import {
  assertAnswered,
  eventually,
  lacking,
  tunnelStatus,
  UNDERLAY,
  XDP,
} from '../support/lab.js';
import { injectPackets, seeFrames } from '../support/packet-task.js';
import { hex, ipv4 } from '../support/packets.js';

interface Kind {
  readonly name: string;
  readonly mode: string;
  readonly group: string;
  readonly outer: (number: number) => string;
  readonly lines?: string;
  readonly router?: string;
  /** Where the config names no device: the route to the group does. */
  readonly route?: string;
}

const DEV = `dev = "${UNDERLAY}"`;

const KINDS: readonly Kind[] = [
  { name: 'gre, bound to a device', mode: 'gre', group: '239.1.1.1', outer: outer4, lines: DEV },
  { name: 'gre, by a route', mode: 'gre', group: '239.1.1.1', outer: outer4, route: '239.0.0.0/8' },
  {
    name: 'gre over AF_XDP',
    mode: 'gre',
    group: '239.1.1.1',
    outer: outer4,
    lines: DEV,
    router: XDP,
  },
  {
    name: 'gre on two lanes',
    mode: 'gre',
    group: '239.1.1.1',
    outer: outer4,
    lines: DEV,
    router: 'lanes = 2',
  },
  { name: 'gre-udp', mode: 'gre-udp', group: '239.1.1.1', outer: outer4, lines: DEV },
  { name: 'ip6gre', mode: 'ip6gre', group: 'ff05::1:1', outer: outer6, lines: DEV },
];

const HELLO = ipv4({
  ...{ source: '10.9.0.1', destination: '224.0.0.5', protocol: 89, ttl: 1, identification: 7 },
  payload: hex('0201 002c 0a09 0001'),
});

for (const { name, mode, group, outer, lines = '', router, route } of KINDS) {
  test(`three routers of one group reach one another, and a hello reaches all: ${name}`, {
    skip: lacking(),
  }, async () => {
    const ipv6 = outer === outer6;
    await withBridge('group', { ipv6 }, async ({ namespaces, routers }) => {
      const started: RouterProcess[] = [];
      for (const [index, namespace] of routers.entries()) {
        const number = index + 1;
        if (route) ip('-n', namespace, 'route', 'add', route, 'dev', UNDERLAY);
        const table = [
          ...['[tunnel.gre1]', `mode = "${mode}"`, `local = "${outer(number)}"`],
          ...[`remote = "${group}"`, lines, `address = ["10.9.0.${number}/24"]`, ''],
        ];
        started.push(await startRouter(namespaces, namespace, table.join('\n'), router));
      }
      const [first, second, third] = started;
      assert.ok(first && second && third);

      const seen = [
        await seeFrames(namespaces, routers[1], 'gre1'),
        await seeFrames(namespaces, routers[2], 'gre1'),
      ];
      injectPackets(namespaces, routers[0], [HELLO], 'gre1');
      const expected = Buffer.from(HELLO).toString('hex');
      const count = (frames: readonly string[]) => frames.filter((one) => one === expected).length;
      assert.ok(await eventually(() => seen.every((frames) => count(frames) === 1)));

      await assertAnswered(namespaces, routers[0], '10.9.0.2');
      await assertAnswered(namespaces, routers[1], '10.9.0.3');
      await assertAnswered(namespaces, routers[2], '10.9.0.1', 1300);
      for (const one of started) {
        const { drops } = await tunnelStatus(one, 'gre1');
        // Of what two others say to each other, a router that forwards packets finds the way into the tunnel again.
        assert.deepEqual({ ...drops, 'no-route': 0 }, { 'no-route': 0 });
        // What a router sends to the group comes back to it, if at all, from an address of its own.
        const { drops: others } = await readStatus(one);
        assert.deepEqual({ ...others, 'outer-martian': 0 }, { 'outer-martian': 0 });
      }
      assert.deepEqual(seen.map(count), [1, 1]);
      if (ipv6) return; // what the kernel sends by itself is nobody's to count
      // The hello, and of each pair that pings questions and answers.
      const { rx, tx } = await tunnelStatus(first, 'gre1');
      assert.deepEqual([tx.packets, rx.packets], [7, 12]);
    });
  });
}
