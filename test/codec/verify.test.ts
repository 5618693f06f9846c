// A build that is wrong in any one thing is refused, and the refusal says in which.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBuild } from '../../src/codec/builds.js';
import { judgeBuild, verifyBuild } from '../../src/codec/verify.js';
import { Failure } from '../../src/sys/failure.js';
import { alterScalar, assemble, type Change, compileChanged, withFile } from './altered-build.js';

/** Asserts that a build with these bytes is refused for a cause that `cause` describes. */
function assertRefused(bytes: Uint8Array, cause: RegExp): Promise<void> {
  return withFile(bytes, (path) => {
    assert.throws(
      () => judgeBuild(loadBuild(path)),
      (error) => {
        assert.ok(error instanceof Failure, String(error));
        assert.equal(error.exitCode, 1);
        assert.ok(error.message.startsWith(`codec ${path} is refused: `), error.message);
        assert.match(error.message, cause);
        assert.match(error.hint ?? '', /grebe codec list/);
        return true;
      },
    );
  });
}

for (const name of ['simd', 'scalar', 'js', 'auto']) {
  test(`the build ${name} passes`, async () => {
    judgeBuild(loadBuild(name));
  });
}

test('a build of one’s own passes from its path', async () => {
  await withFile(alterScalar('', ''), (path) => {
    const build = loadBuild(path);
    judgeBuild(build);
    assert.equal(build.name, path);
  });
});

test('bytes that are no WebAssembly are refused', async () => {
  await assertRefused(new TextEncoder().encode('not wasm'), /does not compile/);
  await assertRefused(alterScalar('', '').subarray(0, 400), /does not compile/);
});

test('an export too few is refused', async () => {
  const bytes = alterScalar('(export "settle" (func $asm/index/settle))', '');
  await assertRefused(bytes, /does not export settle/);
});

test('an export too many is refused', async () => {
  const bytes = alterScalar(
    '(export "settle"',
    '(export "flush" (func $asm/index/encap)) (export "settle"',
  );
  await assertRefused(bytes, /exports function flush/);
});

test('a build that exports the memory is refused', async () => {
  const bytes = alterScalar('(export "settle"', '(export "memory" (memory 0)) (export "settle"');
  await assertRefused(bytes, /exports memory memory/);
});

test('an export that is no function is refused', async () => {
  const bytes = alterScalar(
    '(export "settle" (func $asm/index/settle))',
    '(global $settle i32 (i32.const 1)) (export "settle" (global $settle))',
  );
  await assertRefused(bytes, /settle is a global/);
});

test('an export with other parameters is refused', async () => {
  const bytes = alterScalar(
    '(export "encap" (func $asm/index/encap)',
    '(export "encap" (func $asm/index/settle)',
  );
  await assertRefused(bytes, /encap takes 2 parameters, not 1/);
});

test('an import too many is refused', async () => {
  const bytes = alterScalar(
    '(import "env"',
    '(import "env" "now" (func (result i32))) (import "env"',
  );
  await assertRefused(bytes, /imports function env\.now/);
});

test('a build with a memory of its own is refused', async () => {
  const bytes = alterScalar(
    '(import "env" "memory" (memory $mimport$0 1 65536 shared))',
    '(memory $mimport$0 1 65536 shared)',
  );
  await assertRefused(bytes, /does not import memory env\.memory/);
});

test('a build that wants a memory that is not shared is refused', async () => {
  const bytes = assemble(`(module (import "env" "memory" (memory 1 65536))
    (func $none (result i32) (i32.const 1))
    (func $one (param i32) (result i32) (i32.const 0))
    (func $two (param i32 i32) (result i32) (i32.const 0))
    (export "abiVersion" (func $none)) (export "encap" (func $one)) (export "decap" (func $one))
    (func $four (param i32 i32 i32 i32) (result i32) (i32.const 0))
    (export "settle" (func $two)) (export "checksum" (func $two)) (export "segment" (func $four))
    (export "coalesce" (func $two)) (export "separate" (func $two)))`);
  await assertRefused(bytes, /shared/);
});

test('a build that wants more memory than there is is refused', async () => {
  const bytes = alterScalar(
    '(memory $mimport$0 1 65536 shared)',
    '(memory $mimport$0 60000 65536 shared)',
  );
  await assertRefused(bytes, /memory import/);
});

test('a build with a data section is refused: it would overwrite the live memory', async () => {
  const bytes = alterScalar('(export "settle"', '(data (i32.const 0) "!") (export "settle"');
  await assertRefused(bytes, /data section/);
});

test('a build with a start function is refused: it would run on the live memory', async () => {
  const bytes = alterScalar('(export "settle"', '(func $go) (start $go) (export "settle"');
  await assertRefused(bytes, /start function/);
});

test('a build that traps is refused', async () => {
  const bytes = alterScalar(
    '(export "decap" (func $asm/index/decap))',
    '(func $trap (param i32) (result i32) (unreachable)) (export "decap" (func $trap))',
  );
  await assertRefused(bytes, /decap trapped/);
});

test('a build that leaves the packets alone is refused', async () => {
  const bytes = alterScalar(
    '(export "encap" (func $asm/index/encap))',
    '(func $idle (param i32) (result i32) (i32.const 0)) (export "encap" (func $idle))',
  );
  await assertRefused(bytes, /encap processed 0 of \d+ packets/);
});

test('a build that never returns is given up, and whoever asked goes on', async () => {
  const bytes = alterScalar(
    '(export "encap" (func $asm/index/encap))',
    '(func $endless (param i32) (result i32) (loop $again (br $again)) (i32.const 0)) (export "encap" (func $endless))',
  );
  let turns = 0;
  const timer = setInterval(() => turns++, 100);
  try {
    await withFile(bytes, (path) =>
      assert.rejects(verifyBuild(loadBuild(path)), /is refused: it did not come to an end in 5 s/),
    );
  } finally {
    clearInterval(timer);
  }
  assert.ok(turns > 10, `the event loop turned ${turns} times meanwhile`);
});

test('a refusal from the thread of a user’s own build says the same', async () => {
  const bytes = alterScalar(
    '(export "encap" (func $asm/index/encap))',
    '(func $idle (param i32) (result i32) (i32.const 0)) (export "encap" (func $idle))',
  );
  await withFile(bytes, async (path) => {
    await assert.rejects(verifyBuild(loadBuild(path)), (error) => {
      assert.ok(error instanceof Failure);
      assert.equal(error.exitCode, 1);
      assert.match(error.message, /encap processed 0 of/);
      assert.match(error.hint ?? '', /grebe codec list/);
      return true;
    });
  });
});

test('a user’s own build that is right passes in its thread', async () => {
  await withFile(alterScalar('', ''), (path) => verifyBuild(loadBuild(path)));
});

/** Mistakes that each change what a packet becomes or how it is counted. */
const MISTAKES: readonly (Change & { readonly cause: RegExp })[] = [
  {
    file: 'layout.ts',
    before: 'ABI_VERSION = 6',
    after: 'ABI_VERSION = 5',
    cause: /ABI 5, this grebe has ABI 6/,
  },
  {
    file: 'segment.ts',
    before: 'if (index !== count - 1) bits &= ~(TCP_FIN | TCP_PSH);',
    after: '',
    cause: /segment, TCP over IPv4/,
  },
  {
    file: 'segment.ts',
    before: 'carried, identification + index',
    after: 'carried, identification',
    cause: /segment, TCP over IPv4/,
  },
  {
    file: 'segment.ts',
    before: 'fold(known + linkSum), DESCRIPTOR_SUM',
    after: 'fold(known + linkSum) ^ 1, DESCRIPTOR_SUM',
    cause: /segment, TCP over IPv4.*: its sum is \d+, it says/,
  },
  {
    file: 'segment.ts',
    before: 'if (checksum === 0 && isUdp) checksum = 0xffff;',
    after: '',
    cause: /segment, UDP over IPv6, the checksum of the second adds up to 0/,
  },
  {
    file: 'segment.ts',
    before: 'length + (count - 1) * headers, DESCRIPTOR_INNER_LENGTH',
    after: 'length, DESCRIPTOR_INNER_LENGTH',
    cause: /segment, TCP that stays whole: 0: 65 bytes, not 145/,
  },
  {
    file: 'coalesce.ts',
    before: 'if (!isWhole(descriptor, packet, length, isTcp)) return false;',
    after: '',
    cause: /coalesce, what comes behind a pure ACK: packets 15 16 17, not 15 16/,
  },
  {
    file: 'coalesce.ts',
    before: 'if (open !== 0) closeRun(runAt(places, open - 1));',
    after: '',
    cause: /coalesce, what comes behind PSH: packets 8 15/,
  },
  {
    file: 'coalesce.ts',
    before: '(load<u32>(upper, TCP_ACKNOWLEDGEMENT) !== load<u32>(other, TCP_ACKNOWLEDGEMENT))',
    after: '(true)',
    cause: /coalesce, TCP over IPv4 up to PSH.*: packets 0, not 0 3 7/,
  },
  {
    file: 'superpacket.ts',
    before: '| pushed',
    after: '',
    cause: /coalesce, TCP over IPv4 up to PSH.*: 4500/,
  },
  {
    file: 'superpacket.ts',
    before: '((<u64>size) << 32)',
    after: '((<u64>size + 1) << 32)',
    cause: /coalesce, .*: device header/,
  },
  {
    file: 'superpacket.ts',
    before: 'store<u16>(packet, load<u16>(merged, MERGED_NETWORK_CHECKSUM), IPV4_CHECKSUM)',
    after: 'store<u16>(packet, 0, IPV4_CHECKSUM)',
    cause: /separate: packet 0/,
  },
  {
    file: 'wire/checksum.ts',
    before: '(half + rotl<u32>(half, 16)) >>> 16',
    after: '(half & 0xffff) + (half >>> 16)',
    cause: /checksum of/,
  },
  {
    file: 'wire/checksum.ts',
    before: 'if (length & 1) acc += <u64>load<u8>(ptr);',
    after: '',
    cause: /checksum of ff is 255/,
  },
  {
    file: 'encap.ts',
    before: ': innerFragment & FRAGMENT_DF',
    after: ': 0',
    cause: /gre copies DF from the inner header: packet/,
  },
  {
    file: 'encap.ts',
    before: 'bswap<u32>(atomic.add',
    after: '(atomic.add',
    cause: /gre counts sequence and identification/,
  },
  {
    file: 'encap.ts',
    before: 'store<u64>(outer, addresses, IPV4_SOURCE);',
    after: 'store<u64>(outer, addresses, IPV4_SOURCE);\n  store<u8>(outer - 1, 0);',
    cause: /wrote outside the packet/,
  },
  {
    file: 'table.ts',
    before: 'pass === PASS_ANY ? FLAG_UP : FLAG_UP | FLAG_KEY_IN',
    after: 'FLAG_UP',
    cause: /decap, gre with checksum, key and sequence: verdict no-tunnel/,
  },
  {
    file: 'wire/gre.ts',
    before: 'GRE_RESERVED: u32 = 0x0c00',
    after: 'GRE_RESERVED: u32 = 0x0800',
    cause: /gre reserved bit 5: verdict forwarded, not gre-reserved-bits/,
  },
  {
    file: 'local.ts',
    before: 'return REASON_INNER_SRC_SPOOF',
    after: 'return 0',
    cause: /inner source is ours: verdict forwarded, not inner-src-spoof/,
  },
  {
    file: 'local.ts',
    before: 'kind = LOCAL_KEEPALIVE',
    after: 'kind = 0',
    cause: /keepalive of the peer: verdict inner-src-spoof, not local/,
  },
  {
    file: 'wire/ecn.ts',
    before: 'return ECN_ECT_1',
    after: 'return inner',
    cause: /ECT\(1\) outside, ECT\(0\) inside IPv6: packet/,
  },
  {
    file: 'device-header.ts',
    before: '(mtu - headers)',
    after: 'mtu',
    cause: /TCP merged past the MTU: device header/,
  },
  {
    file: 'counter.ts',
    before: 'add(row + bytes, load<u32>(descriptor, DESCRIPTOR_INNER_LENGTH));',
    after: 'add(row + bytes, 1);',
    cause: /settle counted \d+ for tx bytes of tunnel 1/,
  },
  {
    file: 'counter.ts',
    before: 'store<u32>(ring, processed, RING_DRAINED);',
    after: '',
    cause: /settle left packets of encap uncounted/,
  },
  {
    file: 'encap.ts',
    before: 'second = (second & 0x00ffffff) | (innerTtl(inner, family) << 24)',
    after: 'second &= 0x00ffffff',
    cause:
      /encap, ip6gre with checksum, key and sequence, class, hop limit and flow label inherited/,
  },
  {
    file: 'encap.ts',
    before: 'label = flowLabel(inner)',
    after: 'label = 0',
    cause:
      /encap, ip6gre with checksum, key and sequence, class, hop limit and flow label inherited/,
  },
  {
    file: 'encap.ts',
    before: 'let label = flowLabel(template)',
    after: 'let label: u32 = 0',
    cause: /encap, ip4ip6 with a flow label of its own: packet/,
  },
  {
    file: 'encap.ts',
    before: 'swap16(outerLength - IPV6_LENGTH + length)',
    after: 'swap16(outerLength + length)',
    cause: /encap, ip6gre carries IPv4: packet/,
  },
  {
    file: 'encap.ts',
    before: '<u8>(limit - 1)',
    after: '<u8>limit',
    cause: /encap, ip6ip6 says one less than the packet that it carries: packet/,
  },
  {
    file: 'encap.ts',
    before: 'if (limit === 0) return REASON_ENCAP_LIMIT;',
    after: '',
    cause: /encap, ip6gre with a packet that may enter no tunnel more: verdict forwarded/,
  },
  {
    file: 'enter.ts',
    before: '(flags & (FLAG_LINUX | FLAG_OVER6)) === <u32>FLAG_LINUX',
    after: 'false',
    cause: /encap, as Linux over IPv4, a packet that may enter no tunnel more: verdict encap-limit/,
  },
  {
    file: 'encap.ts',
    before: 'flags & FLAG_ECN_COMPATIBILITY ? 0 : inner & ECN_MASK',
    after: 'inner & ECN_MASK',
    cause: /encap, compatibility mode sends no ECN: packet/,
  },
  {
    file: 'encap.ts',
    before: 'wire - frameLength',
    after: '(frameLength === 0 ? wire : 0)',
    cause: /encap, a frame larger than the MTU and its own header: verdict forwarded, not too-big/,
  },
  {
    file: 'frame.ts',
    before: 'TAG_LIMIT: u32 = 2',
    after: 'TAG_LIMIT: u32 = 1',
    cause: /encap, gretap looks behind two VLAN tags: packet/,
  },
  {
    file: 'mss.ts',
    before: '(at & 1) !== 0',
    after: 'false',
    cause: /encap, lowers an MSS at an odd offset: packet/,
  },
  {
    file: 'mss.ts',
    before: 'if (isPartial) return;',
    after: '',
    cause: /decap, lowers an MSS under a checksum that is left to the device: packet/,
  },
  {
    file: 'mss.ts',
    before: 'load16(tcp + at) <= most',
    after: 'false',
    cause: /encap, leaves an MSS that is low enough: packet/,
  },
  {
    file: 'leave.ts',
    before: 'clampMss(record, ip, own, family, true)',
    after: '',
    cause: /decap, lowers the MSS of a connection that opens: packet/,
  },
  {
    file: 'leave.ts',
    before: 'flags & FLAG_TOS_IN ? outerTos : tos',
    after: 'tos',
    cause: /decap, DSCP and TTL are those of the outer header: packet/,
  },
  {
    file: 'leave.ts',
    before: 'ttl < <u32>load<u8>(inner, IPV6_HOP_LIMIT)',
    after: 'true',
    cause: /decap, a TTL is lowered, never raised: packet/,
  },
  {
    file: 'leave.ts',
    before: 'if (isGroupSource(inner)) return REASON_INNER_MARTIAN;',
    after: '',
    cause: /decap, gretap, a frame sent by a group: verdict forwarded, not inner-martian/,
  },
  {
    file: 'leave.ts',
    before: 'const after = ((flags & FLAG_TOS_IN ? outerTos : tos) & ~ECN_MASK) | ecn;',
    after: 'const after = over4 ? (tos & ~ECN_MASK) | ecn : tos;',
    cause: /decap, ip6gre, congestion marked on the way: packet/,
  },
  {
    file: 'decap.ts',
    before: 'isLinux ? GRE_RESERVED_LINUX : GRE_RESERVED',
    after: 'GRE_RESERVED',
    cause: /decap, as Linux, bits 4 to 8 are ignored: verdict gre-reserved-bits, not forwarded/,
  },
  {
    file: 'wire/gre.ts',
    before: 'GRE_RESERVED_LINUX: u32 = 0x0078',
    after: 'GRE_RESERVED_LINUX: u32 = 0x0070',
    cause: /decap, as Linux, bit 12 is part of the version: verdict forwarded/,
  },
  {
    file: 'decap.ts',
    before: 'own & FLAG_SEQUENCE_IN && !(flags & GRE_S)',
    after: 'false',
    cause: /decap, as Linux, the sequence number is missing: verdict forwarded, not gre-sequence/,
  },
  {
    file: 'decap.ts',
    before: 'return isBare ? 0 : WCCP_LENGTH;',
    after: 'return WCCP_LENGTH;',
    cause: /decap, a redirected packet, WCCP version 1: verdict/,
  },
  {
    file: 'decap.ts',
    before: 'if (header > available) return REASON_GRE_TRUNCATED;',
    after: '',
    cause: /decap, a redirect header that is cut: verdict/,
  },
  {
    file: 'enter.ts',
    before: 'source !== far && destination',
    after: 'destination',
    cause: /encap, from the far end itself: verdict forwarded, not inner-src-spoof/,
  },
  {
    file: 'enter.ts',
    before: '!looksLikeTunnel(next, upper)',
    after: 'true',
    cause: /encap, a packet that a tunnel of ours has sent: verdict forwarded, not nesting-limit/,
  },
  {
    file: 'enter.ts',
    before: '& OWN_OUTER) !== 0',
    after: '& OWN_OUTER) !== 9',
    cause: /encap, a keepalive of ours, from the far end: verdict nesting-limit, not forwarded/,
  },
  {
    file: 'enter.ts',
    before: 'return isAsking ? REASON_NONE : REASON_INNER_SRC_SPOOF;',
    after: 'return REASON_INNER_SRC_SPOOF;',
    cause: /encap, a keepalive of ours, from the far end: verdict inner-src-spoof, not forwarded/,
  },
  {
    file: 'encap.ts',
    before: '(ports & 0xffff) === 0',
    after: 'true',
    cause: /encap, gre-udp with checksum, key and sequence, odd length: packet/,
  },
  {
    file: 'flow.ts',
    before: 'hash >>> 12',
    after: 'hash >>> 13',
    cause: /encap, ip6gre with the flow label of an IPv4 flow: packet/,
  },
  {
    file: 'leave.ts',
    before: '1, STATE_ECN',
    after: '1, STATE_ECN + 4',
    cause: /decap counted 0 1 .* pairs of ECN for tunnel 1/,
  },
  {
    file: 'wire/udp.ts',
    before: '=== 0) return family === 4;',
    after: '=== 0) return true;',
    cause: /decap, gre-udp over IPv6 without a UDP checksum: verdict forwarded, not udp-checksum/,
  },
];

for (const { cause, ...change } of MISTAKES) {
  test(`a build with ${change.file} changed to "${change.after.trim()}" is refused`, async () => {
    await assertRefused(await compileChanged(change), cause);
  });
}
