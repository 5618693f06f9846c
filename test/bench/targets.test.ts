import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Sample, spreadsOf } from '../../bench/path/figures.js';
import type { PathRow } from '../../bench/path/path-bench.js';
import { judge } from '../../bench/path/targets.js';

function row(name: string, samples: Sample[], setting: Partial<PathRow> = {}): PathRow {
  return { name, offloads: 'off', tunnels: 1, figures: spreadsOf(samples), ...setting };
}

function verdictOf(name: string, rows: PathRow[]) {
  const verdict = judge(rows).find((each) => each.name === name);
  assert.ok(verdict, name);
  return verdict;
}

test('a target is a ratio of medians beside its bound, met at the bound itself', () => {
  const c = row('c', [{ tcpGbits: 1 }, { tcpGbits: 2 }, { tcpGbits: 9 }]);
  const name = 'TCP 1 flow, raw-simd / c';
  const at = (gbits: number) => verdictOf(name, [c, row('raw-simd', [{ tcpGbits: gbits }])]);
  assert.deepEqual(at(4.4), { name, unit: 'ratio', atLeast: 2.2, value: 2.2, met: true });
  assert.deepEqual(at(4), { name, unit: 'ratio', atLeast: 2.2, value: 2, met: false });
});

test('a target without figures is not met and has no value', () => {
  for (const { value, met } of judge([])) assert.deepEqual([value, met], [null, null]);
  const lone = verdictOf('TCP 1 flow, best grebe / ovs', [row('raw-simd', [{ tcpGbits: 2 }])]);
  assert.equal(lone.value, null);
});

test('the better underlay and the best grebe are those with the highest median', () => {
  const rows = [
    row('c', [{ udp64Kpps: 100 }]),
    row('ovs', [{ tcpGbits: 1 }]),
    row('raw-simd', [{ udp64Kpps: 140, tcpGbits: 2 }]),
    row('xdp-simd', [{ udp64Kpps: 160, tcpGbits: 3 }]),
    row('raw-2-lanes', [{ udp64Kpps: 400, tcpGbits: 5 }]),
  ];
  assert.equal(verdictOf('UDP 64 B delivered, better underlay / c', rows).value, 1.6);
  assert.equal(verdictOf('TCP 1 flow, best grebe / ovs', rows).value, 5);
});

test('settings are not mixed: offloads and the number of tunnels belong to a figure', () => {
  const rows = [
    row('vxlan', [{ tcpGbits: 6 }]),
    row('gre-udp', [{ tcpGbits: 6 }]),
    row('vxlan', [{ tcpGbits: 20 }], { offloads: 'on' }),
    row('gre-udp', [{ tcpGbits: 13 }], { offloads: 'on' }),
    row('raw-simd', [{ udp64RouterMicroseconds: 5 }]),
    row('raw-simd', [{ udp64RouterMicroseconds: 6 }], { tunnels: 100 }),
    row('raw-simd', [{ udp64RouterMicroseconds: 8 }], { tunnels: 10_000 }),
  ];
  const offloaded = verdictOf('TCP 1 flow, offloads on, gre-udp / vxlan', rows);
  assert.deepEqual([offloaded.value, offloaded.met], [0.65, true]);
  const many = 'router CPU a packet, UDP 64 B, 10,000 tunnels / 1, raw-simd';
  assert.deepEqual([verdictOf(many, rows).value, verdictOf(many, rows).met], [1.6, false]);
});

test('of what is to be zero, one round is enough to miss', () => {
  const rows = [row('raw-simd', [{ floodLost: 0 }, { floodLost: 0 }, { floodLost: 1 }])];
  assert.equal(verdictOf('lost under ping -f, raw-simd', rows).met, false);
});
