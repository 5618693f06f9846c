import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type DecodeCommand, runDecode } from '../../src/inspect/decode.js';
import { encapGre, encapIpip } from '../../src/packet/encap-options.js';
import { concat, enhancedPacket, interfaceBlock, pcap, section } from './capture-files.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'grebe-decode-'));
after(() => rmSync(FOLDER, { recursive: true }));

const ENDS = { local: '192.0.2.1', remote: '192.0.2.2' };
/** 10.1.1.5 > 10.2.2.9, ICMP echo request, 32 bytes. */
const INNER = Buffer.from(
  '4500002000010000400163cc0a0101050a0202090800757b0001000141414141',
  'hex',
);
const GRE = sent(encapGre(INNER, { ...ENDS, key: 42, sequence: 7, checksum: true }));
const IPIP = sent(encapIpip(INNER, ENDS));
const MACS = Buffer.from('0200000000010200000000020800', 'hex');

test('every tunnel packet of a capture is a line of JSON that keeps its number', async () => {
  const file = save('three.pcap', capture([INNER, GRE, IPIP]));
  const { code, out, warnings } = await run({ file, json: true });
  assert.equal(code, 0);
  const outer = { version: 4, source: '192.0.2.1', destination: '192.0.2.2', ttl: 64, tos: 0 };
  const inner = {
    version: 4,
    source: '10.1.1.5',
    destination: '10.2.2.9',
    protocol: 1,
    length: 32,
  };
  const gre = {
    checksum: true,
    checksumValid: true,
    key: 42,
    sequence: 7,
    version: 0,
    protocol: 2048,
  };
  const head = { schema: 'grebe.packet/1', verdict: 'ok', reason: null };
  assert.deepEqual(
    out.map((line) => JSON.parse(line)),
    [
      { ...head, n: 2, outer: { ...outer, protocol: 47 }, gre, inner },
      { ...head, n: 3, outer: { ...outer, protocol: 4 }, gre: null, inner },
    ],
  );
  assert.deepEqual(warnings, [`${file}: 3 packets, 2 of tunnels: 2 ok, 0 to drop`]);
});

test('a person reads one line a packet, and a summary apart from it', async () => {
  const bad = Uint8Array.from(GRE);
  bad[bad.length - 1] = 0;
  const file = save('people.pcap', capture([GRE, bad]));
  const { code, out, warnings } = await run({ file });
  assert.equal(code, 0);
  assert.deepEqual(out, [
    '     1 ok                  192.0.2.1 > 192.0.2.2 gre key 42 seq 7 csum ok ipv4' +
      ' | 10.1.1.5 > 10.2.2.9 icmp, 32 bytes',
    '     2 gre-checksum        192.0.2.1 > 192.0.2.2 gre key 42 seq 7 csum bad ipv4' +
      ' | 10.1.1.5 > 10.2.2.9 icmp, 32 bytes',
  ]);
  assert.deepEqual(warnings, [
    `${file}: 2 packets, 2 of tunnels: 1 ok, 1 to drop (gre-checksum 1)`,
  ]);
});

test('lines are coloured only when asked for', async () => {
  const hex = Buffer.from(GRE).toString('hex');
  const paint = (style: string, text: string) => `<${style}>${text}</>`;
  assert.ok(!(await run({ hex })).out[0]?.includes('<'));
  assert.ok((await run({ hex, paint })).out[0]?.includes('<green>ok'));
});

test('a packet cut by the snap length is not held against its sender', async () => {
  const bytes = concat([MACS, GRE]);
  const records = [{ ...at(1), bytes: bytes.subarray(0, 60), original: bytes.length }];
  const file = save('cut.pcap', pcap({ magic: 0xa1b2c3d4, little: true, snapLength: 60 }, records));
  const packet = JSON.parse((await run({ file, json: true })).out[0] ?? '');
  assert.equal(packet.verdict, 'ok');
  assert.equal(packet.gre.checksumValid, null);
  assert.equal(packet.inner, null);
});

test('with a config the verdict is that of its tunnels, sequence numbers in the order of the file', async () => {
  const config = save(
    'grebe.toml',
    Buffer.from(`
[tunnel.gre1]
mode = "gre"
local = "192.0.2.2"
remote = "192.0.2.1"
key = 42
seq = true
routes = ["10.1.1.0/24"]
`),
  );
  const stranger = sent(encapGre(INNER, { local: '203.0.113.9', remote: '192.0.2.2', key: 42 }));
  const later = sent(encapGre(INNER, { ...ENDS, key: 42, sequence: 8, checksum: true }));
  const file = save('judged.pcap', capture([GRE, later, GRE, stranger, IPIP]));
  const { out } = await run({ file, json: true, config });
  assert.deepEqual(
    out.map((line) => JSON.parse(line).reason),
    [null, null, 'gre-sequence', 'no-tunnel', 'no-tunnel'],
  );
});

test('a link type that is not supported is named once, and its packets are counted', async () => {
  const order = { little: true };
  const file = save(
    'links.pcapng',
    concat([
      section(order),
      interfaceBlock(order, 147),
      interfaceBlock(order, 101),
      enhancedPacket(order, GRE),
      enhancedPacket(order, GRE, { interfaceId: 1 }),
      enhancedPacket(order, GRE),
    ]),
  );
  const { code, out, warnings } = await run({ file, json: true });
  assert.equal(code, 0);
  assert.deepEqual(
    out.map((line) => JSON.parse(line).n),
    [2],
  );
  assert.equal(warnings.length, 3);
  assert.match(warnings[0] ?? '', /^link type 147 is not supported/);
  assert.match(warnings[2] ?? '', /2 packets skipped for their link type 147$/);
});

test('a file that ends too early fails after what could be read', async () => {
  const file = save('short.pcap', capture([GRE, GRE]).subarray(0, -1));
  const out: string[] = [];
  const warnings: string[] = [];
  await assert.rejects(run({ file, json: true }, out, warnings), {
    exitCode: 1,
    message: /short\.pcap: the file ends inside packet 2 at byte \d+/,
  });
  assert.equal(out.length, 1);
  assert.match(warnings[0] ?? '', /1 packets, 1 of tunnels/);
});

test('a file that is no capture fails with its name and the reason', async () => {
  await assert.rejects(run({ file: save('a.pcap.gz', Buffer.from('1f8b08000000', 'hex')) }), {
    exitCode: 1,
    message: /a\.pcap\.gz: the file is compressed with gzip$/,
    hint: `gzip -dc ${join(FOLDER, 'a.pcap.gz')} | grebe decode -`,
  });
  await assert.rejects(run({ file: save('empty.pcap', new Uint8Array()) }), { exitCode: 1 });
});

test('a file that is not there is missing input', async () => {
  const file = join(FOLDER, 'absent.pcap');
  await assert.rejects(run({ file }), {
    exitCode: 66,
    message: `${file}: no such file`,
  });
  await assert.rejects(run({ file: FOLDER }), { exitCode: 66, message: /is a directory/ });
});

test('hex gives the one packet it holds', async () => {
  const { code, out } = await run({ hex: Buffer.from(GRE).toString('hex'), json: true });
  assert.equal(code, 0);
  assert.equal(JSON.parse(out[0] ?? '').n, 1);
  const none = await run({ hex: INNER.toString('hex'), json: true });
  assert.deepEqual([none.code, none.out], [0, []]);
  await assert.rejects(run({ hex: '45 xx' }), { exitCode: 64 });
});

test('neither or both of file and hex is a usage failure', async () => {
  await assert.rejects(run({}), { exitCode: 64 });
  await assert.rejects(run({ file: 'a', hex: '45' }), { exitCode: 64 });
});

test('file and hex are read from standard input', () => {
  const inputs: [string, string | Uint8Array][] = [
    [`hex: '-'`, Buffer.from(GRE).toString('hex')],
    [`file: '-'`, capture([GRE])],
  ];
  for (const [options, input] of inputs) {
    const module = new URL('../../src/inspect/decode.js', import.meta.url);
    const code = `import { runDecode } from '${module}';
      await runDecode({ ${options}, json: true, out: console.log, warn: () => {} });`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      input,
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    assert.equal(JSON.parse(stdout).gre.key, 42);
  }
});

function sent(result: { verdict: string; packet?: Uint8Array }): Uint8Array {
  assert.ok(result.packet !== undefined, result.verdict);
  return result.packet;
}

/** An Ethernet capture of IP packets. */
function capture(packets: readonly Uint8Array[]): Uint8Array {
  return pcap(
    { magic: 0xa1b2c3d4, little: true },
    packets.map((packet, index) => ({ ...at(index), bytes: concat([MACS, packet]) })),
  );
}

function at(seconds: number) {
  return { seconds, fraction: 0 };
}

function save(name: string, bytes: Uint8Array): string {
  const file = join(FOLDER, name);
  writeFileSync(file, bytes);
  return file;
}

async function run(options: Partial<DecodeCommand>, out: string[] = [], warnings: string[] = []) {
  const code = await runDecode({
    json: false,
    ...options,
    out: (line) => out.push(line),
    warn: (line) => warnings.push(line),
  });
  return { code, out, warnings };
}
