// The hostile packets of other people's bug reports, each with the verdict we want.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { decap } from '../../src/packet/decap.js';
import { decode } from '../../src/packet/decode.js';
import { encap } from '../../src/packet/encap.js';
import { errorTunnel, readIcmp, readIcmpError } from '../../src/packet/icmp-quote.js';
import { reasonName } from '../../src/packet/reason.js';
import { createTable } from '../../src/packet/table.js';
import type { Tunnel } from '../../src/packet/tunnel.js';
import { readHostileCases } from '../support/cases.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

const CASES = readHostileCases();

/**
 * Packets whose expectation is not ours, with the reason. A packet that the list does not name is tested, and one that
 * is named must still be in the file.
 */
const OTHERWISE: Record<string, string> = {
  'erspan1-hdr4-index': 'erspan is no mode: RFC 2784, 2.4: unknown-protocol',
  'erspan3-o-no-subhdr': 'erspan is no mode: RFC 2784, 2.4: unknown-protocol',
  'etherip-v2': 'EtherIP is no mode, and IP protocol 97 is nothing else (RFC 3378): no-tunnel',
  'etherip-res': 'EtherIP is no mode, and IP protocol 97 is nothing else (RFC 3378): no-tunnel',
};

/** ICMP errors from the underlay: not for decap. What they change and count: test/netns/hostile-errors.long.test.ts. */
const CONTROL = CASES.filter(({ direction }) => direction === 'control');

/** The tunnels that packets of a mode are meant for, over IPv4 and where there is one over IPv6. */
function tunnelsOf(mode: string): Tunnel[] {
  const base = {
    name: mode,
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
  const over4 = { ...base, local: '192.0.2.1', remote: '198.51.100.2' };
  const over6 = { ...base, local: '2001:db8:0:1::1', remote: '2001:db8:0:2::2' };
  const gre = { checksumOut: false, sequenceIn: false, sequenceOut: false };
  switch (mode) {
    case 'ipip':
      return [
        { ...over4, mode },
        { ...over6, mode: 'ip4ip6' },
      ];
    case 'sit':
      return [
        { ...over4, mode },
        { ...over6, mode: 'ip6ip6' },
      ];
    case 'gre':
      return [
        { ...over4, ...gre, mode },
        { ...over6, ...gre, mode: 'ip6gre' },
      ];
    case 'gretap':
      return [
        { ...over4, ...gre, mode },
        { ...over6, ...gre, mode: 'ip6gretap' },
      ];
    case 'gre-udp':
      return [
        { ...over4, ...gre, mode },
        { ...over6, ...gre, mode },
      ];
    default:
      throw new Error(`no tunnel has the mode ${mode}`);
  }
}

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});

const tested = CASES.filter((one) => !(one.id in OTHERWISE) && !CONTROL.includes(one));

for (const hostile of tested) {
  const { id, bytes, reason, innerTos, mode, direction } = hostile;
  test(`${id}: ${reason ?? 'forwarded'}`, () => {
    const tunnels = tunnelsOf(mode);
    if (direction === 'tx') {
      for (const [index, tunnel] of tunnels.entries()) {
        assert.equal(encap(bytes, tunnel).reason, reason);
        for (const plane of planes) {
          plane.publish(tunnels);
          const [processed] = plane.run('encap', [{ bytes, tunnel: index + 1 }]);
          assert.equal(reasonName(processed?.reason ?? 0), reason, plane.codec.name);
        }
      }
      return;
    }
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
      if (received.verdict !== 'ok') continue;
      const { offset, length, window } = processed;
      assert.deepEqual(window.slice(offset, offset + length), received.packet);
    }
  });
}

/** Tunnels that the quoted packets of the ICMP errors are about: each error says which key it saw. */
const QUOTED: Readonly<Record<string, { readonly key: number | undefined; readonly mtu: number }>> =
  {
    'icmp-quote-8': { key: 7, mtu: 1400 },
    'icmp-quote-4': { key: undefined, mtu: 1400 },
    'icmp-mtu-0': { key: 7, mtu: 0 },
    'icmp-mtu-68': { key: 7, mtu: 68 },
  };

for (const { id, bytes, reason } of CONTROL) {
  test(`${id}: ${reason ?? 'heard'}`, () => {
    const message = readIcmp(bytes);
    assert.ok(message);
    const error = readIcmpError(message);
    if (reason !== null) {
      assert.equal(error, reason);
      return;
    }
    assert.ok(error !== null && error !== 'icmp-malformed');
    const { key, mtu } = QUOTED[id] ?? {};
    assert.equal(error.quote.key, key);
    assert.ok(error.told.kind === 'too-big');
    // Without an MTU: the plateau below the 60 bytes quoted. What a path is believed to take has a floor (paths.ts).
    assert.equal(error.told.mtu, mtu === 0 ? 68 : mtu);
    const [tunnel] = tunnelsOf('gre');
    assert.ok(tunnel?.mode === 'gre');
    const keyed = { ...tunnel, keyIn: 7, keyOut: 7 };
    assert.equal(errorTunnel(createTable([keyed]), error.quote), 1);
    assert.equal(errorTunnel(createTable([tunnel]), error.quote), key === undefined ? 1 : 0);
    assert.equal(
      errorTunnel(createTable([keyed, { ...tunnel, keyIn: 8, keyOut: 8 }]), error.quote),
      key === undefined ? 0 : 1,
    );
  });
}

test('every packet of the file is tested, is an ICMP error, or has its reason why not', () => {
  const ids = CASES.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids.length, 95);
  assert.deepEqual(
    CONTROL.map(({ id }) => id),
    ['icmp-quote-8', 'icmp-quote-4', 'icmp-mtu-0', 'icmp-mtu-68', 'icmp6-quote-flags-trunc'],
  );
  assert.equal(tested.length, 95 - CONTROL.length - Object.keys(OTHERWISE).length);
  assert.deepEqual(
    Object.keys(OTHERWISE).filter((id) => !ids.includes(id)),
    [],
  );
});

test('packets of protocols that are no mode of ours are dropped whole', () => {
  for (const { id, bytes } of CASES.filter((entry) => entry.id in OTHERWISE)) {
    const { reason } = decap(bytes, [
      ...tunnelsOf('gre'),
      ...tunnelsOf('sit'),
      ...tunnelsOf('ipip'),
    ]);
    assert.ok(reason === 'no-tunnel' || reason === 'unknown-protocol', `${id}: ${reason}`);
  }
});

test('what no tunnel is needed to see is the same verdict in decode', () => {
  const formal = ['dstopt-hdrlen-overrun', 'ext-chain-20', 'ip6-nonfirst-frag', 'udp6-zero-csum'];
  for (const { id, bytes, reason } of CASES) {
    if (formal.includes(id)) assert.equal(decode(bytes)?.reason, reason, id);
  }
});
