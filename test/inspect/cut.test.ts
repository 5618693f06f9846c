import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeCaptured } from '../../src/inspect/cut.js';
import { type Decoded, type DecodeOptions, decode } from '../../src/packet/decode.js';
import { encapGre } from '../../src/packet/encap-options.js';
import { createState } from '../../src/packet/state.js';
import { createTable } from '../../src/packet/table.js';

const OUTER = { local: '198.51.100.2', remote: '192.0.2.1' };
/** 10.1.1.5 > 10.2.2.9, ICMP echo request, 32 bytes. */
const INNER = Buffer.from(
  '4500002000010000400163cc0a0101050a0202090800757b0001000141414141',
  'hex',
);

const HOSTILE = readFileSync(new URL('../../../test/cases/hostile-packets.jsonl', import.meta.url))
  .toString()
  .trim()
  .split('\n')
  .map((line) => Buffer.from(/"hex": ?"([0-9a-f]*)"/.exec(line)?.[1] ?? '', 'hex'));

const TABLE = createTable([
  {
    name: 'gre1',
    mode: 'gre',
    local: '192.0.2.1',
    remote: '198.51.100.2',
    ttl: 64,
    tos: 0,
    pmtudisc: true,
    mtu: 1476,
    link: 0,
    allow: [{ address: '10.1.1.0', bits: 24 }],
    addresses: [],
    checksumOut: false,
    sequenceIn: false,
    sequenceOut: false,
  },
]);

function keyedPacket(): Uint8Array {
  const sent = encapGre(INNER, { ...OUTER, key: 7, sequence: 3, checksum: true });
  assert.equal(sent.verdict, 'ok');
  return sent.packet;
}

test('a cut packet keeps what its bytes show and leaves the rest open', () => {
  const packet = keyedPacket();
  const cut = (length: number) => decodeCaptured(packet.subarray(0, length), packet.length);
  const whole = decode(packet);
  assert.equal(whole?.gre?.checksumValid, true);

  assert.deepEqual(decodeCaptured(packet, packet.length), whole);
  assert.deepEqual(cut(packet.length - 1), {
    ...whole,
    gre: { ...whole.gre, checksumValid: null },
  });
  assert.equal(cut(20 + 16 + 19)?.inner, null);
  assert.equal(cut(20 + 16)?.gre?.sequence, 3);
  assert.equal(cut(20 + 15)?.gre?.sequence, null);
  assert.equal(cut(20 + 12)?.gre?.key, 7);
  assert.equal(cut(20 + 11)?.gre?.key, null);
  assert.equal(cut(20 + 3)?.gre, null);
  assert.equal(cut(20)?.verdict, 'ok');
  assert.equal(cut(19), null);
});

test('what the headers show wrong is a reason in a cut packet too', () => {
  const packet = keyedPacket();
  const change = (offset: number, value: number): Uint8Array => {
    const changed = packet.slice();
    changed[offset] = value;
    return changed;
  };
  for (const [changed, length, reason] of [
    [change(10, 0), 20, 'outer-header'],
    [change(21, 1), 24, 'gre-version'],
    [change(20, 0xf0), 24, 'gre-routing-present'],
    [change(22, 0x99), 24, 'unknown-protocol'],
    [change(36, 0x65), 37, 'inner-version'],
    [change(36 + 10, 0), 36 + 20, 'inner-header'],
  ] as const) {
    assert.equal(decodeCaptured(changed.subarray(0, length), packet.length)?.reason, reason);
  }
});

test('a file that claims more than the packet ever had does not make it a cut one', () => {
  const packet = keyedPacket();
  for (const claimed of [packet.length + 4, 0xffffffff]) {
    assert.deepEqual(decodeCaptured(packet, claimed), decode(packet));
  }
});

test('a packet shorter than its own header says is damaged, not cut, when nothing is missing', () => {
  const packet = keyedPacket().subarray(0, 50);
  assert.equal(decodeCaptured(packet, packet.length)?.reason, 'outer-header');
});

test('a cut never invents: every field is that of the whole packet or null, every reason is one of its own', () => {
  const packets = fc.oneof(
    fc.constantFrom(...HOSTILE, keyedPacket()),
    fc
      .tuple(fc.constantFrom(...HOSTILE, keyedPacket()), fc.nat(60), fc.nat(255))
      .map(([bytes, offset, value]) => {
        const changed = Uint8Array.from(bytes);
        if (changed.length > 0) changed[offset % changed.length] = value;
        return changed;
      }),
  );
  fc.assert(
    fc.property(packets, fc.nat(100), fc.boolean(), (packet, length, judged) => {
      const options = (): DecodeOptions => (judged ? { tunnels: TABLE, state: createState() } : {});
      const whole = decode(packet, options());
      const cut = decodeCaptured(packet.subarray(0, length), packet.length, options());
      if (cut === null) return;
      assert.ok(whole !== null);
      assertLess(cut, whole);
    }),
    { numRuns: 5000 },
  );
});

/** The checksums hide what is wrong behind them from a whole packet, and cannot be told in a cut one. */
const HIDING = new Set(['gre-checksum', 'udp-checksum', 'outer-header', 'outer-fragment']);

function assertLess(cut: Decoded, whole: Decoded): void {
  assert.deepEqual(cut.outer, whole.outer);
  if (cut.reason !== null && !HIDING.has(whole.reason ?? '')) {
    assert.equal(cut.reason, whole.reason);
  }
  if (cut.gre !== null) {
    const { checksumValid, key, sequence, ...rest } = cut.gre;
    const {
      checksumValid: _,
      key: wholeKey,
      sequence: wholeSequence,
      ...wholeRest
    } = whole.gre ?? {};
    assert.deepEqual(rest, wholeRest);
    if (key !== null) assert.equal(key, wholeKey);
    if (sequence !== null) assert.equal(sequence, wholeSequence);
    if (checksumValid !== null) assert.equal(checksumValid, whole.gre?.checksumValid);
  }
  if (cut.inner !== null) assert.deepEqual(cut.inner, whole.inner);
}
