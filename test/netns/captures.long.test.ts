// Captures and dumps of real traffic in every mode, read back by tshark.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { said, startGrebe } from '../cli/grebe.js';
import {
  ANSWERED,
  assertAnswered,
  eventually,
  grebe,
  HOST4,
  type Lab,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  tunnelTable6,
  withLab,
  XDP,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';
import { assertNoDrops, assertTransfer, plainGre, TUNNEL } from '../support/traffic.js';

const GRE = 47;
/** Longest outer header of these tunnels. */
const HEADERS_MAX = 64;

interface Kind {
  readonly name: string;
  readonly mode: string;
  readonly over: 4 | 6;
  readonly inner: 4 | 6;
  readonly lines?: readonly string[];
}

const EVERYTHING = ['key = 42', 'csum = true', 'seq = true'];

const KINDS: readonly Kind[] = [
  { name: 'gre1', mode: 'gre', over: 4, inner: 4, lines: ['key = 7'] },
  { name: 'gre2', mode: 'gre', over: 4, inner: 6, lines: EVERYTHING },
  { name: 'ipip1', mode: 'ipip', over: 4, inner: 4 },
  { name: 'sit1', mode: 'sit', over: 4, inner: 6 },
  { name: 'tap1', mode: 'gretap', over: 4, inner: 4, lines: ['key = 9'] },
  { name: 'udp1', mode: 'gre-udp', over: 4, inner: 4 },
  { name: 'udp2', mode: 'gre-udp', over: 6, inner: 6, lines: ['key = 10'] },
  { name: 'ip6gre1', mode: 'ip6gre', over: 6, inner: 4, lines: EVERYTHING },
  { name: 'ip6tap1', mode: 'ip6gretap', over: 6, inner: 4, lines: ['key = 11'] },
  { name: 'ip6ip6', mode: 'ip6ip6', over: 6, inner: 6 },
  { name: 'ip4ip6', mode: 'ip4ip6', over: 6, inner: 4, lines: ['encaplimit = 4'] },
];

function innerOf({ inner }: Kind, index: number, side: Side): string {
  const host = side === 'A' ? 1 : 2;
  return inner === 4 ? `10.9.${index}.${host}` : `fd00:9:${index}::${host}`;
}

function tunnels(side: Side): string {
  return KINDS.map((kind, index) => {
    const table = kind.over === 4 ? tunnelTable : tunnelTable6;
    const address = `${innerOf(kind, index, side)}/${kind.inner === 4 ? 24 : 64}`;
    const lines = [`mode = "${kind.mode}"`, `address = ["${address}"]`, ...(kind.lines ?? [])];
    return table(kind.name, side, ...lines);
  }).join('\n');
}

/** Of a packet as tshark reads it. */
interface Row {
  readonly interface: string;
  readonly comment: string;
  readonly protocols: string;
  readonly malformed: string;
  readonly length: number;
  readonly captured: number;
  readonly direction: string;
}

async function readBack(file: string): Promise<Row[]> {
  const names = [
    ...['frame.interface_name', 'frame.comment', 'frame.protocols', '_ws.malformed'],
    ...['frame.len', 'frame.cap_len', 'frame.packet_flags_direction'],
  ];
  const fields = names.flatMap((name) => ['-e', name]);
  // Without fragments put together again: a frame is what it is.
  const words = ['-r', file, '-n', '-o', 'ip.defragment:FALSE', '-T', 'fields', ...fields];
  const { stdout } = await promisify(execFile)('tshark', words, { maxBuffer: 1 << 26 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', comment = '', protocols = '', malformed = '', ...rest] = line.split('\t');
      const [length = '', captured = '', direction = ''] = rest;
      return {
        ...{ interface: name, comment, protocols, malformed, direction },
        ...{ length: Number(length), captured: Number(captured) },
      };
    });
}

function assertSound(rows: readonly Row[]): void {
  for (const row of rows) {
    assert.equal(row.malformed, '', JSON.stringify(row));
    assert.doesNotMatch(row.protocols, /malformed/, JSON.stringify(row));
    const isSent = / encap /.test(row.interface);
    assert.equal(Number(row.direction), isSent ? 2 : 1, JSON.stringify(row));
  }
}

/** Packets of both routers' recorders and of a capture of B, while pings pass in all modes and some are dropped. */
async function captureAll(lab: Lab, folder: string): Promise<{ live: string; dump: string }> {
  const { namespaces, rA, b } = lab;
  const live = join(folder, 'live.pcapng');
  const dump = join(folder, 'dump.pcapng');
  const capture = startGrebe(['pcap', '--socket', b.socket, '-w', live]);
  await said(capture, /capturing/);
  for (const [index, kind] of KINDS.entries()) {
    await assertAnswered(namespaces, rA, innerOf(kind, index, 'B'));
  }
  const spoofed = ipv4({ source: '172.16.0.1', destination: '10.9.0.2', protocol: 253 });
  const wrap = (key: number): Uint8Array =>
    ipv4({
      ...{ source: OUTER.A, destination: OUTER.B, protocol: GRE, identification: 1 },
      payload: gre({ key, payload: spoofed }),
    });
  injectPackets(namespaces, rA, [wrap(7), wrap(8)]);
  const isDropped = async (): Promise<boolean> =>
    (await tunnelStatus(b, 'gre1')).drops['inner-src-spoof'] === 1;
  assert.ok(await eventually(isDropped));
  await sleep(100);
  capture.child.kill('SIGINT');
  assert.equal(await capture.ended, 0, capture.stderr());
  assert.match(capture.stderr(), /[0-9]+ packets in .*live\.pcapng/);
  assert.equal((await grebe('recorder', 'dump', '--socket', b.socket, '-w', dump)).trim(), dump);
  return { live, dump };
}

test('tshark reads captures and dumps of every mode, both ways and both forms, without a malformed packet', {
  skip: lacking('tshark', 'ping'),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-captures-'));
  try {
    await withLab('captures', { tunnels, outer: 6, router: 'lanes = 2' }, async (lab) => {
      const files = await captureAll(lab, folder);
      for (const [what, file] of Object.entries(files)) {
        const rows = await readBack(file);
        assertSound(rows);
        for (const kind of KINDS) assertPings(rows, kind, what === 'dump');
        assertDrops(rows);
      }
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Echo requests came in, and answers left, in both forms. */
function assertPings(rows: readonly Row[], { name, mode, inner }: Kind, isCut: boolean): void {
  const icmp = inner === 4 ? /:icmp/ : /:icmpv6/;
  for (const form of ['decap outer', 'decap inner', 'encap inner', 'encap outer']) {
    const found = rows.filter((row) => row.interface === `${name} ${form}`);
    const pings = found.filter(({ protocols }) => icmp.test(protocols));
    assert.ok(pings.length >= ANSWERED, `${name} ${form}: ${found.map((r) => r.protocols)}`);
    for (const { comment, length, captured } of pings) {
      assert.match(comment, /^forwarded;( codec after [0-9.]+ us;)? end after [0-9.]+ us$/);
      const isWhole = captured === length || (isCut && captured >= 128 - HEADERS_MAX);
      assert.ok(isWhole, `${name} ${form}: ${captured} of ${length}`);
    }
    const carrier = mode.includes('gre') && form.endsWith('outer') ? /:gre/ : /./;
    assert.ok(
      pings.every(({ protocols }) => carrier.test(protocols)),
      `${name} ${form}`,
    );
  }
}

function assertDrops(rows: readonly Row[]): void {
  const dropped = rows
    .filter(({ comment }) => comment.startsWith('drop: '))
    .map(({ interface: name, comment }) => `${name}: ${comment.replace(/;.*/, '')}`);
  assert.ok(dropped.includes('gre1 decap outer: drop: inner-src-spoof'), dropped.join('\n'));
  assert.ok(dropped.includes('no-tunnel decap outer: drop: no-tunnel'), dropped.join('\n'));
}

for (const [name, router] of [
  ['AF_XDP', XDP],
  ['superpackets that leave whole', 'offload = { gso = true }'],
] as const) {
  test(`tshark reads a transfer through ${name}`, { skip: lacking('tshark') }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'grebe-transfer-'));
    try {
      const options = { tunnels: plainGre, router, hosts: true, ipv6: false, offloads: true };
      await withLab('transfer', options, async (lab) => {
        const files = [lab.a, lab.b].map((side, index) => ({
          file: join(folder, `${index}.pcapng`),
          dump: join(folder, `dump${index}.pcapng`),
          socket: side.socket,
        }));
        const captures = files.map(({ file, socket }) =>
          startGrebe(['pcap', TUNNEL, '--socket', socket, '-w', file]),
        );
        for (const capture of captures) await said(capture, /capturing/);
        // Superpackets leave whole once the next hop is known.
        await assertAnswered(lab.namespaces, lab.hA, HOST4.B);
        await assertTransfer(lab, { from: 'A', size: 4 << 20 });
        await sleep(300);
        for (const capture of captures) capture.child.kill('SIGINT');
        for (const capture of captures) assert.equal(await capture.ended, 0, capture.stderr());
        for (const { socket, dump, file } of files) {
          await grebe('recorder', 'dump', '--socket', socket, '-w', dump);
          for (const one of [file, dump]) {
            const rows = await readBack(one);
            assertSound(rows);
            const forms = new Set(rows.map((row) => row.interface.replace(`${TUNNEL} `, '')));
            const all = ['decap inner', 'decap outer', 'encap inner', 'encap outer'];
            assert.deepEqual([...forms].sort(), all);
            assert.ok(rows.filter(({ protocols }) => /:tcp/.test(protocols)).length > 20);
            if (router === XDP) continue; // what it merges depends on how fast the sender is
            const isSuper = rows.some(({ comment }) =>
              /; stands for [0-9]+ packets$/.test(comment),
            );
            assert.equal(isSuper, socket === lab.a.socket, one); // the sender's
          }
        }
        await assertNoDrops(lab);
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test('a stopped reader of a live capture holds up no traffic, and learns what it missed', {
  skip: lacking('tshark', 'ping'),
}, async () => {
  const one = (side: Side): string =>
    tunnelTable(
      ...(['gre1', side, 'mode = "gre"'] as const),
      `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`,
    );
  const folder = mkdtempSync(join(tmpdir(), 'grebe-stalled-'));
  try {
    await withLab('stalled', { tunnels: one, ipv6: false }, async ({ namespaces, rA, b }) => {
      const file = join(folder, 'stalled.pcapng');
      const reader = namespaces.start(
        rA,
        'sh',
        [
          '-c',
          `exec "$0" "$1" pcap gre1 --socket "$2" -w - 2>"$3.err" | cat >"$3"`,
          ...[process.execPath, join(import.meta.dirname, '../../src/cli/main.js')],
          ...[b.socket, file],
        ],
        { stdio: 'ignore' },
      );
      const isBegun = (): boolean =>
        existsSync(`${file}.err`) && /capturing/.test(readFileSync(`${file}.err`, 'utf8'));
      assert.ok(await eventually(isBegun, 10_000));
      const cat = childOf(reader.pid, 'cat');
      process.kill(cat, 'SIGSTOP');
      const count = 6000;
      await promisify(execFile)('ip', [
        ...['netns', 'exec', rA, 'ping', '-q', '-f', '-c', String(count), '-s', '1400', '10.9.0.2'],
      ]);
      // Everything passed, though the reader has taken nothing.
      const passed = async (): Promise<number> => (await tunnelStatus(b, 'gre1')).rx.packets;
      assert.equal(await passed(), count);
      process.kill(cat, 'SIGCONT');
      let size = -1;
      const isCaughtUp = async (): Promise<boolean> => {
        const before = size;
        await sleep(300);
        size = statSync(file).size;
        return size === before && size > 0;
      };
      assert.ok(await eventually(isCaughtUp, 10_000));
      process.kill(childOf(reader.pid, 'node'), 'SIGINT');
      assert.ok(await eventually(() => reader.exitCode !== null, 10_000));
      const told = readFileSync(`${file}.err`, 'utf8');
      const [, packets = '0', lost = '0'] =
        /([0-9]+) packets; ([0-9]+) more passed too fast/.exec(told) ?? [];
      assert.equal(Number(packets) + Number(lost), count * 2, told);
      assertSound(await readBack(file));
      const { stdout } = await promisify(execFile)('capinfos', [file]);
      assert.match(stdout, /Number of stat entries = 1/, stdout);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** The process named `name` among the children of `parent`. */
function childOf(parent: number | undefined, name: string): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').split(' ');
  for (const pid of children.filter((one) => one !== '').map(Number)) {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name) return pid;
    const deeper = childOf(pid, name);
    if (deeper > 0) return deeper;
  }
  return 0;
}
