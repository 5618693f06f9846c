// Whatever arrives, all codecs do what the reference does: the same reason, bytes, descriptor and counters.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { decap } from '../../src/packet/decap.js';
import type { GreTunnel } from '../../src/packet/tunnel.js';
import { mutated, noise, outer, tunnel, tunnelList } from '../support/arbitrary.js';
import { assertAgreement } from '../support/oracle.js';
import { frame, gre, ipv4, ipv6 } from '../support/packets.js';
import { dirtyWindow, type Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';
import { PLAIN_GRE } from '../support/tunnels.js';

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});
after(() => {
  for (const plane of planes) plane.assertCanaries();
});

const link = fc.constantFrom(0, 0, 2, 3);
const filled = (bytes: fc.Arbitrary<Uint8Array>) => fc.record({ bytes, link });

test('decap of sound tunnel packets agrees with the reference on any table', () => {
  const packets = fc.array(filled(outer), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(24), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'decap', batch);
    }),
    { numRuns: 1500 },
  );
});

test('decap writes nothing in front of the packet it delivers, and nothing at all to any other', () => {
  fc.assert(
    fc.property(tunnelList(6), filled(fc.oneof(outer, mutated)), (tunnels, packet) => {
      for (const plane of planes) {
        plane.publish(tunnels);
        const was = dirtyWindow(packet.bytes);
        const [found] = plane.run('decap', [packet]);
        assert.ok(found);
        const kept = found.reason === 0 ? found.offset : was.length;
        const is = found.window.subarray(0, kept);
        assert.equal(Buffer.compare(is, was.subarray(0, kept)), 0, plane.codec.name);
      }
    }),
    { numRuns: 1000 },
  );
});

test('decap survives changed, cut and lengthened packets: one reason each, every other byte intact', () => {
  const packets = fc.array(filled(mutated), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(6), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'decap', batch);
    }),
    { numRuns: 2000 },
  );
});

test('an IPv6 sender in a frame is none of IPv4, though it has the bits of one', () => {
  const given = { ...PLAIN_GRE, mode: 'gretap', allow: [{ address: '0.0.0.0', bits: 0 }] } as const;
  const sender = (source: string): Uint8Array => {
    const inside = ipv6({
      source,
      destination: '20010db8000b00000000000000000009',
      nextHeader: 59,
    });
    const payload = gre({ protocol: 0x6558, payload: frame({ payload: inside }) });
    return ipv4({ source: given.remote, destination: given.local, protocol: 47, payload });
  };
  const mapped = sender('00000000000000000000ffff0a010105');
  assertAgreement(planes, [given], 'decap', [{ bytes: mapped }]);
  assert.equal(decap(mapped, [given]).reason, 'inner-src-spoof');
  const any = { ...given, allow: [{ address: '::', bits: 0 }] };
  assertAgreement(planes, [any], 'decap', [{ bytes: mapped }]);
});

test('decap survives any bytes', () => {
  const packets = fc.array(filled(noise), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tunnelList(3), packets, (tunnels, batch) => {
      assertAgreement(planes, tunnels, 'decap', batch);
    }),
    { numRuns: 300 },
  );
});

test('the hash lookup finds what four linear passes find, in tables of 1 to 50 tunnels', () => {
  const tunnels = fc.array(fc.option(tunnel, { nil: undefined, freq: 10 }), {
    minLength: 1,
    maxLength: 50,
    size: 'max',
  });
  const packets = fc.array(filled(outer), { minLength: 8, maxLength: 16 });
  fc.assert(
    fc.property(tunnels, packets, (table, batch) => {
      assertAgreement(planes, table, 'decap', batch);
    }),
    { numRuns: 500 },
  );
});

test('the random packets reach every verdict that decap can give, and leave tunnels of every mode', () => {
  const cases = fc.tuple(tunnelList(24), fc.oneof(outer, mutated));
  const reached = new Set<string>();
  const modes = new Set<string>();
  for (const [tunnels, bytes] of fc.sample(cases, { seed: 1, numRuns: 8000 })) {
    const result = decap(bytes, tunnels);
    reached.add(result.reason ?? ('local' in result ? result.local : result.verdict));
    if (result.verdict === 'ok') modes.add(result.tunnel.mode);
  }
  assert.equal(modes.size, 9);
  assert.deepEqual([...reached].sort(), [
    'answer',
    'ecn',
    'gre-checksum',
    'gre-reserved-bits',
    'gre-routing-present',
    'gre-sequence',
    'gre-truncated',
    'gre-version',
    'inner-dst-policy',
    'inner-header',
    'inner-martian',
    'inner-src-spoof',
    'inner-truncated',
    'inner-ttl',
    'inner-version',
    'keepalive',
    'nesting-limit',
    'no-tunnel',
    'ok',
    'outer-fragment',
    'outer-header',
    'outer-martian',
    'probe',
    'reflect',
    'udp-checksum',
    'udp-header',
    'unknown-protocol',
  ]);
});

test('an IPv4 address in the IPv6 header of a frame is accepted from nobody but by allow = any', () => {
  const source = '00000000000000000000ffff0a010105';
  const destination = '20010db8000b00000000000000000009';
  const bytes = ipv4({
    source: '198.51.100.2',
    destination: '192.0.2.1',
    protocol: 47,
    payload: gre({ protocol: 0x6558, payload: frame({ payload: ipv6({ source, destination }) }) }),
  });
  const tap: Omit<GreTunnel, 'allow'> = {
    name: 'tap',
    mode: 'gretap',
    local: '192.0.2.1',
    remote: '198.51.100.2',
    ttl: 64,
    tos: 0,
    pmtudisc: true,
    mtu: 1462,
    link: 0,
    addresses: [],
    checksumOut: false,
    sequenceIn: false,
    sequenceOut: false,
  };
  const blocks = [
    { address: '10.1.1.0', bits: 24 },
    { address: '::', bits: 0 },
  ];
  for (const allow of [blocks, 'any'] as const) {
    const expected = allow === 'any' ? null : 'inner-src-spoof';
    assert.equal(decap(bytes, [{ ...tap, allow }]).reason, expected);
    assertAgreement(planes, [{ ...tap, allow }], 'decap', [{ bytes }]);
  }
});
