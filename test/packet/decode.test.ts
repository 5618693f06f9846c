import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../src/packet/decode.js';
import { gre, hex, ipv4, ipv6 } from '../support/packets.js';

const INNER = ipv4({ source: '10.1.1.5', destination: '10.2.2.9', payload: new Uint8Array(8) });
const INNER6 = ipv6({
  source: '20010db8000a00000000000000000005',
  destination: '20010db8000b00000000000000000009',
});
const ENDPOINTS = { source: '192.0.2.1', destination: '198.51.100.2' };
const ENDPOINTS6 = {
  source: '20010db8000000010000000000000001',
  destination: '20010db8000000020000000000000002',
};

function greOver4(fields: Parameters<typeof gre>[0]): Uint8Array {
  return ipv4({ ...ENDPOINTS, protocol: 47, payload: gre({ payload: INNER, ...fields }) });
}

test('decode shows a keyed, numbered, checksummed GRE packet layer by layer', () => {
  const packet = ipv4({
    ...ENDPOINTS,
    protocol: 47,
    ttl: 63,
    tos: 0x12,
    payload: gre({ payload: INNER, key: 42, sequence: 7, checksum: true }),
  });
  assert.deepEqual(decode(packet), {
    verdict: 'ok',
    reason: null,
    outer: { version: 4, ...ENDPOINTS, protocol: 47, ttl: 63, tos: 0x12 },
    gre: {
      checksum: true,
      checksumValid: true,
      key: 42,
      sequence: 7,
      version: 0,
      protocol: 0x0800,
    },
    inner: { version: 4, source: '10.1.1.5', destination: '10.2.2.9', protocol: 1, length: 28 },
  });
});

test('decode tells key 0 from no key', () => {
  assert.equal(decode(greOver4({ key: 0 }))?.gre?.key, 0);
  assert.equal(decode(greOver4({}))?.gre?.key, null);
});

test('decode shows a wrong GRE checksum and what is inside all the same', () => {
  const decoded = decode(greOver4({ checksum: 0x1234 }));
  assert.equal(decoded?.reason, 'gre-checksum');
  assert.equal(decoded?.gre?.checksumValid, false);
  assert.equal(decoded?.inner?.source, '10.1.1.5');
});

test('decode cannot tell the checksum of a packet that is cut', () => {
  const whole = greOver4({ checksum: true });
  const decoded = decode(whole.subarray(0, whole.length - 2));
  assert.equal(decoded?.reason, 'outer-header');
  assert.equal(decoded?.gre?.checksumValid, null);
  assert.equal(decoded?.inner?.length, 28);
});

test('decode reads no key where PPTP or a source route has other fields', () => {
  const version1 = decode(greOver4({ flags: 1, key: 5 }));
  assert.equal(version1?.reason, 'gre-version');
  assert.equal(version1?.gre?.key, null);
  assert.equal(version1?.inner, null);
  const routed = decode(greOver4({ flags: 0x4000, key: 5 }));
  assert.equal(routed?.reason, 'gre-routing-present');
  assert.equal(routed?.gre?.key, null);
});

test('decode names 4in4 and 6in4 by their protocol, without a GRE part', () => {
  const ipip = decode(ipv4({ ...ENDPOINTS, protocol: 4, payload: INNER }));
  assert.equal(ipip?.verdict, 'ok');
  assert.equal(ipip?.gre, null);
  assert.equal(ipip?.inner?.version, 4);
  const sit = decode(ipv4({ ...ENDPOINTS, protocol: 41, payload: INNER6 }));
  assert.equal(sit?.inner?.source, '2001:db8:a::5');
  const crossed = decode(ipv4({ ...ENDPOINTS, protocol: 41, payload: INNER }));
  assert.equal(crossed?.reason, 'inner-version');
});

test('decode leaves out what is no tunnel', () => {
  for (const protocol of [1, 6, 17, 50, 97]) {
    assert.equal(decode(ipv4({ ...ENDPOINTS, protocol, payload: INNER })), null);
  }
  assert.equal(decode(new Uint8Array(0)), null);
  assert.equal(decode(hex('45000014')), null);
  assert.equal(decode(new Uint8Array(60).fill(0x50)), null);
});

test('decode reads GRE, IPv4 and IPv6 behind an IPv6 header', () => {
  const inGre = decode(ipv6({ ...ENDPOINTS6, nextHeader: 47, payload: gre({ payload: INNER6 }) }));
  assert.deepEqual(inGre?.outer, {
    version: 6,
    source: '2001:db8:0:1::1',
    destination: '2001:db8:0:2::2',
    protocol: 47,
    ttl: 64,
    tos: 0,
  });
  assert.equal(inGre?.inner?.version, 6);
  for (const [nextHeader, payload, version] of [
    [4, INNER, 4],
    [41, INNER6, 6],
  ] as const) {
    const decoded = decode(ipv6({ ...ENDPOINTS6, nextHeader, payload }));
    assert.equal(decoded?.verdict, 'ok');
    assert.equal(decoded?.inner?.version, version);
  }
});

/** `count` destination option headers of 8 bytes, then `last`. */
function behindOptions(count: number, last: number, payload: Uint8Array): Uint8Array {
  const headers = Array.from({ length: count }, (_, index) =>
    hex(`${(index === count - 1 ? last : 60).toString(16).padStart(2, '0')}00 010400000000`),
  );
  return ipv6({ ...ENDPOINTS6, nextHeader: 60, payload: Buffer.concat([...headers, payload]) });
}

test('decode walks at most eight extension headers', () => {
  const payload = gre({ payload: INNER });
  assert.equal(decode(behindOptions(8, 47, payload))?.verdict, 'ok');
  assert.equal(decode(behindOptions(9, 47, payload))?.reason, 'outer-header');
});

test('decode does not follow an extension header past the end of the packet', () => {
  const overrun = ipv6({ ...ENDPOINTS6, nextHeader: 60, payload: hex('2f ff 01040000 0000') });
  assert.equal(decode(overrun)?.reason, 'outer-header');
  const short = ipv6({ ...ENDPOINTS6, nextHeader: 60, payload: hex('2f 00 01') });
  assert.equal(decode(short)?.reason, 'outer-header');
});

test('decode says outer-fragment for pieces and not for atomic fragments', () => {
  const piece = (offset: string) =>
    ipv6({
      ...ENDPOINTS6,
      nextHeader: 44,
      payload: Buffer.concat([hex(`2f00 ${offset} 00000001`), gre({ payload: INNER })]),
    });
  assert.equal(decode(piece('0000'))?.verdict, 'ok');
  assert.equal(decode(piece('0001'))?.reason, 'outer-fragment');
  assert.equal(decode(piece('0008'))?.reason, 'outer-fragment');
  assert.equal(decode(piece('0008'))?.gre, null);
  const later = ipv4({ ...ENDPOINTS, protocol: 47, fragment: 1, payload: gre({ payload: INNER }) });
  assert.equal(decode(later)?.reason, 'outer-fragment');
  assert.equal(decode(later)?.gre, null);
});

/** GRE-in-UDP over IPv4. */
function udp(fields: { port?: number; length?: number; checksum?: number }): Uint8Array {
  const payload = gre({ payload: INNER });
  const header = Buffer.alloc(8);
  header.writeUInt16BE(50000, 0);
  header.writeUInt16BE(fields.port ?? 4754, 2);
  header.writeUInt16BE(fields.length ?? 8 + payload.length, 4);
  header.writeUInt16BE(fields.checksum ?? 0, 6);
  return ipv4({ ...ENDPOINTS, protocol: 17, payload: Buffer.concat([header, payload]) });
}

test('decode reads GRE-in-UDP at port 4754 only, and its UDP header', () => {
  const decoded = decode(udp({}));
  assert.equal(decoded?.verdict, 'ok');
  assert.equal(decoded?.outer.protocol, 17);
  assert.equal(decoded?.gre?.protocol, 0x0800);
  assert.equal(decode(udp({ port: 4755 })), null);
  assert.equal(decode(udp({ length: 7 }))?.reason, 'udp-header');
  assert.equal(decode(udp({ length: 200 }))?.reason, 'udp-header');
  assert.equal(decode(udp({ checksum: 1 }))?.reason, 'udp-checksum');
});

test('with tunnels, packets over IPv6 and UDP belong to none in this version, unless malformed', () => {
  const over6 = ipv6({ ...ENDPOINTS6, nextHeader: 47, payload: gre({ payload: INNER }) });
  const reason = (bytes: Uint8Array) => decode(bytes, { tunnels: [] })?.reason;
  assert.equal(reason(over6), 'no-tunnel');
  assert.equal(reason(udp({})), 'no-tunnel');
  assert.equal(reason(udp({ length: 7 })), 'udp-header');
  assert.equal(reason(greOver4({})), 'no-tunnel');
});

test('decode describes the outermost tunnel and shows the tunnel inside once', () => {
  const nested = greOver4({ payload: greOver4({ key: 9 }) });
  const decoded = decode(nested);
  assert.equal(decoded?.gre?.key, null);
  assert.equal(decoded?.inner?.protocol, 47);
});
