// Which lane a packet is for: the filter interpreted, compared with a choice made in plain TypeScript, and run by
// the kernel on raw sockets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { close, errno, errnoName, NativeBlock, recvfrom, sendto } from '../../../src/sys/libc.js';
import {
  AF_INET,
  AF_INET6,
  openSocket,
  SOCK_RAW,
  setBuffers,
  socketAddress,
} from '../../../src/sys/socket.js';
import { filterFlows, flowFilter } from '../../../src/underlay/raw/flow-filter.js';
import { mutated, noise, outer } from '../../support/arbitrary.js';
import { runFilter } from '../../support/classic-bpf.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import {
  type GreFields,
  gre,
  type Ipv4Fields,
  ipv4,
  ipv6,
  tcp,
  udp,
} from '../../support/packets.js';

const skip = enterOwnNamespace();
if (!skip) ip('link set dev lo mtu 65000');

const COUNTS = [1, 2, 3, 4, 5, 6, 7, 8];

const filters = new Map<string, Uint8Array>();

/** A lane's filter on sockets of a version and protocol, made once. */
function filterOf(version: 4 | 6, protocol: number, lane: number, count: number): Uint8Array {
  const key = `${version} ${protocol} ${lane} ${count}`;
  const made = filters.get(key) ?? flowFilter({ version, protocol }, lane, count);
  filters.set(key, made);
  return made;
}

/** The lanes that keep a packet, at sockets of its version and protocol. */
function keepers(packet: Uint8Array, count: number): number[] {
  const isIpv4 = (packet[0] ?? 0) >>> 4 !== 6;
  const protocol = packet[isIpv4 ? 9 : 6] ?? 0;
  const received = isIpv4 ? packet : packet.subarray(40);
  return Array.from({ length: count }, (_, lane) => lane).filter((lane) => {
    return runFilter(filterOf(isIpv4 ? 4 : 6, protocol, lane, count), received, packet) > 0;
  });
}

const MIX = 0x9e3779b1;

/** The choice, made a second time: words of the flow, mixed one after another. */
function laneOf(packet: Uint8Array, count: number): number {
  const sum = wordsOf(packet).reduce((mixed, word) => (Math.imul(mixed, MIX) ^ word) >>> 0);
  return (Math.imul(sum, MIX) >>> 16) % count;
}

function wordsOf(bytes: Uint8Array): [number, ...number[]] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = (from: number, count: number): [number, ...number[]] => {
    const more = Array.from({ length: count - 1 }, (_, n) => view.getUint32(from + 4 + n * 4));
    return [view.getUint32(from), ...more];
  };
  const isIpv6 = view.getUint8(0) >>> 4 === 6;
  const sender = isIpv6 ? words(8, 4) : words(12, 1);
  let at = isIpv6 ? 40 : (view.getUint8(0) & 15) * 4;
  const has = (length: number): boolean => bytes.length >= at + length;
  if (view.getUint8(isIpv6 ? 6 : 9) === 47) {
    if (!has(4)) return sender;
    const flags = view.getUint16(at);
    const type = view.getUint16(at + 2);
    if (flags & 0x1000) return sender;
    at += 4 + (flags & 0x8000 ? 4 : 0) + (flags & 0x2000 ? 4 : 0);
    if (type === 0x6558) {
      if (!has(14)) return sender;
      if (![0x0800, 0x86dd].includes(view.getUint16(at + 12))) return words(at, 3);
      at += 14;
    }
  }
  if (!has(1)) return sender;
  const version = view.getUint8(at) >>> 4;
  const ports = (from: number): number[] =>
    bytes.length >= from + 4 ? [view.getUint32(from)] : [];
  const hasPorts = (protocol: number): boolean => protocol === 6 || protocol === 17;
  if (version === 4 && has(20)) {
    const isWhole = (view.getUint16(at + 6) & 0x3fff) === 0;
    if (!isWhole || !hasPorts(view.getUint8(at + 9))) return words(at + 12, 2);
    return [...words(at + 12, 2), ...ports(at + (view.getUint8(at) & 15) * 4)];
  }
  if (version === 6 && has(40)) {
    const addresses = words(at + 8, 8);
    return hasPorts(view.getUint8(at + 6)) ? [...addresses, ...ports(at + 40)] : addresses;
  }
  return sender;
}

/** The same over IPv6: another header in front of what `packet`, over IPv4, carries. */
function over6(packet: Uint8Array): Uint8Array {
  const payload = packet.subarray(((packet[0] ?? 0) & 15) * 4);
  const source = `20010db8${'0'.repeat(16)}${Buffer.from(packet.subarray(12, 16)).toString('hex')}`;
  return ipv6({ source, destination: LOCAL6, nextHeader: packet[9] ?? 0, payload });
}

const LOCAL6 = '20010db8000000000000000000000001';

test('every packet, sound or not, is kept by exactly the lane of its flow', () => {
  // The kernel hands out no packet shorter than its IP header.
  const any = fc.oneof(outer, mutated, noise).filter((bytes) => {
    return bytes.length >= 20 && bytes.length >= ((bytes[0] ?? 0) & 15) * 4;
  });
  fc.assert(
    fc.property(any, (packet) => {
      packet[0] = 0x40 | ((packet[0] ?? 0) & 15);
      for (const one of [packet, over6(packet)]) {
        for (const count of COUNTS) {
          assert.deepEqual(keepers(one, count), [laneOf(one, count)], `${count} lanes`);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('a packet cut anywhere is kept by exactly one lane', () => {
  for (const whole of [
    greAround(inner4({})),
    greAround(inner6()),
    greAround(inner4({}), { key: 7 }),
    greAround(frame(0x0800, inner4({})), { protocol: TYPE_ETHERNET }),
    greAround(frame(0x86dd, inner6()), { protocol: TYPE_ETHERNET, key: 7 }),
  ]) {
    for (let length = 20; length <= whole.length; length++) {
      const packet = whole.subarray(0, length);
      for (const one of [packet, over6(packet)]) {
        for (const count of COUNTS) {
          assert.deepEqual(keepers(one, count), [laneOf(one, count)], `${length}`);
        }
      }
    }
  }
});

const SOURCE = Uint8Array.of(10, 1, 0, 2);
const DESTINATION = Uint8Array.of(10, 2, 0, 2);

/** TCP from `port` to 443; `fields` are those of the IP header. */
function inner4(fields: Partial<Ipv4Fields>, port = 49152, size = 8, protocol = 6): Uint8Array {
  const upper = {
    source: SOURCE,
    destination: DESTINATION,
    checksum: 0,
    payload: new Uint8Array(size),
  };
  const segment = Buffer.from(protocol === 6 ? tcp(upper) : udp(upper));
  segment.writeUInt16BE(port, 0);
  const ends = { source: SOURCE.join('.'), destination: DESTINATION.join('.') };
  return ipv4({ ...ends, protocol, payload: segment, ...fields });
}

function inner6(port = 49152, size = 8): Uint8Array {
  const ends = { source: SOURCE, destination: DESTINATION, checksum: 0 };
  const segment = Buffer.from(tcp({ ...ends, payload: new Uint8Array(size) }));
  segment.writeUInt16BE(port, 0);
  const source = 'fd000001000000000000000000000002';
  const destination = 'fd000002000000000000000000000002';
  return ipv6({ source, destination, nextHeader: 6, payload: segment });
}

function greAround(payload: Uint8Array, fields: GreFields = {}, source = '192.0.2.2'): Uint8Array {
  const carried = gre({ ...fields, payload });
  return ipv4({ source, destination: '192.0.2.1', protocol: 47, payload: carried });
}

const TYPE_ETHERNET = 0x6558;

/** An Ethernet frame between two stations; `last` is the last byte of the sender's address. */
function frame(ethertype: number, payload: Uint8Array, last = 1): Uint8Array {
  const head = [0x40, 2, 3, 4, 5, 6, 0x60, 2, 3, 4, 5, last, ethertype >>> 8, ethertype & 0xff];
  return Uint8Array.from([...head, ...payload]);
}

const laneAmong8 = (packet: Uint8Array): number => keepers(packet, 8)[0] ?? -1;

test('all packets of a flow are for one lane, whatever else they differ in', () => {
  for (let port = 1024; port < 1224; port++) {
    const lanes = new Set([
      laneAmong8(greAround(inner4({}, port))),
      laneAmong8(greAround(inner4({ tos: 0xb8, ttl: 3, identification: 99 }, port, 1000))),
      laneAmong8(greAround(inner4({ options: new Uint8Array(12).fill(1) }, port))),
      laneAmong8(greAround(inner4({}, port), { key: 7 })),
      laneAmong8(greAround(inner4({}, port), { checksum: true })),
      laneAmong8(greAround(inner4({}, port), { checksum: true, key: 0xffff_ffff })),
      laneAmong8(greAround(inner4({}, port), {}, '203.0.113.9')),
      laneAmong8(
        ipv4({
          source: '192.0.2.2',
          destination: '192.0.2.1',
          protocol: 4,
          payload: inner4({}, port),
        }),
      ),
    ]);
    assert.equal(lanes.size, 1, `port ${port}: ${[...lanes]}`);
    const lanes6 = new Set([
      laneAmong8(greAround(inner6(port))),
      laneAmong8(greAround(inner6(port, 999), { key: 1, checksum: true })),
      laneAmong8(
        ipv4({
          source: '192.0.2.2',
          destination: '192.0.2.1',
          protocol: 41,
          payload: inner6(port),
        }),
      ),
    ]);
    assert.equal(lanes6.size, 1);
  }
});

test('over IPv6 a flow is for the lane that it is for over IPv4', () => {
  for (let port = 1024; port < 1124; port++) {
    for (const packet of [
      greAround(inner4({}, port)),
      greAround(inner6(port), { key: 1, checksum: true }),
      greAround(frame(0x86dd, inner6(port)), { protocol: TYPE_ETHERNET }),
    ]) {
      assert.equal(laneAmong8(over6(packet)), laneAmong8(packet));
    }
  }
});

test('in frames a flow is for the lane that its packets are for, and what is no IP for that of its stations', () => {
  const around = (payload: Uint8Array): number =>
    laneAmong8(greAround(payload, { protocol: TYPE_ETHERNET }));
  for (let port = 1024; port < 1224; port++) {
    const packet = inner4({ tos: port & 0xff }, port, port & 63);
    assert.equal(around(frame(0x0800, packet, port & 0xff)), laneAmong8(greAround(packet)));
    assert.equal(around(frame(0x86dd, inner6(port))), laneAmong8(greAround(inner6(port))));
  }
  const spread = new Set<number>();
  for (let last = 0; last < 100; last++) {
    const lanes = [28, 100, 14].map((size) =>
      around(frame(0x0806, new Uint8Array(size).fill(size), last)),
    );
    assert.equal(new Set(lanes).size, 1);
    for (const lane of lanes) spread.add(lane);
  }
  assert.equal(spread.size, 8);
});

test('fragments of a packet are for one lane, though only the first has ports', () => {
  for (let last = 0; last < 100; last++) {
    const ends = { source: `10.1.0.${last}`, destination: '10.2.0.2' };
    const first = greAround(inner4({ ...ends, fragment: 0x2000 }, 5000));
    const next = greAround(inner4({ ...ends, fragment: 0x2003 }, 77));
    const end = greAround(inner4({ ...ends, fragment: 0x0007 }, 9));
    assert.equal(new Set([first, next, end].map(laneAmong8)).size, 1);
  }
});

test('numbered packets of one sender are for one lane, whatever they carry', () => {
  const senders = new Set<number>();
  const senders6 = new Set<number>();
  for (let last = 1; last < 100; last++) {
    const source = `192.0.2.${last}`;
    const packets = [1, 2, 3, 4, 5].map((n) =>
      greAround(inner4({}, 3000 + n), { sequence: n, key: n % 2 }, source),
    );
    for (const [set, ofFamily] of [
      [senders, packets],
      [senders6, packets.map(over6)],
    ] as const) {
      const lanes = new Set(ofFamily.map(laneAmong8));
      assert.equal(lanes.size, 1);
      for (const lane of lanes) set.add(lane);
    }
  }
  assert.deepEqual([senders.size, senders6.size], [8, 8], 'senders are spread');
});

test('flows are spread over all lanes evenly', () => {
  for (const count of COUNTS) {
    const counts = new Array<number>(count).fill(0);
    const flows = 2000;
    for (let port = 0; port < flows; port++) {
      const [lane = 0] = keepers(greAround(inner4({}, 20000 + port)), count);
      counts[lane] = (counts[lane] ?? 0) + 1;
    }
    for (const share of counts) {
      assert.ok(Math.abs(share - flows / count) < (flows / count) * 0.3, `${count}: ${counts}`);
    }
  }
});

const SIZE_LIMIT = 65536;
const MSG_DONTWAIT = 0x40;
const IPPROTO_RAW = 255;
const PROTOCOLS = [47, 4, 41];

for (const version of [4, 6] as const) {
  test(`on raw sockets of IPv${version} the kernel gives each packet to the one that the filter says`, {
    skip,
  }, () => {
    const packets = fc
      .sample(fc.oneof(outer, mutated), { numRuns: 3000, seed: 7 })
      .filter((bytes) => bytes.length >= 20 && PROTOCOLS.includes(bytes[9] ?? 0))
      .filter((bytes) => bytes[0] === 0x45 && ((bytes[6] ?? 0) & 0x3f) === 0 && bytes[7] === 0);
    const frames = [0x0800, 0x86dd, 0x0806, 0x8100].map((type, n) =>
      greAround(frame(type, inner4({}, 2000 + n)), { protocol: TYPE_ETHERNET }),
    );
    assert.ok(packets.length > 500);
    const family = version === 4 ? AF_INET : AF_INET6;
    const sender = openSocket(family, SOCK_RAW, IPPROTO_RAW, 'sender');
    try {
      for (const count of [2, 3, 8]) {
        const sockets = Array.from({ length: count }, (_, lane) =>
          PROTOCOLS.map((protocol) => {
            const fd = openSocket(family, SOCK_RAW, protocol, 'receiver');
            setBuffers(fd, 8 << 20);
            filterFlows(fd, { version, protocol }, lane, count);
            return fd;
          }),
        );
        try {
          for (const packet of [...packets, ...frames]) {
            assertDelivered(
              sender,
              sockets,
              version === 4 ? onLoopback4(packet) : onLoopback6(packet),
            );
          }
        } finally {
          for (const fd of sockets.flat()) close(fd);
        }
      }
    } finally {
      close(sender);
    }
  });
}

function onLoopback4(packet: Uint8Array): Uint8Array {
  const sent = Uint8Array.from(packet);
  sent.set([127, 0, 0, 1], 16);
  sent.set([127, 0, 0, (packet[15] ?? 0) & 127 || 1], 12);
  return sent;
}

/** From one of our addresses, which differ as the senders of `packet` do, to ::1. */
function onLoopback6(packet: Uint8Array): Uint8Array {
  const sent = Uint8Array.from(over6(packet));
  sent.fill(0, 8, 40);
  sent.set([0xfd, 0, (packet[15] ?? 0) & 7], 8);
  sent[39] = 1;
  return sent;
}

const block = new NativeBlock(SIZE_LIMIT);

/** Sends a packet over loopback; exactly the sockets of its lane have it, and once. */
function assertDelivered(
  sender: number,
  sockets: readonly (readonly number[])[],
  sent: Uint8Array,
): void {
  const isIpv4 = sent[0] === 0x45;
  const to = socketAddress(isIpv4 ? sent.subarray(16, 20) : sent.subarray(24, 40), 0);
  block.bytes.set(sent);
  const result = sendto(sender, block.address, sent.length, 0, to.address, to.bytes.length);
  assert.equal(result, sent.length, errnoName(errno()));
  const received = sockets.flatMap((fds, lane) =>
    fds.flatMap((fd) => {
      const length = recvfrom(fd, block.address, SIZE_LIMIT, MSG_DONTWAIT, 0, 0);
      return length < 0 ? [] : [{ lane, bytes: block.bytes.slice(0, length) }];
    }),
  );
  assert.equal(received.length, 1, Buffer.from(sent).toString('hex'));
  for (const { lane, bytes } of received) {
    const whole = isIpv4 ? bytes : Uint8Array.from([...sent.subarray(0, 40), ...bytes]);
    assert.equal(lane, laneOf(whole, sockets.length));
  }
}
