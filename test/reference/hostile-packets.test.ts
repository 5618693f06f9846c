// The hostile packets of other people's bug reports, each with the verdict we want.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { decap } from '../../src/packet/decap.js';
import { decode } from '../../src/packet/decode.js';
import { reasonName } from '../../src/packet/reason.js';
import type { Mode, Tunnel } from '../../src/packet/tunnel.js';
import { type HostileCase, readHostileCases } from '../support/cases.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

const CASES = readHostileCases();

/**
 * Packets of tunnels that do not exist yet, with what they wait for. A packet that any list here does
 * not name is tested, and one that is named must still be in the file.
 */
const WAITING: Record<string, string> = {
  'wccp2-short': 'WCCP inside GRE: counts as unknown-protocol',
  'wccp2-good': 'WCCP inside GRE: counts as unknown-protocol',
  'erspan1-hdr4-index': 'erspan: counts as unknown-protocol',
  'erspan3-o-no-subhdr': 'erspan: counts as unknown-protocol',
  'teb-13': 'gretap: counts as unknown-protocol',
  'etherip-v2': 'EtherIP: counts as no-tunnel',
  'etherip-res': 'EtherIP: counts as no-tunnel',
  'encaplimit-0': 'IPv6 underlay: counts as no-tunnel',
  'encaplimit-inner-0-on-encap': 'IPv6 underlay: no encapsulation limit is sent',
  'dstopt-hdrlen-overrun': 'IPv6 underlay: counts as no-tunnel',
  'ext-chain-20': 'IPv6 underlay: counts as no-tunnel',
  'ip6-nonfirst-frag': 'IPv6 underlay: counts as no-tunnel',
  'udp6-zero-csum': 'IPv6 underlay: counts as no-tunnel',
  'icmp-quote-8': 'ICMP errors from the underlay: not read yet',
  'icmp-quote-4': 'ICMP errors from the underlay: not read yet',
  'icmp-mtu-0': 'ICMP errors from the underlay: not read yet',
  'icmp-mtu-68': 'ICMP errors from the underlay: not read yet',
  'icmp6-quote-flags-trunc': 'ICMP errors from the underlay: not read yet',
};

/** Waiting for their tunnels, but told apart by decode already. */
const DECODED = [
  'encaplimit-0',
  'dstopt-hdrlen-overrun',
  'ext-chain-20',
  'ip6-nonfirst-frag',
  'udp6-zero-csum',
];

function tunnelOf(mode: Mode): Tunnel {
  const base = {
    name: mode,
    local: '192.0.2.1',
    remote: '198.51.100.2',
    ttl: 64,
    tos: 'inherit',
    pmtudisc: true,
    mtu: 1476,
    link: 0,
    allow: [
      { address: '10.1.1.0', bits: 24 },
      { address: '2001:db8:a::', bits: 48 },
    ],
    addresses: [{ address: '10.2.2.1', bits: 24 }],
  } as const;
  if (mode === 'ipip' || mode === 'sit') return { ...base, mode };
  return { ...base, mode, checksumOut: false, sequenceIn: false, sequenceOut: false };
}

function modeOf({ id, mode }: HostileCase): Mode {
  if (mode === 'gre' || mode === 'gre-udp' || mode === 'ipip' || mode === 'sit') return mode;
  throw new Error(`${id}: no tunnel has the mode ${mode}`);
}

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});

const tested = CASES.filter(({ id }) => !(id in WAITING));

for (const hostile of tested) {
  const { id, bytes, reason, innerTos } = hostile;
  test(`${id}: ${reason ?? 'forwarded'}`, () => {
    const tunnels = [tunnelOf(modeOf(hostile))];
    const received = decap(bytes, tunnels);
    assert.equal(received.reason, reason);
    if (innerTos !== undefined) {
      assert.ok(received.verdict === 'ok');
      assert.equal(received.packet[1], innerTos);
    }
    for (const plane of planes) {
      plane.publish(tunnels);
      const [processed] = plane.run('decap', [{ bytes }]);
      assert.ok(processed);
      assert.equal(reasonName(processed.reason), reason, plane.codec.name);
      if (received.verdict === 'drop') continue;
      const { offset, length, window } = processed;
      assert.deepEqual(window.slice(offset, offset + length), received.packet);
    }
  });
}

test('every packet of the file is tested or waits for a named reason', () => {
  const ids = CASES.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids.length, 95);
  assert.equal(tested.length, 77);
  assert.deepEqual(
    Object.keys(WAITING).filter((id) => !ids.includes(id)),
    [],
  );
});

test('packets that wait for their tunnel are dropped whole by a router of today', () => {
  for (const { id, bytes } of CASES.filter((entry) => entry.id in WAITING)) {
    const { reason } = decap(bytes, [tunnelOf('gre'), tunnelOf('sit'), tunnelOf('ipip')]);
    assert.ok(reason === 'no-tunnel' || reason === 'unknown-protocol', `${id}: ${reason}`);
  }
});

for (const { id, bytes, reason } of CASES.filter((entry) => DECODED.includes(entry.id))) {
  test(`decode of ${id}: ${reason ?? 'ok'}`, () => {
    assert.equal(decode(bytes)?.reason, reason);
  });
}
