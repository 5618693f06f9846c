// What is merged for a device: the same in all builds, and for a kernel behind the device nothing but the
// packets that arrived, in an order that their flows could have had.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { MERGE_TCP, MERGE_UDP } from '../../asm/layout.js';
import { loadBuild, openCodec } from '../../src/codec/builds.js';
import type { Codec } from '../../src/codec/contract.js';
import { type Arrived, coalesce, type Run } from '../../src/packet/coalesce.js';
import { pseudoHeader, reassemble, splitWritten } from '../support/kernel-receiver.js';
import { internetChecksum } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { CODECS, createPlanes } from '../support/planes.js';
import { Batch, type Written } from '../support/runs.js';
import { batch, frameBatch } from '../support/streams.js';

const BOTH = MERGE_TCP | MERGE_UDP;
/** Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility. */
const EXTENSIONS = [0, 43, 44, 50, 51, 60, 135];

let planes: Plane[] = [];
/** For each plane all builds over its memory. */
let separators: Codec[][] = [];
before(() => {
  planes = createPlanes();
  separators = planes.map(({ memory }) => CODECS.map((name) => openCodec(loadBuild(name), memory)));
  // The batches run over the end of the positions.
  for (const { rings } of planes) rings.decap.restore(0xffff_f000, 0xffff_f000, 0xffff_f000);
});
after(() => {
  for (const plane of planes) plane.assertCanaries();
});

function reference(arrived: readonly (Arrived | null)[], kinds: number): Run[] {
  return coalesce(arrived, { tcp: (kinds & MERGE_TCP) !== 0, udp: (kinds & MERGE_UDP) !== 0 });
}

/** Bytes as text: what differs is found quickly, and shown. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

for (const [what, arrivals] of [
  ['packets', batch],
  ['frames', frameBatch],
] as const)
  test(`all builds merge the same runs of ${what}, byte for byte, and take them apart to what they were`, () => {
    const kinds = fc.constantFrom(BOTH, BOTH, BOTH, MERGE_TCP, MERGE_UDP);
    const shift = fc.constantFrom(0, 20, 24, 28, 33);
    const separator = fc.nat(2);
    fc.assert(
      fc.property(arrivals, kinds, shift, separator, (arrived, merge, before, other) => {
        const due = reference(arrived, merge);
        for (const [index, plane] of planes.entries()) {
          const run = new Batch(plane, arrived, before);
          const was = run.snapshot();
          const written = run.coalesce(merge);
          assert.deepEqual(
            written.map(({ members }) => members),
            due.map(({ members }) => members),
            `${plane.codec.name}: the runs`,
          );
          for (const [place, { packet, deviceHeader, members }] of written.entries()) {
            const expected = due[place];
            assert.ok(expected);
            if (Buffer.compare(packet, expected.packet) !== 0) {
              assert.equal(
                text(packet),
                text(expected.packet),
                `${plane.codec.name}: run ${members}`,
              );
            }
            assert.equal(text(deviceHeader), text(expected.deviceHeader), `${plane.codec.name}`);
          }
          // Whatever merged, any build takes it apart: a swap may come in between.
          const codec = separators[index]?.[other];
          assert.ok(codec);
          run.separate(written, codec);
          assertSame(run.snapshot(), was, plane.codec.name);
          run.end();
        }
      }),
      { numRuns: 1500 },
    );
  });

function assertSame(
  is: ReturnType<Batch['snapshot']>,
  was: ReturnType<Batch['snapshot']>,
  name: string,
): void {
  for (const part of ['packets', 'descriptors'] as const) {
    for (const [index, bytes] of was[part].entries()) {
      const found = is[part][index] ?? new Uint8Array(0);
      if (Buffer.compare(found, bytes) === 0) continue;
      assert.equal(text(found), text(bytes), `${name}: separate, ${part} of ${index}`);
    }
  }
}

test('a kernel that splits what is written gets the packets that arrived, in an order of their flows', () => {
  const kinds = fc.constantFrom(BOTH, BOTH, MERGE_TCP, MERGE_UDP);
  fc.assert(
    fc.property(batch, kinds, (arrived, merge) => {
      for (const plane of planes) {
        const run = new Batch(plane, arrived, 24);
        const written = run.coalesce(merge);
        run.end();
        assertDelivered(arrived, written);
      }
    }),
    { numRuns: 1000 },
  );
});

/** The same packets, each once; flows in order; streams the same. */
function assertDelivered(arrived: readonly (Arrived | null)[], written: readonly Written[]): void {
  const delivered: { index: number; packet: Buffer }[] = [];
  for (const { members, packet, deviceHeader } of written) {
    assertTurn(members);
    const first = arrived[members[0] ?? -1];
    assert.ok(first);
    if (members.length === 1) {
      assert.equal(text(packet), text(first.packet), 'a packet that goes alone is as it arrived');
      assert.equal(text(deviceHeader), text(first.deviceHeader));
      delivered.push({ index: members[0] ?? -1, packet: Buffer.from(packet) });
      continue;
    }
    assert.ok(packet.length <= 65535);
    const pieces = splitWritten(packet, deviceHeader);
    assert.equal(pieces.length, members.length, 'it splits into as many as were merged');
    for (const [place, piece] of pieces.entries()) {
      const index = members[place] ?? -1;
      const one = arrived[index];
      assert.ok(one, 'a packet that was dropped is not written');
      assert.equal(one.record, first.record, 'of one tunnel');
      assert.equal(text(comparable(piece)), text(comparable(sound(one))), `packet ${index}`);
      delivered.push({ index, packet: piece });
    }
  }
  const indexes = delivered.map(({ index }) => index).sort((a, b) => a - b);
  const due = [...arrived.keys()].filter((index) => arrived[index] !== null);
  assert.deepEqual(indexes, due, 'each packet once');
  assertOrder(arrived, written);
  assertStreams(arrived, delivered);
}

/** The first to arrive is written in its turn; each other was put behind or in front of those before it. */
function assertTurn(members: readonly number[]): void {
  const lowest = members.indexOf(Math.min(...members));
  const isFalling = members
    .slice(0, lowest + 1)
    .every((one, n, all) => n === 0 || one < (all[n - 1] ?? 0));
  const isRising = members.slice(lowest).every((one, n, all) => n === 0 || one > (all[n - 1] ?? 0));
  assert.ok(isFalling && isRising, `members ${members}`);
}

/** A packet as its receiver would see it: checksum completed. */
function sound({ packet, deviceHeader }: Arrived): Buffer {
  const [whole] = splitWritten(packet, deviceHeader);
  assert.ok(whole, 'a packet');
  assert.equal(deviceHeader[1], 0, 'what was merged before goes alone');
  return whole;
}

/**
 * Without what merging may change: the identification of a packet that is never fragmented (RFC 6864), and the
 * checksum of a datagram that had none.
 */
function comparable(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  if (copy.readUInt8(0) >>> 4 !== 4) return copy;
  if ((copy.readUInt16BE(6) & 0x4000) !== 0) {
    copy.writeUInt16BE(0, 4);
    copy.writeUInt16BE(0, 10);
    copy.writeUInt16BE(internetChecksum(copy.subarray(0, 20)), 10);
  }
  if (copy[9] === 17 && copy.readUInt16BE(26) === 0) {
    const bytes = Buffer.concat([pseudoHeader(copy, 20, true), copy.subarray(20)]);
    copy.writeUInt16BE(internetChecksum(bytes) || 0xffff, 26);
  }
  return copy;
}

/** Within a flow every run begins behind all of the run before it; what may be of any flow is a border. */
function assertOrder(arrived: readonly (Arrived | null)[], written: readonly Written[]): void {
  const ends = new Map<string, number>();
  let turn = -1;
  for (const { members } of written) {
    const [lowest, highest] = [Math.min(...members), Math.max(...members)];
    assert.ok(lowest > turn, 'runs are written in the turn of their first packet');
    turn = lowest;
    const one = arrived[lowest];
    assert.ok(one);
    const flow = flowOf(one);
    assert.ok(lowest > (ends.get(flow) ?? -1), `${flow}: ${lowest} overtook ${ends.get(flow)}`);
    ends.set(flow, highest);
    for (let index = lowest; index < highest; index++) {
      const between = arrived[index];
      if (!between || members.includes(index)) continue;
      assert.notEqual(flowOf(between), flow, `${index} was overtaken by ${highest}`);
      if (flowOf(between) !== '' || !mayShareFlow(between, one)) continue;
      assert.fail(`${index}, whose flow cannot be told, was overtaken by ${highest}`);
    }
  }
}

/** Tunnel, addresses, protocol and ports; empty where ports cannot be told. */
function flowOf({ record, packet }: Arrived): string {
  const bytes = Buffer.from(packet);
  const isFour = bytes.readUInt8(0) >>> 4 === 4;
  const protocol = bytes[isFour ? 9 : 6] ?? 0;
  const start = isFour ? ((bytes[0] ?? 0) & 15) * 4 : 40;
  if (!isFour && EXTENSIONS.includes(protocol)) return '';
  const key = `${record} ${protocol} ${addressesOf({ packet })}`;
  if (protocol !== 6 && protocol !== 17) return key;
  const isFragment = isFour && (bytes.readUInt16BE(6) & 0x3fff) !== 0;
  if (isFragment || bytes.length < start + 4) return '';
  return `${key} ${bytes.readUInt32BE(start)}`;
}

function addressesOf({ packet }: Pick<Arrived, 'packet'>): string {
  return text((packet[0] ?? 0) >>> 4 === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40));
}

/** Whether a packet whose ports cannot be told may be of the flow of another. */
function mayShareFlow(hidden: Arrived, other: Arrived): boolean {
  if (hidden.record !== other.record || addressesOf(hidden) !== addressesOf(other)) return false;
  const at = (hidden.packet[0] ?? 0) >>> 4 === 4 ? 9 : 6;
  const protocol = hidden.packet[at] ?? 0;
  return protocol === other.packet[at] || (at === 6 && EXTENSIONS.includes(protocol));
}

/** A receiver that takes what comes first has the same stream in the end. */
function assertStreams(
  arrived: readonly (Arrived | null)[],
  delivered: readonly { readonly index: number; readonly packet: Buffer }[],
): void {
  const before = new Map<string, Uint8Array[]>();
  const after = new Map<string, Uint8Array[]>();
  const note = (streams: Map<string, Uint8Array[]>, one: Arrived, packet: Uint8Array): void => {
    if (!isTcp(packet)) return;
    const packets = streams.get(flowOf(one)) ?? [];
    streams.set(flowOf(one), packets);
    packets.push(packet);
  };
  for (const one of arrived) if (one !== null) note(before, one, one.packet);
  for (const { index, packet } of delivered) {
    const one = arrived[index];
    if (one) note(after, one, packet);
  }
  for (const [flow, packets] of before) {
    const [was, is] = [reassemble(packets), reassemble(after.get(flow) ?? [])];
    assert.deepEqual([...is.keys()].sort(), [...was.keys()].sort(), `the stream of ${flow}`);
    for (const [number, page] of was) {
      const found = is.get(number) ?? new Uint8Array(0);
      assert.equal(Buffer.compare(found, page), 0, `the stream of ${flow}`);
    }
  }
}

/** Whether a packet is TCP with a whole header and nothing between it and the IP header. */
function isTcp(packet: Uint8Array): boolean {
  if ((packet[0] ?? 0) >>> 4 === 6) return packet[6] === 6 && packet.length >= 60;
  const isFragment = (((packet[6] ?? 0) << 8) | (packet[7] ?? 0)) & 0x3fff;
  return packet[9] === 6 && packet[0] === 0x45 && !isFragment && packet.length >= 40;
}

/** What a random batch shows of merging: how runs grew, and what was in the way of the next packet of a flow. */
function marks(arrived: readonly (Arrived | null)[]): string[] {
  const found: string[] = [];
  const latest = new Map<string, Run>();
  for (const run of reference(arrived, BOTH)) {
    const { members, packet, deviceHeader } = run;
    const first = arrived[Math.min(...members)];
    if (!first) continue;
    if (members.length > 1) {
      const isOpen = members.map((index) => ((arrived[index]?.deviceHeader[0] ?? 0) & 1) === 1);
      found.push(`a run of type ${deviceHeader[1]} over IPv${(packet[0] ?? 0) >>> 4}`);
      if ((members[0] ?? 0) > Math.min(...members)) found.push('put in front');
      if ((members.at(-1) ?? 0) > (members[0] ?? 0)) found.push('put behind');
      if (isOpen.includes(true) && isOpen.includes(false))
        found.push('open and complete checksums');
      if (isOpen.every((open) => open)) found.push('open checksums');
      if (packet.length > 60000) found.push('as long as a packet can be');
    }
    const flow = flowOf(first);
    if (flow === '') found.push('of a flow that cannot be told');
    const before = latest.get(flow);
    if (before !== undefined) found.push(...obstacles(before, first));
    latest.set(flow, run);
  }
  return found;
}

/** What kept `next` out of the run of its flow before it. */
function obstacles({ members, packet, deviceHeader, headers }: Run, next: Arrived): string[] {
  if (members.length < 2) return [];
  const found: string[] = [];
  const [front, late] = [Buffer.from(packet), Buffer.from(next.packet)];
  const isFour = front.readUInt8(0) >>> 4 === 4;
  const start = isFour ? 20 : 40;
  if (late.length < start + (deviceHeader[1] === 5 ? 8 : 20)) return ['a header that is cut off'];
  const size = Buffer.from(deviceHeader).readUInt16LE(4);
  if ((packet.length - headers) % size !== 0) found.push('behind a shorter packet');
  const fields: [string, number, number][] = isFour
    ? [
        ['TOS', 1, 1],
        ['TTL', 8, 1],
        ['DF', 6, 1],
      ]
    : [
        ['traffic class', 0, 2],
        ['flow label', 2, 2],
        ['hop limit', 7, 1],
      ];
  if (deviceHeader[1] === 5) {
    if (members.length === 64) found.push('behind 64 datagrams');
  } else {
    const flags = late[start + 13] ?? 0;
    const end = (front.readUInt32BE(start + 4) + packet.length - headers) >>> 0;
    if (((front[start + 13] ?? 0) & 8) !== 0) found.push('behind PSH');
    if ((flags & 1) !== 0) found.push('FIN');
    if ((flags & 0xe0) !== 0) found.push('URG, ECE or CWR');
    if (flags === 0x10 && late.length === headers) found.push('a pure ACK');
    if (late.readUInt32BE(start + 4) !== end) found.push('a gap or an overlap');
    fields.push(['acknowledgement', start + 8, 4], ['window', start + 14, 2]);
    if (headers > start + 20) fields.push(['options', start + 20, headers - start - 20]);
  }
  for (const [name, at, length] of fields) {
    const is = late.subarray(at, at + length);
    if (Buffer.compare(is, front.subarray(at, at + length)) !== 0) found.push(`another ${name}`);
  }
  if (next.deviceHeader[1] !== 0) found.push('merged before');
  if (packet.length + late.length - headers > 65535) found.push('no more room');
  if (found.length === 0)
    found.push('a wrong checksum, a hidden flow or an identification out of line');
  return found;
}

test('the random batches reach every way in which a run grows and ends', () => {
  const reached = new Map<string, number>();
  for (const arrived of fc.sample(batch, { seed: 1, numRuns: 3000 })) {
    for (const mark of marks(arrived)) reached.set(mark, (reached.get(mark) ?? 0) + 1);
  }
  assert.deepEqual(
    [...reached.keys()].sort(),
    [
      ...['TOS', 'TTL', 'DF', 'traffic class', 'flow label', 'hop limit', 'acknowledgement'],
      ...['window', 'options'],
    ]
      .map((field) => `another ${field}`)
      .concat([
        ...['FIN', 'URG, ECE or CWR', 'a pure ACK', 'a gap or an overlap', 'merged before'],
        ...['behind PSH', 'behind a shorter packet', 'behind 64 datagrams', 'no more room'],
        ...[
          'a header that is cut off',
          'a wrong checksum, a hidden flow or an identification out of line',
        ],
        ...['put in front', 'put behind', 'open checksums', 'open and complete checksums'],
        ...['as long as a packet can be', 'of a flow that cannot be told'],
        ...['a run of type 1 over IPv4', 'a run of type 4 over IPv6'],
        ...['a run of type 5 over IPv4', 'a run of type 5 over IPv6'],
      ])
      .sort(),
  );
  for (const [mark, count] of reached) assert.ok(count >= 10, `${mark}: ${count}`);
});
