// Odd pairs of ECN fields pass, and the router says so, once for all of them (RFC 6040, 4.2).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, lacking, OUTER, tunnelStatus, tunnelTable } from '../support/lab.js';
import { withLoneRouter } from '../support/lone-router.js';
import { gre, ipv4 } from '../support/packets.js';

const ECT_1 = 1;
const ECT_0 = 2;
/** More than the ten seconds between two lines. */
const PATIENCE_MS = 13_000;

test('packets whose outer ECN no sender left are told of in one line of the log', {
  skip: lacking(),
}, async () => {
  const tunnels = tunnelTable('gre1', 'B', 'mode = "gre"', 'address = ["10.9.0.2/24"]');
  await withLoneRouter('ecn', tunnels, '', async ({ send, b }) => {
    const packet = (outerTos: number, innerTos: number): Uint8Array =>
      ipv4({
        ...{ source: OUTER.A, destination: OUTER.B, protocol: 47, identification: 1 },
        tos: outerTos,
        payload: gre({
          payload: ipv4({ source: '10.9.0.1', destination: '10.9.0.2', tos: innerTos }),
        }),
      });
    for (let n = 0; n < 12; n++) send(packet(ECT_1, 0));
    for (let n = 0; n < 3; n++) send(packet(ECT_0, ECT_1));
    for (let n = 0; n < 5; n++) send(packet(ECT_0, ECT_0));
    send(packet(3, 0));
    const isThere = async () => (await tunnelStatus(b, 'gre1')).rx.packets === 20;
    assert.ok(await eventually(isThere), JSON.stringify(await tunnelStatus(b, 'gre1')));
    assert.deepEqual((await tunnelStatus(b, 'gre1')).drops, { ecn: 1 });
    const lines = () =>
      b
        .messages()
        .split('\n')
        .filter((line) => line.includes('"event":"ecn"'));
    assert.ok(await eventually(() => lines().length > 0, PATIENCE_MS), b.messages());
    const [line = '', ...more] = lines();
    assert.deepEqual(more, []);
    const { level, tunnel, packets, msg } = JSON.parse(line);
    assert.deepEqual({ level, tunnel, packets }, { level: 'warn', tunnel: 'gre1', packets: 15 });
    assert.match(
      msg,
      /12 with outer ECT\(1\) \/ inner Not-ECT, 3 with outer ECT\(0\) \/ inner ECT\(1\)/,
    );
  });
});
