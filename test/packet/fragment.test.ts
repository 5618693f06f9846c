import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fragmentIpv4, fragmentIpv6 } from '../../src/packet/fragment.js';
import { isIpv4, readIpv4 } from '../../src/packet/ipv4.js';
import { hex, ipv4, ipv6 } from '../support/packets.js';

const ADDRESSES = { source: '10.1.0.2', destination: '10.2.0.2' };
const ADDRESSES6 = {
  source: '20010db8000000000000000000000001',
  destination: '20010db8000000000000000000000002',
};

test('a packet goes in the fragments that scapy makes of it', () => {
  const echo = hex(`0800707600010001${'78'.repeat(100)}`);
  const packet = ipv4({ ...ADDRESSES, identification: 77, payload: echo });
  const expected = [
    `45000044004d2000400146660a0100020a0200020800707600010001${'78'.repeat(40)}`,
    `45000044004d2006400146600a0100020a020002${'78'.repeat(48)}`,
    `45000020004d000c4001667e0a0100020a020002${'78'.repeat(12)}`,
  ];
  assert.deepEqual(fragmentIpv4(packet, 68), expected.map(hex));
});

test('of the options only those to be copied are in later fragments', () => {
  const options = hex('94040000' + '01' + '070304' + '00000000');
  const packet = ipv4({ ...ADDRESSES, options, payload: new Uint8Array(100) });
  const [first, second] = fragmentIpv4(packet, 68) ?? [];
  assert.deepEqual(first?.subarray(20, 32), options);
  assert.equal(second?.[0], 0x46);
  assert.deepEqual(second?.subarray(20, 24), hex('94040000'));
});

test('a packet that fits stays whole, one with DF is not fragmented, nor one without room', () => {
  const packet = ipv4({ ...ADDRESSES, payload: new Uint8Array(80) });
  assert.deepEqual(fragmentIpv4(packet, 100), [packet]);
  assert.equal(fragmentIpv4(packet, 27), null);
  assert.equal(fragmentIpv4(ipv4({ ...ADDRESSES, fragment: 0x4000, payload: packet }), 68), null);
});

test('fragments fit, are sound, and are the packet again when they are put together', () => {
  const options = fc.uint8Array({ maxLength: 10 }).map((bytes) => {
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    return padded;
  });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 3000 }),
      options,
      fc.constantFrom(0, 0x2000, 185, 0x2000 | 185),
      fc.integer({ min: 68, max: 1500 }),
      (payload, some, fragment, mtu) => {
        // Behind the first fragment every fragment but the last has a multiple of 8.
        const bytes = fragment & 0x2000 ? payload.subarray(0, payload.length & ~7) : payload;
        fc.pre(bytes.length > 0);
        const packet = ipv4({ ...ADDRESSES, options: some, fragment, payload: bytes });
        const fragments: Uint8Array[] | null = fragmentIpv4(packet, mtu);
        assert.ok(fragments);
        let at = (fragment & 0x1fff) * 8;
        const joined: number[] = [];
        for (const [index, one] of fragments.entries()) {
          assert.ok(isIpv4(one) && one.length <= mtu);
          const header = readIpv4(one);
          assert.equal(header.fragmentOffset * 8, at);
          const isLast: boolean = index === fragments.length - 1;
          const more = ((one[6] ?? 0) & 0x20) !== 0;
          assert.equal(more, !isLast || (fragment & 0x2000) !== 0);
          at += header.totalLength - header.headerLength;
          joined.push(...one.subarray(header.headerLength));
        }
        assert.deepEqual(Uint8Array.from(joined), bytes);
      },
    ),
  );
});

test('fragments of IPv6 fit, and are the packet again when they are put together', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1300, maxLength: 3000 }),
      fc.integer({ min: 1280, max: 1500 }),
      fc.nat(0xffffffff),
      (payload, mtu, identification) => {
        const packet = ipv6({ ...ADDRESSES6, nextHeader: 47, payload });
        const fragments = fragmentIpv6(packet, mtu, identification) ?? [];
        if (packet.length <= mtu) {
          assert.deepEqual(fragments, [packet]);
          return;
        }
        const joined: number[] = [];
        for (const [index, one] of fragments.entries()) {
          const view = new DataView(one.buffer);
          assert.ok(one.length <= mtu);
          assert.equal(view.getUint16(4), one.length - 40);
          assert.deepEqual([one[6], one[40]], [44, 47]);
          const isLast = index === fragments.length - 1;
          assert.equal(view.getUint16(42), joined.length | (isLast ? 0 : 1));
          assert.equal(view.getUint32(44), identification);
          joined.push(...one.subarray(48));
        }
        assert.deepEqual(Uint8Array.from(joined), payload);
      },
    ),
  );
});

test('all fragments have the DSCP and the ECN of the packet', () => {
  const payload = new Uint8Array(3000);
  for (let tos = 0; tos < 256; tos++) {
    const four = fragmentIpv4(ipv4({ ...ADDRESSES, tos, payload }), 1400) ?? [];
    assert.deepEqual(new Set(four.map((one) => one[1])), new Set([tos]));
    const six = fragmentIpv6(ipv6({ ...ADDRESSES6, trafficClass: tos, payload }), 1400, 1) ?? [];
    const classes = six.map((one) => (((one[0] ?? 0) & 15) << 4) | ((one[1] ?? 0) >>> 4));
    assert.deepEqual(new Set(classes), new Set([tos]));
    assert.deepEqual([four.length, six.length], [3, 3]);
  }
});
