// What nobody asked for is dropped, counted under its reason, and answered nowhere but inside a tunnel.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatus } from '../../src/demo/router-process.js';
import {
  dropsOf,
  eventually,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets, seeFrames } from '../support/packet-task.js';
import { type GreFields, gre, hex, type Ipv4Fields, ipv4 } from '../support/packets.js';

const GRE = 47;
const ECN_CE = 3;
const KEY = 42;

/** Router B has the tunnel under test; A only lends its namespace to the sender. */
const tunnels = (side: Side): string =>
  tunnelTable(
    'gre1',
    side,
    'mode = "gre"',
    `key = ${KEY}`,
    'seq = true',
    `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`,
  );

const INNER = { source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 };

function packet(
  inner: Partial<Ipv4Fields> = {},
  greFields: GreFields = {},
  outer: Partial<Ipv4Fields> = {},
): Uint8Array {
  const payload = ipv4({ ...INNER, ...inner });
  return ipv4({
    source: OUTER.A,
    destination: OUTER.B,
    protocol: GRE,
    identification: 1,
    payload: gre({ key: KEY, payload, ...greFields }),
    ...outer,
  });
}

/** A GRE packet of just these bytes. */
function raw(text: string): Uint8Array {
  return packet({}, {}, { payload: hex(text) });
}

interface Stranger {
  readonly name: string;
  readonly packet: Uint8Array;
  readonly reason: string;
}

const STRANGERS: readonly Stranger[] = [
  {
    name: 'from an unknown source',
    packet: packet({}, {}, { source: '192.0.2.99' }),
    reason: 'no-tunnel',
  },
  { name: 'with an unknown key', packet: packet({}, { key: 43 }), reason: 'no-tunnel' },
  { name: 'without the key', packet: raw('0000 0800 45000014'), reason: 'no-tunnel' },
  { name: 'with a bad checksum', packet: packet({}, { checksum: 0x1234 }), reason: 'gre-checksum' },
  { name: 'of GRE version 1', packet: packet({}, { flags: 1 }), reason: 'gre-version' },
  {
    name: 'with a source route',
    packet: packet({}, { flags: 0x4000 }),
    reason: 'gre-routing-present',
  },
  {
    name: 'with reserved bits',
    packet: packet({}, { flags: 0x0800 }),
    reason: 'gre-reserved-bits',
  },
  { name: 'cut in the GRE header', packet: raw('2000 0800 0000'), reason: 'gre-truncated' },
  {
    name: 'of another protocol',
    packet: packet({}, { protocol: 0x6558 }),
    reason: 'unknown-protocol',
  },
  {
    name: 'cut in the inner header',
    packet: raw('2000 0800 0000002a 4500'),
    reason: 'inner-truncated',
  },
  {
    name: 'with the wrong inner version',
    packet: packet({}, { protocol: 0x86dd }),
    reason: 'inner-version',
  },
  { name: 'with a broken inner header', packet: packet({ checksum: 1 }), reason: 'inner-header' },
  {
    name: 'from an inner martian',
    packet: packet({ source: '127.0.0.1' }),
    reason: 'inner-martian',
  },
  {
    name: 'from a network that is not allowed',
    packet: packet({ source: '8.8.8.8' }),
    reason: 'inner-src-spoof',
  },
  {
    name: 'with our own address as its source',
    packet: packet({ source: '10.9.0.2' }),
    reason: 'inner-src-spoof',
  },
  {
    name: 'to the tunnel itself',
    packet: packet({ destination: OUTER.B }),
    reason: 'inner-dst-policy',
  },
  {
    name: 'with a tunnel in the tunnel',
    packet: packet({ destination: OUTER.B, protocol: GRE }),
    reason: 'nesting-limit',
  },
  {
    name: 'at the end of its TTL',
    packet: packet({ destination: '10.7.7.7', ttl: 1 }),
    reason: 'inner-ttl',
  },
  {
    name: 'congested, though not able to say so',
    packet: packet({}, {}, { tos: ECN_CE }),
    reason: 'ecn',
  },
];

test('a stranger is dropped, counted once under its reason, and answered by nobody but a tunnel', {
  skip: lacking(),
}, async () => {
  await withLab('stranger', { tunnels, ipv6: false }, async ({ namespaces, rA, rB, a, b }) => {
    const seen = await seeFrames(namespaces, rB, 'u0');
    let expected: Record<string, number> = {};
    for (const { name, packet: bytes, reason } of STRANGERS) {
      injectPackets(namespaces, rA, [bytes]);
      expected = { ...expected, [reason]: (expected[reason] ?? 0) + 1 };
      const isCounted = await eventually(
        async () => (await dropsOf(b))[reason] === expected[reason],
      );
      assert.ok(isCounted, `${name}: expected ${reason}, got ${JSON.stringify(await dropsOf(b))}`);
    }
    assert.deepEqual(await dropsOf(b), expected);
    assert.deepEqual((await tunnelStatus(b, 'gre1')).rx, { packets: 0, bytes: 0 });
    assert.equal((await readStatus(b)).received.underlay, STRANGERS.length);

    // What the peer's own sender is told goes into the tunnel: that its packet's time ran out.
    const fromB = seen.filter((frame) => isIpv4From(frame, OUTER.B));
    assert.deepEqual(fromB.map(carried), ['0b00']);
    assert.equal((await readStatus(b)).icmp.answers, 1);
    const toB = seen.filter((frame) => isIpv4From(frame, OUTER.A)).length;
    assert.ok(toB > 0, 'the watcher saw what was sent');
    assert.deepEqual(await dropsOf(a), {});
  });
});

test('a packet that was sent again is dropped as out of sequence', {
  skip: lacking(),
}, async () => {
  await withLab('replay', { tunnels, ipv6: false }, async ({ namespaces, rA, b }) => {
    const numbered = (sequence: number): Uint8Array => packet({}, { sequence });
    injectPackets(namespaces, rA, [numbered(7), numbered(8), numbered(7), numbered(9)]);
    assert.ok(await eventually(async () => (await tunnelStatus(b, 'gre1')).rx.packets === 3));
    assert.deepEqual(await dropsOf(b), { 'gre-sequence': 1 });
  });
});

/** Whether a frame, in hex from its Ethernet header on, is IPv4 with this source. */
function isIpv4From(frame: string, source: string): boolean {
  const bytes = Buffer.from(frame, 'hex');
  return bytes.readUInt16BE(12) === 0x0800 && [...bytes.subarray(26, 30)].join('.') === source;
}

/** Type and code of the ICMP message in a GRE packet with key and sequence number. */
function carried(frame: string): string {
  const inner = 14 + 20 + 12;
  return frame.slice((inner + 20) * 2, (inner + 22) * 2);
}
