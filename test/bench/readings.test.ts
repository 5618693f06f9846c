import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busySeconds } from '../../bench/path/cpu.js';
import { spreadOf, spreadsOf } from '../../bench/path/figures.js';
import { firstDiagnostic } from '../../bench/peers/grebe.js';
import { parseIperf } from '../../bench/traffic/iperf.js';
import { parsePing, percentile } from '../../bench/traffic/ping.js';
import { parseSegments, retransmitPercent } from '../../bench/traffic/segments.js';
import * as captures from './captures.js';

test('every reply of ping has its time, and echoes without a reply are counted', () => {
  assert.deepEqual(parsePing(captures.PING), {
    sent: 6,
    received: 6,
    times: [0.036, 0.013, 0.007, 0.006, 0.011, 0.006],
  });
  assert.deepEqual(parsePing(captures.PING_WITHOUT_REPLY), { sent: 12, received: 0, times: [] });
});

test('percentiles are values that were measured', () => {
  const times = Array.from({ length: 200 }, (_, index) => 200 - index);
  assert.equal(percentile(times, 0.5), 100);
  assert.equal(percentile(times, 0.99), 198);
  assert.equal(percentile(times, 1), 200);
  assert.equal(percentile([7], 0.99), 7);
});

test('iperf3 is read for what arrived, over all flows', () => {
  const { gbits, bytes } = parseIperf(captures.IPERF_TWO_FLOWS);
  assert.equal(gbits, 6.478822664959167);
  assert.equal(bytes, 810090120);
  assert.throws(() => parseIperf('{"error":"unable to connect"}'), /no number bits_per_second/);
});

test('retransmitted segments are a part of all that were sent', () => {
  const before = parseSegments(captures.SNMP);
  assert.deepEqual(before, { sent: 569386, retransmitted: 0 });
  const after = { sent: before.sent + 990, retransmitted: 10 };
  assert.equal(retransmitPercent(before, after), 1);
  assert.equal(retransmitPercent(before, before), 0);
});

test('a waiting CPU is not busy', () => {
  assert.equal(busySeconds(captures.STAT), (29236 + 52988 + 11342 + 73) / 100);
});

test('a setting that grebe check says has no effect is a reason to leave a path out', () => {
  const reason =
    'grebe check: [W201] underlay = "xdp" has no effect: this version does not act on it';
  assert.equal(firstDiagnostic(captures.CHECK), reason);
  assert.equal(firstDiagnostic('{"ok":true,"diagnostics":[]}'), undefined);
});

test('a spread has the median, which of an even count lies between two rounds', () => {
  assert.deepEqual(spreadOf([3, 1, 2]), { median: 2, low: 1, high: 3 });
  assert.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, low: 1, high: 4 });
  const spreads = spreadsOf([{ tcpGbits: 1, floodLost: 0 }, { tcpGbits: 3 }]);
  assert.deepEqual(spreads, {
    tcpGbits: { median: 2, low: 1, high: 3 },
    floodLost: { median: 0, low: 0, high: 0 },
  });
});
