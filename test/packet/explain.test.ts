import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExplainOptions, type Explanation, explain } from '../../src/packet/explain.js';
import { createState } from '../../src/packet/state.js';
import type { GreTunnel, IpTunnel, Tunnel } from '../../src/packet/tunnel.js';
import { gre, ipv4, ipv6 } from '../support/packets.js';

const GRE1: GreTunnel = {
  name: 'gre1',
  mode: 'gre',
  local: '192.0.2.1',
  remote: '198.51.100.2',
  keyIn: 7,
  keyOut: 7,
  ttl: 64,
  tos: 0,
  pmtudisc: true,
  mtu: 1472,
  link: 0,
  allow: [{ address: '10.20.0.0', bits: 16 }],
  addresses: [{ address: '10.9.0.1', bits: 24 }],
  checksumOut: false,
  sequenceIn: true,
  sequenceOut: false,
};
const SIT1: IpTunnel = {
  name: 'sit1',
  mode: 'sit',
  local: '192.0.2.1',
  remote: '203.0.113.7',
  ttl: 64,
  tos: 0,
  pmtudisc: true,
  mtu: 1480,
  link: 3,
  allow: 'any',
  addresses: [],
};
const TUNNELS: readonly Tunnel[] = [GRE1, SIT1];

const ECHO = ipv4({ source: '10.20.0.5', destination: '10.9.0.1', payload: new Uint8Array(8) });

interface Sent {
  readonly source?: string;
  readonly protocol?: number;
  readonly payload?: Uint8Array;
  readonly tos?: number;
}

function packet(fields: Parameters<typeof gre>[0] = {}, outer: Sent = {}): Uint8Array {
  const payload = gre({ key: 7, payload: ECHO, ...fields });
  const ends = { source: '198.51.100.2', destination: '192.0.2.1', protocol: 47 };
  return ipv4({ ...ends, payload, ...outer });
}

/** Where a packet ended, and what was found there. */
function endOf(bytes: Uint8Array, options: ExplainOptions = {}): string {
  return lastOf(explain(bytes, TUNNELS, options));
}

function lastOf({ stages }: Explanation): string {
  const last = stages.at(-1);
  return `${last?.name}: ${last?.detail}`;
}

test('a forwarded packet passes every check, each with what was compared', () => {
  const explained = explain(packet({ sequence: 3 }), TUNNELS);
  assert.deepEqual([explained.verdict, explained.reason, explained.tunnel], ['ok', null, 'gre1']);
  assert.equal(explained.nearest, null);
  assert.deepEqual(
    explained.stages.map(({ name, passed, detail }) => `${passed} ${name}: ${detail}`),
    [
      'true outer header: IPv4, 198.51.100.2 -> 192.0.2.1, protocol 47, whole',
      'true GRE header: key 7, sequence 3, no checksum, type 0x0800',
      'true tunnel: gre1: gre, local 192.0.2.1, remote 198.51.100.2, key 7',
      'true GRE flags: no reserved bit is set',
      'true checksum: none, and none is asked for',
      'true sequence: 3, in order',
      'true payload: type 0x0800, IPv4, as gre carries it',
      'true inner header: IPv4, 10.20.0.5 -> 10.9.0.1, icmp, 28 bytes',
      'true inner addresses: both may be those of a host',
      'true destination: 10.9.0.1 is no end of a tunnel of ours',
      'true source: 10.20.0.5 allowed by 10.20.0.0/16',
      'true ttl: 64',
      'true ecn: outer Not-ECT, inner Not-ECT',
    ],
  );
});

test('a dropped packet ends in the check of its reason, with the values that broke it', () => {
  const inner = (fields: Partial<Parameters<typeof ipv4>[0]>): Uint8Array =>
    packet({ payload: ipv4({ source: '10.20.0.5', destination: '10.9.0.1', ...fields }) });
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [new Uint8Array(0), 'outer header: no bytes at all'],
    [packet().subarray(0, 12), "outer header: 12 bytes of an IPv4 header's 20"],
    [
      packet().subarray(0, 30),
      'outer header: IPv4, says it has 56 bytes, 20 of them header; 30 are there',
    ],
    [packet({}, { source: '192.0.2.1' }), 'outer header: the source 192.0.2.1 is our own address'],
    [packet({}, { source: '127.0.0.1' }), /127\.0\.0\.1 is none that a peer can have/.source],
    [packet({}, { protocol: 6 }), /^protocol: protocol 6 \(tcp\) is no tunnel/.source],
    [packet({ flags: 1 }), 'GRE header: version 1, only 0 is known'],
    [
      packet({}, { payload: Uint8Array.of(0x20, 0, 8, 0) }),
      'GRE header: 8 bytes by its flags, 4 are there',
    ],
    [packet({ flags: 0x0800 }), /GRE flags: 0x0800 of the flags/.source],
    [packet({ checksum: 1 }), 'checksum: wrong'],
    [packet({ protocol: 0x6558 }), 'payload: type 0x6558, but gre carries IP packets'],
    [packet({ protocol: 0x1234 }), 'payload: type 0x1234, but gre carries IP packets'],
    [inner({ source: '8.8.8.8' }), 'source: 8.8.8.8 is not allowed: 10.20.0.0/16 is'],
    [inner({ source: '10.9.0.1' }), /10\.9\.0\.1 is our own address/.source],
    [inner({ destination: '192.0.2.1' }), 'destination: 192.0.2.1 is the end of a tunnel of ours'],
    [inner({ destination: '10.7.7.7', ttl: 1 }), 'ttl: 1: it ends here'],
    [packet({}, { tos: 3 }), /ecn: outer CE, inner Not-ECT/.source],
  ];
  for (const [bytes, expected] of cases) {
    const found = endOf(bytes);
    assert.ok(found === expected || new RegExp(expected).test(found), `${found}, not ${expected}`);
    assert.equal(explain(bytes, TUNNELS).stages.filter(({ passed }) => !passed).length, 1);
  }
});

test('a numbered packet that is old is told what was expected', () => {
  const state = createState();
  assert.equal(explain(packet({ sequence: 9 }), TUNNELS, { state }).verdict, 'ok');
  assert.equal(
    endOf(packet({ sequence: 4 }), { state }),
    'sequence: 4 is old: 10 or newer is expected',
  );
});

test('the nearest tunnel is the one with the fewest fields that differ, and says which', () => {
  const nearest = (bytes: Uint8Array, options: ExplainOptions = {}) =>
    explain(bytes, TUNNELS, options).nearest;
  const key = (found: number | null, expected: number | null) => ({
    ...{ tunnel: 'gre1', differs: [{ field: 'key', packet: found, expected }] },
  });
  assert.deepEqual(nearest(packet({ key: 8 })), key(8, 7));
  const unkeyed = ipv4({
    ...{ source: '198.51.100.2', destination: '192.0.2.1', protocol: 47 },
    payload: gre({ payload: ECHO }),
  });
  assert.deepEqual(nearest(unkeyed), key(null, 7));
  const remote = { field: 'remote', packet: '198.51.100.3', expected: '198.51.100.2' };
  assert.deepEqual(nearest(packet({}, { source: '198.51.100.3' })), {
    tunnel: 'gre1',
    differs: [remote],
  });
  assert.deepEqual(nearest(packet({ key: 8 }, { source: '198.51.100.3' })), {
    tunnel: 'gre1',
    differs: [remote, { field: 'key', packet: 8, expected: 7 }],
  });
  assert.deepEqual(nearest(packet({ protocol: 0x6558 })), {
    tunnel: 'gre1',
    differs: [{ field: 'type', packet: '0x6558', expected: 'gre' }],
  });
  const inner6 = ipv6({
    source: '20010db8'.padEnd(32, '1'),
    destination: '20010db8'.padEnd(32, '2'),
  });
  const sit = { source: '203.0.113.7', protocol: 41, payload: inner6 };
  const links = new Map([
    [2, 'eth1'],
    [3, 'eth0'],
  ]);
  assert.deepEqual(nearest(packet({}, sit), { link: 2, links }), {
    tunnel: 'sit1',
    differs: [{ field: 'dev', packet: 'eth1', expected: 'eth0' }],
  });
  assert.deepEqual(nearest(packet({}, { ...sit, source: '198.51.100.2' })), {
    tunnel: 'gre1',
    differs: [{ field: 'mode', packet: 'sit', expected: 'gre' }],
  });
});

test('there is no nearest tunnel where none tells anything, or where one took the packet', () => {
  const far = ipv4({
    ...{ source: '203.0.113.99', destination: '192.0.2.200', protocol: 47 },
    payload: gre({ payload: ECHO }),
  });
  for (const bytes of [far, packet(), packet({ checksum: 1 }), packet({}, { protocol: 6 })]) {
    assert.equal(explain(bytes, TUNNELS).nearest, null);
  }
});

test('the sending side shows what goes out, or what kept it', () => {
  const sent = explain(ECHO, TUNNELS, { direction: 'encap', record: 1 });
  assert.deepEqual([sent.verdict, sent.tunnel], ['ok', 'gre1']);
  assert.deepEqual(
    sent.stages.slice(-2).map(({ detail }) => detail),
    [
      'IPv4, 192.0.2.1 -> 198.51.100.2, protocol 47, ttl 64, tos 0, DF, 56 bytes',
      'key 7, no checksum, type 0x0800',
    ],
  );
  const large = ipv4({
    ...{ source: '10.9.0.1', destination: '10.20.0.5' },
    payload: new Uint8Array(1480),
  });
  const encap = { direction: 'encap', record: 1 } as const;
  assert.equal(lastOf(explain(large, TUNNELS, encap)), 'mtu: 1500 bytes, at most 1472 fit');
  const toPeer = ipv4({ source: '10.9.0.1', destination: '198.51.100.2' });
  assert.match(lastOf(explain(toPeer, TUNNELS, encap)), /^destination: .* a tunnel in the tunnel/);
  const none = explain(ECHO, TUNNELS, { direction: 'encap', record: 9 });
  assert.deepEqual(
    [none.reason, lastOf(none)],
    ['tunnel-down', 'device: it is down, or was removed'],
  );
  assert.match(endOf(ECHO, { direction: 'encap', record: 2 }), /IPv4, but sit carries IPv6/);
});

test('the sending side tells who may not enter: the far end, and what a tunnel of ours has sent', () => {
  const encap = { direction: 'encap', record: 1 } as const;
  const ends = (source: string) => ({ source, destination: '10.20.0.5' });
  const fromFar = explain(ipv4(ends('198.51.100.2')), TUNNELS, encap);
  assert.equal(fromFar.reason, 'inner-src-spoof');
  assert.match(lastOf(fromFar), /^source: 198\.51\.100\.2 is the far end of the tunnel/);
  const again = { ...ends('192.0.2.1'), protocol: 47, payload: gre({ payload: ECHO }) };
  const nested = explain(ipv4(again), TUNNELS, encap);
  assert.equal(nested.reason, 'nesting-limit');
  assert.match(lastOf(nested), /^destination: a tunnel of ours has sent it, from 192\.0\.2\.1/);
  const own = explain(ipv4(ends('192.0.2.1')), TUNNELS, encap);
  assert.equal(own.verdict, 'ok');
  const passed = own.stages.map(({ name }) => name);
  assert.ok(passed.includes('source') && passed.includes('destination'), passed.join());
});

test('the sending side shows source port and flow label, which tell flows apart', () => {
  const over6 = { local: '2001:db8::1', remote: '2001:db8::2', mtu: 1400 } as const;
  const { keyIn, keyOut, ...plain } = GRE1;
  const tunnel: GreTunnel = {
    ...{ ...plain, ...over6, mode: 'gre-udp' },
    ...{ sourcePort: 50001, flowLabel: 0x12345, encapLimit: 4 },
  };
  const { stages } = explain(ECHO, [tunnel], { direction: 'encap', record: 1 });
  const found = Object.fromEntries(stages.map(({ name, detail }) => [name, detail]));
  assert.match(found['outer header'] ?? '', /flow label 0x12345, /);
  assert.match(found['UDP header'] ?? '', /^port 50001 -> 4754, checksum right$/);
});
