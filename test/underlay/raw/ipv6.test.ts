// Raw sockets over IPv6: the header that the kernel takes off is there again, byte for byte; beside IPv4 sockets
// packets keep their order; and whoever has such a socket keeps the kernel from answering.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  REASON_ECN,
  REASON_NO_ROUTE,
  REASON_NONE,
  REASON_TOO_BIG,
  REASON_TX_ENOBUFS,
  REASON_TX_ERROR,
} from '../../../asm/reason.js';
import { PacketSocket } from '../../../src/demo/packet-socket.js';
import { interfaceIndex } from '../../../src/sys/libc.js';
import { RawUnderlay, type RawUnderlayOptions } from '../../../src/underlay/raw/raw.js';
import { takeFrames } from '../../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { hex, ipv4 } from '../../support/packets.js';
import { RingBench } from '../../support/ring-bench.js';

const skip = enterOwnNamespace();
const GRE = 47;
const LOCAL = 'fd000000000000000000000000000001';
const REMOTE = 'fd000000000000000000000000000002';
const NOWHERE = '20010db8000000000000000000000099';
const TO_LOOPBACK = '00000000000000000000000000000001';
const MTU = 1500;

before(() => {
  if (skip) return;
  writeFileSync('/proc/sys/net/ipv6/conf/default/router_solicitations', '0');
  ip('link add u0 type veth peer name u1');
  writeFileSync('/proc/sys/net/ipv6/conf/u1/disable_ipv6', '1');
  for (const device of ['u0', 'u1']) ip(`link set ${device} up`);
  for (const address of ['fd00::1/64', 'fe80::1/64']) ip(`address add ${address} dev u0 nodad`);
  ip('address add 192.0.2.1/24 dev u0');
  ip('neigh add fd00::2 lladdr 02:00:00:00:00:02 dev u0');
  ip('neigh add fe80::2 lladdr 02:00:00:00:00:02 dev u0');
  ip('neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev u0');
});

after(() => {
  if (!skip) spawnSync('ip', ['link', 'del', 'u0']);
});

interface Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly hopLimit?: number;
  readonly length?: number;
  /** Of the last byte. */
  readonly mark?: number;
}

/** An IPv6 packet of `length` bytes in all, whose payload begins like plain GRE. */
function packet(fields: Fields = {}): Uint8Array {
  const { trafficClass = 0, flowLabel = 0, length = 64, mark = 7 } = fields;
  const bytes = Buffer.alloc(length, 0x5a);
  bytes.writeUInt32BE(((0x6 << 28) | (trafficClass << 20) | flowLabel) >>> 0, 0);
  bytes.writeUInt16BE(length - 40, 4);
  bytes[6] = fields.protocol ?? GRE;
  bytes[7] = fields.hopLimit ?? 64;
  bytes.write(fields.source ?? TO_LOOPBACK, 8, 'hex');
  bytes.write(fields.destination ?? TO_LOOPBACK, 24, 'hex');
  if (length >= 44) bytes.writeUInt32BE(0x0000_86dd, 40);
  if (length > 44) bytes[length - 1] = mark;
  return Uint8Array.from(bytes);
}

const PROTOCOLS = [47, 4, 41].map((protocol) => ({ version: 6, protocol }) as const);

function open(bench: RingBench, options: Partial<RawUnderlayOptions> = {}): RawUnderlay {
  return new RawUnderlay(bench.memory, {
    ...{ protocols: PROTOCOLS, versions: [6], groups: [] },
    ...{ links: new Map<number, string>(), linkOf: () => 0, lane: 0, laneCount: 1 },
    ...options,
  });
}

async function withRaw(
  use: (bench: RingBench, underlay: RawUnderlay) => Promise<void>,
  options: Partial<RawUnderlayOptions> = {},
): Promise<void> {
  const bench = new RingBench();
  const underlay = open(bench, options);
  try {
    await use(bench, underlay);
  } finally {
    underlay.close();
  }
}

test('what is sent is received with its header: every field, every protocol, every length', {
  skip,
}, async () => {
  await withRaw(async (bench, underlay) => {
    const sent = [
      packet(),
      packet({ trafficClass: 0xff, flowLabel: 0xfffff, hopLimit: 255 }),
      packet({ trafficClass: 0x01, hopLimit: 1 }),
      packet({ flowLabel: 1 }),
      packet({ trafficClass: 0x80, flowLabel: 0x80000, hopLimit: 128 }),
      packet({ protocol: 4 }),
      packet({ protocol: 41, trafficClass: 0xb8 }),
      packet({ source: LOCAL, destination: LOCAL }),
      ...[40, 41, 44, 45, 1500, 9000, 65_535].map((length) => packet({ length })),
    ];
    for (const one of sent) {
      assert.deepEqual(bench.send(underlay, [one]), [REASON_NONE]);
      const received = await bench.receive(underlay, 1);
      const words = Buffer.from(one).toString('hex', 0, 48);
      assert.deepEqual(
        received.map(({ bytes }) => bytes),
        [one],
        words,
      );
      // What we send to ourselves comes in by the device that has the address.
      const device = one[8] === 0xfd ? interfaceIndex('u0') : 1;
      assert.equal(received[0]?.link, device, words);
    }
  });
});

test('batches arrive whole and in order, round and round the ring, in one piece and in two', {
  skip,
}, async () => {
  await withRaw(async (bench, underlay) => {
    for (let round = 0; round < 9; round++) {
      const batch = Array.from({ length: 60 }, (_, n) =>
        packet({ mark: n, trafficClass: (n * 4) & 0xff, flowLabel: n * 999, length: 50 + n * 20 }),
      );
      const cut = round % 3 === 0 ? 0 : 44 + round;
      assert.deepEqual(new Set(bench.send(underlay, batch, { cut })), new Set([REASON_NONE]));
      const received = await bench.receive(underlay, 60, 1 + round * 7);
      assert.deepEqual(
        received.map(({ bytes }) => bytes),
        batch,
      );
    }
  });
});

test('an extension header is acted on and taken off, the addresses and the rest stay', {
  skip,
}, async () => {
  await withRaw(async (bench, underlay) => {
    const options = hex('2f00 0401 0401 0000'); // next header GRE; encapsulation limit 4, PadN
    const plain = packet({ trafficClass: 0x12, flowLabel: 0x345 });
    const sent = Buffer.concat([plain.subarray(0, 40), options, plain.subarray(40)]);
    sent[6] = 60;
    sent.writeUInt16BE(sent.length - 40, 4);
    assert.deepEqual(bench.send(underlay, [sent]), [REASON_NONE]);
    const received = await bench.receive(underlay, 1);
    assert.deepEqual(received[0]?.bytes, plain);
  });
});

test('fragments arrive as the packet that they make', { skip }, async () => {
  await withRaw(async (bench, underlay) => {
    const whole = packet({ length: 3000, trafficClass: 0x28, flowLabel: 0xabcde, hopLimit: 9 });
    const payload = whole.subarray(40);
    const size = 1000;
    const fragments = [2000, 0, 1000].map((start) => {
      const part = payload.subarray(start, start + size);
      const isLast = start + size >= payload.length;
      const extension = Buffer.from([
        GRE,
        0,
        start >>> 8,
        (start & 0xf8) | (isLast ? 0 : 1),
        1,
        2,
        3,
        4,
      ]);
      const bytes = Buffer.concat([whole.subarray(0, 40), extension, part]);
      bytes[6] = 44;
      bytes.writeUInt16BE(bytes.length - 40, 4);
      return Uint8Array.from(bytes);
    });
    assert.deepEqual(bench.send(underlay, fragments), [REASON_NONE, REASON_NONE, REASON_NONE]);
    assert.deepEqual(
      (await bench.receive(underlay, 1)).map(({ bytes }) => bytes),
      [whole],
    );
  });
});

test('what has a reason stays, and what cannot go gets its own', { skip }, async () => {
  await withRaw(async (bench, underlay) => {
    const sent = [
      packet({ mark: 1 }),
      packet({ mark: 2 }),
      packet({ mark: 3, destination: NOWHERE }),
      packet({ mark: 4, source: LOCAL, destination: REMOTE, length: MTU + 1 }),
      packet({ mark: 5 }),
    ];
    const reasons = bench.send(underlay, sent, { reasons: [0, REASON_ECN] });
    const expected = [REASON_NONE, REASON_ECN, REASON_NO_ROUTE, REASON_TOO_BIG, REASON_NONE];
    assert.deepEqual(reasons, expected);
    const received = await bench.receive(underlay, 2);
    assert.deepEqual(
      received.map(({ bytes }) => bytes.at(-1)),
      [1, 5],
    );
  });
});

/** Outer packets among the frames that have arrived at the other end of the cable. */
function arrived(socket: PacketSocket): Uint8Array[] {
  return takeFrames(socket, 50)
    .map((frame) => frame.subarray(14))
    .filter((bytes) => bytes[0] === 0x45 || (bytes[6] === GRE && (bytes[0] ?? 0) >>> 4 === 6))
    .map((bytes) => Uint8Array.from(bytes));
}

function numbered4(n: number): Uint8Array {
  const payload = Uint8Array.of(0, 0, 8, 0, n);
  const ends = { source: '192.0.2.1', destination: '192.0.2.2', protocol: GRE };
  return ipv4({ ...ends, identification: 77, payload });
}

test('both families in one batch leave in its order, each with its own header', {
  skip,
}, async () => {
  const protocols = [...PROTOCOLS, { version: 4, protocol: GRE } as const];
  await withRaw(
    async (bench, underlay) => {
      assert.equal(underlay.fds.length, 4);
      const socket = new PacketSocket('u1', 2000);
      const sent = Array.from({ length: 60 }, (_, n) =>
        (n * n) % 7 < 3
          ? numbered4(n)
          : packet({ source: LOCAL, destination: REMOTE, mark: n, flowLabel: n }),
      );
      assert.deepEqual(new Set(bench.send(underlay, sent)), new Set([REASON_NONE]));
      assert.deepEqual(arrived(socket), sent);
      socket.close();

      const both = [
        packet({ mark: 1 }),
        ipv4({ source: '127.0.0.1', destination: '127.0.0.1', protocol: GRE, identification: 5 }),
      ];
      bench.send(underlay, both);
      const received = await bench.receive(underlay, 2);
      const byVersion = received
        .map(({ bytes }) => bytes)
        .sort((a, b) => (b[0] ?? 0) - (a[0] ?? 0));
      assert.deepEqual(byVersion, both);
      const [wrong] = bench.send(underlay, [Uint8Array.of(0x15, 2, 3)]);
      assert.equal(wrong, REASON_TX_ERROR, 'no version that there is');
    },
    { protocols, versions: [4, 6] },
  );
});

test('a tunnel bound to a device leaves by it, to link-local addresses too', { skip }, async () => {
  const u0 = interfaceIndex('u0');
  const own = 'fe800000000000000000000000000001';
  const peer = 'fe800000000000000000000000000002';
  const links = new Map([[u0, 'u0']]);
  const linkOf = (record: number): number => (record === 2 ? u0 : 0);
  await withRaw(
    async (bench, underlay) => {
      const socket = new PacketSocket('u1', 2000);
      const sent = [
        packet({ source: own, destination: peer, mark: 1 }),
        packet({ source: LOCAL, destination: REMOTE, mark: 2 }),
        packet({ source: own, destination: peer, mark: 3 }),
      ];
      const records = [2, 1, 2];
      assert.deepEqual(bench.send(underlay, sent, { records }), [0, 0, 0]);
      assert.deepEqual(arrived(socket), sent);
      socket.close();
    },
    { links, linkOf },
  );
});

test('a queue that takes nothing more costs a batch milliseconds, and the rest is tx-enobufs', {
  skip: skip || (spawnSync('tc', ['-V']).error ? 'needs tc (iproute2)' : false),
}, async () => {
  const qdisc = 'qdisc add dev u0 root tbf rate 1mbit burst 2kb limit 100mb'.split(' ');
  assert.equal(spawnSync('tc', qdisc).status, 0);
  try {
    await withRaw(async (bench, underlay) => {
      const batch = Array.from({ length: 250 }, (_, n) =>
        packet({ source: LOCAL, destination: REMOTE, mark: n & 0xff, length: 1400 }),
      );
      let reasons: number[] = [];
      for (let round = 0; round < 60 && !reasons.includes(REASON_TX_ENOBUFS); round++) {
        reasons = bench.send(underlay, batch);
      }
      const sent = reasons.filter((reason) => reason === REASON_NONE).length;
      const refused = reasons.filter((reason) => reason === REASON_TX_ENOBUFS).length;
      assert.ok(sent > 0 && refused > 0, `${sent} sent, ${refused} refused`);
      assert.equal(sent + refused, batch.length);
    });
  } finally {
    spawnSync('tc', ['qdisc', 'del', 'dev', 'u0', 'root']);
  }
});

test('the kernel answers nothing for protocols that have a socket, and a parameter problem for others', {
  skip,
}, async () => {
  const loopback = new PacketSocket('lo', 2000);
  /** ICMPv6 that has passed loopback, each packet twice: on its way out and in. */
  const answers = (): Uint8Array[] =>
    takeFrames(loopback, 50)
      .filter((frame) => frame[14 + 6] === 58)
      .map((frame) => frame.slice(54));
  await withRaw(async (bench, underlay) => {
    const sent = [47, 4, 41].map((protocol) => packet({ protocol }));
    assert.deepEqual(bench.send(underlay, sent), [0, 0, 0]);
    assert.equal((await bench.receive(underlay, 3)).length, 3);
    assert.deepEqual(answers(), []);
    bench.send(underlay, [packet({ protocol: 253 })]);
    const [first] = answers();
    assert.deepEqual([first?.[0], first?.[1]], [4, 1], 'unrecognized next header');
  });
  await withRaw(
    async (bench, underlay) => {
      const sent = [47, 4, 41].map((protocol) => packet({ protocol }));
      bench.send(underlay, sent);
      assert.ok(answers().length >= 3, 'it does where no socket is open');
    },
    { protocols: [] },
  );
  loopback.close();
});

test('where one socket cannot be had, none stays open', { skip }, () => {
  const bench = new RingBench();
  const links = new Map([[99, 'nosuch0']]);
  const count = (): number => readdirSync('/proc/self/fd').length;
  const before = count();
  assert.throws(() => open(bench, { links, versions: [4, 6] }), /nosuch0: ENODEV/);
  assert.equal(count(), before);
});
