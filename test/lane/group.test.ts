// What a tunnel to a group of receivers sends and answers: by the source of a packet, which may be of the group.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASON_NO_ROUTE } from '../../asm/reason.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { openAnsweringLane as open } from '../support/answering-lane.js';
import { frame, ipv4 } from '../support/packets.js';

const GROUP = { local: '192.0.2.1', remote: '239.1.1.1' };
const SEGMENT = [{ address: '10.9.0.0', bits: 24 }];
const OUTER_TOO = [...SEGMENT, { address: '192.0.2.0', bits: 24 }];

/**
 * At a tunnel to a group: is a packet sent there, and is its sender told where the kernel has no way? A packet that may
 * come from the group is sent in doubt and answered in no doubt only: what is kept back in error is lost, and an answer
 * in error goes to everybody.
 */
for (const [what, given, source, isSent, isAnswered] of [
  ['which accepts the source from it', { allow: SEGMENT }, '10.9.0.3', false, false],
  ['which does not', { allow: SEGMENT }, '10.1.0.2', true, true],
  ['from the address of its device', { allow: SEGMENT }, '10.9.0.1', true, true],
  ['from its local end', { allow: SEGMENT }, '192.0.2.1', true, true],
  ['from its local end, which it accepts', { allow: OUTER_TOO }, '192.0.2.1', true, true],
  ['which accepts every source', { allow: 'any' }, '10.1.0.2', true, false],
  ['which accepts every source, from us', { allow: 'any' }, '10.9.0.1', true, true],
  // A bridge sends no frame back to where it came from.
  ['of frames, accepted', { mode: 'gretap', allow: SEGMENT }, '10.9.0.3', true, false],
  ['of frames, not accepted', { mode: 'gretap', allow: SEGMENT }, '10.1.0.2', true, true],
  ['of frames, any accepted', { mode: 'gretap', allow: 'any' }, '10.1.0.2', true, false],
  ['of frames, any accepted, from us', { mode: 'gretap', allow: 'any' }, '10.9.0.1', true, true],
] as const) {
  const verdict = `is ${isSent ? '' : 'not '}sent, and ${isAnswered ? '' : 'not '}answered without a way`;
  for (const build of ['simd', 'scalar', 'js']) {
    test(`${build}: a packet for a tunnel to a group, ${what}, ${verdict}`, () => {
      const { turn, sent, underlay, counters } = open(
        { ...GROUP, ...given } as Partial<Tunnel>,
        build,
      );
      const payload = ipv4({
        ...{ source, destination: '10.9.0.7', protocol: 17, payload: new Uint8Array(20) },
      });
      const [from, to] = ['020000000001', '020000000002'];
      const packet = 'mode' in given ? frame({ source: from, destination: to, payload }) : payload;
      const first = turn(packet);
      assert.equal(sent.length, isSent ? 1 : 0);
      assert.equal(first === undefined, isSent || !isAnswered);
      underlay.send = (ring, position) => ring.setReason(position, REASON_NO_ROUTE);
      assert.equal(turn(packet) !== undefined, isAnswered);
      const { icmp, records } = counters();
      assert.deepEqual(records[1]?.encapDrops, { 'no-route': isSent ? 1 : 2 });
      assert.equal(icmp.answers, isAnswered ? (isSent ? 1 : 2) : 0);
    });
  }
}
