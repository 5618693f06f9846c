import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ipOffset, isKnownLinkType } from '../../src/inspect/link.js';

const MACS = '020000000001020000000002';
const KNOWN = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276];

test('the IP packet is found behind every known link layer', () => {
  const frames: [number, string, number][] = [
    [1, `${MACS}0800`, 14],
    [1, `${MACS}86dd`, 14],
    [1, `${MACS}810000070800`, 18],
    [1, `${MACS}88a80005810000070800`, 22],
    [1, `${MACS}9100000581000007810000018100000286dd`, 30],
    [12, '45', 0],
    [14, '45', 0],
    [101, '60', 0],
    [228, '45', 0],
    [229, '60', 0],
    [113, '000000010006020000000001000008004500', 16],
    [113, '00000001000602000000000100008100000786dd', 20],
    [276, '0800000000000002000100060200000000010000', 20],
    [276, '8100000000000002000100060200000000010000000786dd', 24],
    [0, '00000002', 4],
    [0, '02000000', 4],
    [0, '1e000000', 4],
    [0, '0a000000', 4],
    [108, '00000018', 4],
    [108, '0000001c', 4],
  ];
  for (const [linkType, hex, offset] of frames) {
    const bytes = Buffer.from(hex, 'hex');
    assert.equal(ipOffset(linkType, bytes), offset, `link type ${linkType}: ${hex}`);
    assert.ok(isKnownLinkType(linkType));
  }
});

test('other protocols and frames too short to tell hold no IP packet', () => {
  for (const [linkType, hex] of [
    [1, `${MACS}0806`],
    [1, `${MACS}8100000788cc`],
    [1, `${MACS}002a`],
    [1, MACS],
    [1, `${MACS}8100`],
    [1, ''],
    [113, '00000001'],
    [276, '0806'],
    [0, '00000007'],
    [0, '0200'],
  ] as const) {
    assert.equal(
      ipOffset(linkType, Buffer.from(hex, 'hex')),
      null,
      `link type ${linkType}: ${hex}`,
    );
  }
});

test('other link types are not known', () => {
  for (const linkType of [2, 6, 105, 127, 147, 195, 249, 65535]) {
    assert.equal(isKnownLinkType(linkType), false);
    assert.equal(ipOffset(linkType, new Uint8Array(64)), null);
  }
});

test('a chain of VLAN tags of any length ends', () => {
  const tags = fc.array(fc.constantFrom('8100', '88a8', '9100', '0800', '86dd'), {
    maxLength: 700,
  });
  fc.assert(
    fc.property(fc.constantFrom(...KNOWN), tags, (linkType, types) => {
      const bytes = Buffer.from(MACS + types.map((type) => `${type}0001`).join(''), 'hex');
      const offset = ipOffset(linkType, bytes);
      assert.ok(offset === null || offset <= bytes.length + 2);
    }),
  );
});
