import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GreTunnel, Tunnel } from '../../src/packet/tunnel.js';
import { endpointsOf, isLinkLocal } from '../../src/router/endpoints.js';
import { PLAIN_GRE, PLAIN_IPIP } from '../support/tunnels.js';

const OVER6 = { local: '2001:db8::1', remote: '2001:db8::2' } as const;
const GRE_UDP: GreTunnel = { ...PLAIN_GRE, mode: 'gre-udp' };

const protocolsOf = (tunnels: readonly Tunnel[]): string[] =>
  endpointsOf(tunnels).protocols.map(({ version, protocol }) => `${version} ${protocol}`);

test('each protocol has one socket for each version of IP that it travels over', () => {
  const tunnels: Tunnel[] = [
    PLAIN_GRE,
    { ...PLAIN_GRE, mode: 'gretap' },
    PLAIN_IPIP,
    { ...PLAIN_IPIP, mode: 'sit' },
    { ...PLAIN_GRE, ...OVER6, mode: 'ip6gre' },
    { ...PLAIN_GRE, ...OVER6, mode: 'ip6gretap' },
    { ...PLAIN_IPIP, ...OVER6, mode: 'ip4ip6' },
    { ...PLAIN_IPIP, ...OVER6, mode: 'ip6ip6' },
    { ...GRE_UDP, ...OVER6 },
  ];
  assert.deepEqual(protocolsOf(tunnels), ['4 47', '4 4', '4 41', '6 47', '6 4', '6 41']);
  assert.deepEqual(endpointsOf(tunnels).versions, [4, 6]);
  assert.deepEqual(endpointsOf([PLAIN_GRE]).versions, [4], 'nothing of IPv6 where no tunnel asks');
  assert.deepEqual(endpointsOf([{ ...GRE_UDP, ...OVER6 }]).versions, [6]);
  assert.deepEqual(protocolsOf([GRE_UDP]), []);
});

test('a group is joined once on each device that tunnels to it are bound to', () => {
  const groups: Tunnel[] = [
    { ...PLAIN_GRE, remote: '239.1.1.1' },
    { ...PLAIN_GRE, remote: '239.1.1.1', keyIn: 7 },
    { ...PLAIN_GRE, remote: '239.1.1.1', link: 3 },
    { ...PLAIN_GRE, ...OVER6, mode: 'ip6gre', remote: 'ff15::1', link: 3 },
    { ...GRE_UDP, remote: '239.2.2.2' },
    PLAIN_GRE,
  ];
  const { groups: plain, udp } = endpointsOf(groups);
  assert.deepEqual(plain, [
    { address: '239.1.1.1', link: 0 },
    { address: '239.1.1.1', link: 3 },
    { address: 'ff15::1', link: 3 },
  ]);
  assert.deepEqual(udp.groups, [{ address: '239.2.2.2', link: 0 }]);
});

test('tunnels over UDP are received at their local addresses, or at all of their family', () => {
  const { udp } = endpointsOf([
    PLAIN_GRE,
    GRE_UDP,
    { ...GRE_UDP, local: 'any' },
    { ...GRE_UDP, ...OVER6 },
    { ...GRE_UDP, ...OVER6, local: 'any' },
    { ...GRE_UDP, local: 'fe80::1', remote: 'fe80::2', link: 5 },
    { ...GRE_UDP, ...OVER6, link: 5 },
  ]);
  assert.deepEqual(udp.locals, [
    { address: '192.0.2.1', link: 0 },
    { address: '0.0.0.0', link: 0 },
    { address: '2001:db8::1', link: 0 },
    { address: '::', link: 0 },
    { address: 'fe80::1', link: 5 },
    { address: '2001:db8::1', link: 0 },
  ]);
  assert.deepEqual(udp.records, [2, 3, 4, 5, 6, 7]);
  assert.deepEqual(udp.headed, []);
});

test('what a UDP socket would not write into the header leaves by the plain underlay', () => {
  const tunnels: Tunnel[] = [
    { ...GRE_UDP, ...OVER6, flowLabel: 0 },
    { ...GRE_UDP, ...OVER6, flowLabel: 0x12345 },
    { ...GRE_UDP, ...OVER6, flowLabel: 'inherit' },
    { ...GRE_UDP, ...OVER6, encapLimit: 4 },
    { ...GRE_UDP, flowLabel: 7, encapLimit: 4 }, // over IPv4 they say nothing
    { ...GRE_UDP, ...OVER6, flowLabel: 'flow' },
    { ...GRE_UDP, sourcePort: 4754 }, // the sockets' own ports are others
    { ...GRE_UDP, sequenceOut: true, orderedPort: 50000 }, // any will do
  ];
  assert.deepEqual(endpointsOf(tunnels).udp.headed, [2, 3, 4, 6, 7]);
});

test('link-local addresses are those of fe80::/10', () => {
  for (const text of ['fe80::1', 'febf:ffff::', 'fe9a::2']) assert.ok(isLinkLocal(text), text);
  for (const text of ['fec0::1', 'fd00::1', 'ff02::1', '169.254.0.1', 'any']) {
    assert.ok(!isLinkLocal(text), text);
  }
});
