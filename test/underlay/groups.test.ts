// Multicast groups: what is sent to one arrives at its members, over either version and either kind of socket, and
// not at the sender.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { REASON_NONE } from '../../asm/reason.js';
import { addressBytes } from '../../src/sys/address-bytes.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { interfaceIndex } from '../../src/sys/libc.js';
import type { Underlay } from '../../src/underlay/contract.js';
import { type Group, GroupMembership } from '../../src/underlay/groups.js';
import { RawUnderlay } from '../../src/underlay/raw.js';
import { UdpUnderlay } from '../../src/underlay/udp.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';
import { gre, greUdp, ipv4, ipv6 } from '../support/packets.js';
import { RingBench } from '../support/ring-bench.js';

const skip = enterOwnNamespace();
const GRE = 47;
const GROUPS = { 4: '239.1.2.3', 6: 'ff15::1:2' } as const;
const SOURCES = { 4: '192.0.2.1', 6: 'fd00::1' } as const;
const PAYLOAD = Uint8Array.of(0x45, 1, 2, 3);

before(() => {
  if (skip) return;
  // Both ends of the cable are ours: what arrives comes from an address of our own.
  for (const scope of ['all', 'default']) {
    writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/accept_local`, '1');
    writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/rp_filter`, '0');
  }
  ip('link add u0 type veth peer name u1');
  for (const device of ['u0', 'u1']) ip(`link set ${device} up`);
  ip('address add 192.0.2.1/24 dev u0');
  ip('address add 198.51.100.1/24 dev u1');
  ip('address add fd00::1/64 dev u0 nodad');
  ip('address add fd01::1/64 dev u1 nodad');
});

after(() => {
  if (!skip) ip('link del u0');
});

/** A GRE packet to the group, in UDP or not. */
function packet(version: 4 | 6, isUdp: boolean, ttl = 3): Uint8Array {
  const ends = { source: SOURCES[version], destination: GROUPS[version] };
  const carried = gre({ payload: PAYLOAD });
  const protocol = isUdp ? 17 : GRE;
  const payload = isUdp
    ? greUdp({ ...ends, sourcePort: 50_000, payload: carried, checksum: 0 })
    : carried;
  if (version === 4) return ipv4({ ...ends, protocol, ttl, identification: 9, payload });
  const digits = (text: string): string => Buffer.from(addressBytes(text)).toString('hex');
  return ipv6({
    ...{ source: digits(ends.source), destination: digits(ends.destination) },
    ...{ nextHeader: protocol, hopLimit: ttl, payload },
  });
}

/** A sender out of u0, and a receiver that is a member on u1 or of nothing. */
function open(
  version: 4 | 6,
  isUdp: boolean,
  device: string,
  isMember: boolean,
): [RingBench, Underlay] {
  const bench = new RingBench();
  const link = interfaceIndex(device);
  const groups: Group[] = isMember ? [{ address: GROUPS[version], link }] : [];
  const shared = { groups, links: new Map([[link, device]]), linkOf: () => link };
  const underlay = isUdp
    ? new UdpUnderlay(bench.memory, {
        ...{ ...shared, isShared: true, onSegmentationRefused: () => {} },
        locals: [{ address: version === 4 ? '0.0.0.0' : '::', link: 0 }],
      })
    : new RawUnderlay(bench.memory, {
        ...{ ...shared, protocols: [{ version, protocol: GRE }], versions: [version] },
        ...{ lane: 0, laneCount: 1 },
      });
  return [bench, underlay];
}

for (const version of [4, 6] as const) {
  for (const isUdp of [false, true]) {
    const kind = `${isUdp ? 'UDP' : 'raw'} sockets of IPv${version}`;

    test(`${kind}: a group's packets come to its member, with the sender's TTL and address`, {
      skip,
    }, async () => {
      const [sender, out] = open(version, isUdp, 'u0', false);
      const [receiver, into] = open(version, isUdp, 'u1', true);
      try {
        const sent = packet(version, isUdp);
        assert.deepEqual(sender.send(out, [sent]), [REASON_NONE]);
        const received = await receiver.receive(into, 1);
        assert.equal(received.length, 1);
        const { bytes, link } = received[0] ?? { bytes: new Uint8Array(0), link: 0 };
        assert.equal(link, interfaceIndex('u1'));
        const start = version === 4 ? 20 : 40;
        if (version === 4) assert.deepEqual(bytes.subarray(8, 10), sent.subarray(8, 10), 'TTL');
        else assert.deepEqual(bytes.subarray(0, 8), sent.subarray(0, 8));
        const addresses = version === 4 ? [12, 20] : [8, 40];
        assert.deepEqual(bytes.subarray(...addresses), sent.subarray(...addresses));
        const carried = isUdp ? start + 8 : start;
        assert.deepEqual(bytes.subarray(carried), sent.subarray(carried));
        assert.deepEqual(receiver.receiveNow(into), [], 'once');
      } finally {
        out.close();
        into.close();
      }
    });

    test(`${kind}: who is no member gets nothing, and a sender that is one nothing of its own`, {
      skip,
    }, async () => {
      const [sender, out] = open(version, isUdp, 'u0', true);
      const [other, outside] = isUdp ? [sender, out] : open(version, isUdp, 'u1', false);
      try {
        assert.deepEqual(sender.send(out, [packet(version, isUdp)]), [REASON_NONE]);
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.deepEqual(sender.receiveNow(out), []);
        assert.deepEqual(other.receiveNow(outside), []);
      } finally {
        out.close();
        if (outside !== out) outside.close();
      }
    });
  }
}

/** Groups that the kernel has on a device. */
function groupsOf(device: string): Set<string> {
  const [{ maddr }] = JSON.parse(ip(`-j maddress show dev ${device}`));
  return new Set(maddr.map(({ address }: { address?: string }) => address));
}

test('more groups than one socket may have are joined all the same, and left together', {
  skip,
}, () => {
  const link = interfaceIndex('u1');
  const groups = [
    ...Array.from({ length: 45 }, (_, n) => ({ address: `239.9.0.${n + 1}`, link })),
    ...Array.from({ length: 45 }, (_, n) => ({ address: `ff15::9:${n + 1}`, link })),
  ];
  const membership = new GroupMembership(groups);
  const joined = groupsOf('u1');
  for (const { address } of groups) assert.ok(joined.has(address), address);
  membership.close();
  const left = groupsOf('u1');
  for (const { address } of groups) assert.ok(!left.has(address), address);
});

test('a group that no device leads to is a Failure that says what to do', { skip }, () => {
  for (const address of [GROUPS[4], 'ff15::1']) {
    assert.throws(
      () => new GroupMembership([{ address, link: 9999 }]),
      (error) =>
        error instanceof Failure &&
        error.exitCode === EXIT.kernelRefused &&
        error.message === `cannot join the multicast group ${address}: ENODEV` &&
        /dev = "DEVICE"/.test(error.hint ?? ''),
    );
  }
});
