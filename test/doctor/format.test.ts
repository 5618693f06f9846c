// Findings as people see them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFindings } from '../../src/doctor/format.js';

test('each next step has a line of its own, which can be typed as it is', () => {
  const text = formatFindings(
    {
      schema: 'grebe.doctor/1',
      healthy: false,
      findings: [
        {
          ...{ check: 'reverse-path', severity: 'warning', tunnel: 'gre1', looked: 'rp_filter' },
          found: 'rp_filter is strict',
          next: 'sudo sysctl -w net.ipv4.conf.u0.rp_filter=2; or a route back: sudo ip route',
        },
      ],
    },
    (_, words) => words,
    false,
  );
  assert.deepEqual(text.split('\n').slice(0, 4), [
    'warning reverse-path: gre1: rp_filter is strict',
    '        looked at: rp_filter',
    '        next: sudo sysctl -w net.ipv4.conf.u0.rp_filter=2',
    '              or a route back: sudo ip route',
  ]);
});
