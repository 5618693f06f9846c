// Numbered packets that arrive in another order than they were sent, on a real device (RFC 2890, 2.2).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, lacking, OUTER, tunnelStatus, tunnelTable } from '../support/lab.js';
import { withLoneRouter } from '../support/lone-router.js';
import { gre, internetChecksum, ipv4 } from '../support/packets.js';

const ETHERNET = 14;
const PROTOCOL = ETHERNET + 9;
/** Outer header and GRE header with a sequence number, then the inner header; then identifier and number. */
const REPLY_NUMBER = ETHERNET + 20 + 4 + 20 + 6;

/** A numbered tunnel packet around an echo request with the same number. */
function request(sequence: number): Uint8Array {
  const icmp = Buffer.alloc(12);
  icmp[0] = 8;
  icmp.writeUInt16BE(77, 4);
  icmp.writeUInt16BE(sequence, 6);
  icmp.writeUInt16BE(internetChecksum(icmp), 2);
  const inner = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 1, payload: icmp });
  return ipv4({
    source: OUTER.A,
    destination: OUTER.B,
    protocol: 47,
    payload: gre({ sequence, payload: inner }),
  });
}

const TUNNEL = tunnelTable(
  'gre1',
  'B',
  'mode = "gre"',
  'seq = { in = true }',
  'reorder = { packets = 4, time = "100ms" }',
  'address = ["10.9.0.2/24"]',
);

test('the kernel gets numbered packets in order; what never comes is waited for no longer than it has time', {
  skip: lacking('ip'),
}, async () => {
  await withLoneRouter('reorder', TUNNEL, '', async ({ b, send, answers }) => {
    const answered: number[] = [];
    const collect = (): number => {
      for (const frame of answers()) {
        if (frame[PROTOCOL] === 47) answered.push(Buffer.from(frame).readUInt16BE(REPLY_NUMBER));
      }
      return answered.length;
    };
    for (const sequence of [0, 3, 2, 1, 4]) send(request(sequence));
    assert.ok(await eventually(() => collect() === 5));
    assert.deepEqual(answered, [0, 1, 2, 3, 4]);

    // 5 and 6 are lost on the way.
    send(request(7));
    send(request(8));
    assert.ok(await eventually(() => collect() === 7));
    assert.deepEqual(answered.slice(5), [7, 8]);

    send(request(6));
    const isCounted = async (): Promise<boolean> =>
      (await tunnelStatus(b, 'gre1')).drops['gre-sequence'] === 1;
    assert.ok(await eventually(isCounted));
    const { rx, drops } = await tunnelStatus(b, 'gre1');
    assert.equal(rx.packets, 7);
    assert.deepEqual(drops, { 'gre-sequence': 1 });
    assert.equal(collect(), 7);
  });
});
