// The checksum of every codec against the one of the tests' own, at every length and alignment.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { CONTROL_SIZE } from '../../asm/layout.js';
import { checksum, update } from '../../src/packet/checksum.js';
import { internetChecksum } from '../support/packets.js';
import type { Plane } from '../support/plane.js';
import { createPlanes } from '../support/planes.js';

const LONGEST = 9001;

let planes: Plane[] = [];
before(() => {
  planes = createPlanes();
});

/** Bytes without a pattern, the same each time. */
function scramble(bytes: Uint8Array): void {
  let state = 0x2545f491;
  for (let index = 0; index < bytes.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[index] = state >>> 24;
  }
}

test('every build sums every length from 0 to 9001 like RFC 1071', () => {
  for (const { codec, memory } of planes) {
    const bytes = new Uint8Array(memory.buffer, CONTROL_SIZE, LONGEST);
    scramble(bytes);
    let sum = 0;
    for (let length = 0; length <= LONGEST; length++) {
      // The sum of one byte more, word by word: an odd last byte is the high half of its word.
      const last = length === 0 ? 0 : (bytes[length - 1] ?? 0);
      sum += length % 2 === 1 ? last * 256 : last;
      const folded = sum % 0xffff === 0 && sum > 0 ? 0xffff : sum % 0xffff;
      const actual = codec.checksum(CONTROL_SIZE, length);
      if (actual !== 0xffff - folded) {
        assert.fail(`${codec.name}: ${length} bytes gave ${actual}, not ${0xffff - folded}`);
      }
    }
  }
});

test('every build sums from any address: slots begin at odd offsets after an Ethernet header', () => {
  for (const { codec, memory } of planes) {
    const bytes = new Uint8Array(memory.buffer, CONTROL_SIZE, 512);
    scramble(bytes);
    for (let offset = 0; offset < 64; offset++) {
      for (let length = 0; length <= 200; length++) {
        const expected = internetChecksum(bytes.subarray(offset, offset + length));
        assert.equal(codec.checksum(CONTROL_SIZE + offset, length), expected, codec.name);
      }
    }
  }
});

test('every build sums 65535 bytes of 0xff and of 0x00 without losing a carry', () => {
  for (const { codec, memory } of planes) {
    const bytes = new Uint8Array(memory.buffer, CONTROL_SIZE, 65535);
    for (const value of [0xff, 0x00]) {
      bytes.fill(value);
      for (const length of [2, 64, 4096, 65534, 65535]) {
        const expected = internetChecksum(bytes.subarray(0, length));
        assert.equal(codec.checksum(CONTROL_SIZE, length), expected, codec.name);
      }
    }
  }
});

test('update gives what a new sum over the changed bytes gives', () => {
  const header = new Uint8Array(20);
  scramble(header);
  header[10] = 0;
  header[11] = 0;
  const field = checksum(header);
  for (let after = 0; after <= 0xffff; after += 7) {
    const before = ((header[0] ?? 0) << 8) | (header[1] ?? 0);
    const changed = header.slice();
    changed[0] = after >>> 8;
    changed[1] = after;
    assert.equal(update(field, before, after), checksum(changed));
  }
});
