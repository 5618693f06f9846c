// Multicast groups: what is sent to one arrives at its members, over either version and either kind of socket, and
// not at the sender.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { REASON_NONE } from '../../asm/reason.js';
import { PacketSocket } from '../../src/demo/packet-socket.js';
import { addressBytes } from '../../src/sys/address-bytes.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { interfaceIndex } from '../../src/sys/libc.js';
import type { Underlay } from '../../src/underlay/contract.js';
import { type Group, GroupMembership } from '../../src/underlay/groups.js';
import { RawUnderlay } from '../../src/underlay/raw/raw.js';
import { UdpUnderlay } from '../../src/underlay/udp/udp.js';
import { takeFrames } from '../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';
import { gre, greUdp, ipv4, ipv6 } from '../support/packets.js';
import { RingBench } from '../support/ring-bench.js';

const skip = enterOwnNamespace();
const GRE = 47;
const GROUPS = { 4: '239.1.2.3', 6: 'ff15::1:2' } as const;
const SOURCES = { 4: '192.0.2.1', 6: 'fd00::1' } as const;
/** The other end's own addresses. */
const MEMBERS = { 4: '198.51.100.1', 6: 'fd01::1' } as const;
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

type Kind = 'raw' | 'udp' | 'udp for all';
const KINDS: readonly Kind[] = ['raw', 'udp', 'udp for all'];

/** A GRE packet to the group, in UDP or not. */
function packet(version: 4 | 6, kind: Kind): Uint8Array {
  const digits = (text: string): string =>
    version === 4 ? text : Buffer.from(addressBytes(text)).toString('hex');
  const ends = { source: digits(SOURCES[version]), destination: digits(GROUPS[version]) };
  const carried = gre({ payload: PAYLOAD });
  const isUdp = kind !== 'raw';
  const protocol = isUdp ? 17 : GRE;
  const payload = isUdp ? greUdp({ ...ends, sourcePort: 50_000, payload: carried }) : carried;
  return version === 4
    ? ipv4({ ...ends, protocol, ttl: 3, identification: 9, payload })
    : ipv6({ ...ends, nextHeader: protocol, hopLimit: 3, payload });
}

interface End {
  readonly bench: RingBench;
  readonly underlay: Underlay;
  readonly link: number;
}

/** An end out of `device`, a member of the group there or of nothing. */
function open(version: 4 | 6, kind: Kind, device: 'u0' | 'u1', isMember: boolean): End {
  const bench = new RingBench();
  const link = interfaceIndex(device);
  const groups: Group[] = isMember ? [{ address: GROUPS[version], link }] : [];
  const shared = { groups, links: new Map([[link, device]]), linkOf: () => link };
  const own = { u0: SOURCES, u1: MEMBERS }[device][version];
  const all = version === 4 ? '0.0.0.0' : '::';
  const underlay =
    kind === 'raw'
      ? new RawUnderlay(bench.memory, {
          ...{ ...shared, protocols: [{ version, protocol: GRE }], versions: [version] },
          ...{ lane: 0, laneCount: 1 },
        })
      : new UdpUnderlay(bench.memory, {
          ...{ ...shared, isShared: false, onSegmentationRefused: () => {} },
          locals: [{ address: kind === 'udp' ? own : all, link: 0 }],
        });
  return { bench, underlay, link };
}

/** What an end has received of the packets that were just sent: they are there at once. */
const received = ({ bench, underlay }: End): Uint8Array[] =>
  bench.receiveNow(underlay).map(({ bytes }) => bytes);

for (const version of [4, 6] as const) {
  for (const kind of KINDS) {
    test(`${kind}, IPv${version}: a group's packets come to its member once, with the sender's TTL and address`, {
      skip,
    }, async () => {
      // The port is the machine's: who has it for all addresses leaves it to nobody.
      const sender = open(version, kind === 'udp' ? 'udp' : 'raw', 'u0', false);
      const member = open(version, kind, 'u1', true);
      try {
        const sent = packet(version, kind);
        assert.deepEqual(sender.bench.send(sender.underlay, [sent]), [REASON_NONE]);
        const [arrived] = await member.bench.receive(member.underlay, 1);
        assert.ok(arrived);
        const { bytes, link } = arrived;
        assert.equal(link, member.link);
        if (version === 4) assert.deepEqual(bytes.subarray(8, 10), sent.subarray(8, 10), 'TTL');
        else assert.deepEqual(bytes.subarray(0, 8), sent.subarray(0, 8));
        const addresses = version === 4 ? [12, 20] : [8, 40];
        assert.deepEqual(bytes.subarray(...addresses), sent.subarray(...addresses));
        const carried = (version === 4 ? 20 : 40) + (kind === 'raw' ? 0 : 8);
        assert.deepEqual(bytes.subarray(carried), sent.subarray(carried));
        assert.deepEqual(received(member), [], 'once');
      } finally {
        sender.underlay.close();
        member.underlay.close();
      }
    });

    test(`${kind}, IPv${version}: who is no member gets nothing, and a sender that is one nothing of its own`, {
      skip,
    }, () => {
      const sender = open(version, kind === 'udp' ? 'udp' : 'raw', 'u0', true);
      const other = open(version, kind, 'u1', false);
      const watcher = new PacketSocket('u1', 2000);
      try {
        const sent = packet(version, kind);
        assert.deepEqual(sender.bench.send(sender.underlay, [sent]), [REASON_NONE]);
        const frames = takeFrames(watcher).filter((frame) => (frame[0] ?? 0) & 1);
        const ttl = 14 + (version === 4 ? 8 : 7);
        assert.ok(
          frames.some((frame) => frame[ttl] === 3),
          'it has left',
        );
        assert.deepEqual([received(sender), received(other)], [[], []]);
      } finally {
        sender.underlay.close();
        other.underlay.close();
        watcher.close();
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
