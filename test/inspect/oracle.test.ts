import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openFile } from '../../src/inspect/byte-source.js';
import { readCapture } from '../../src/inspect/capture.js';
import { runDecode } from '../../src/inspect/decode.js';
import { CaptureFile, LINKTYPE_RAW } from '../../src/inspect/pcapng-writer.js';
import type { Decoded } from '../../src/packet/decode.js';
import { encapGre } from '../../src/packet/encap-options.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'grebe-oracle-'));
after(() => rmSync(FOLDER, { recursive: true }));

/** A line of `grebe decode -j`. */
interface DecodedLine extends Decoded {
  readonly n: number;
}

const PYTHON = '/usr/bin/python3';
const wireshark = lacking([['tshark', 'editcap', 'capinfos'], 'tshark']);
const scapy =
  spawnSync(PYTHON, ['-c', 'import scapy.all']).status === 0
    ? false
    : 'needs scapy (apt-get install python3-scapy)';

/** Packets from an encoder that shares nothing with ours, behind every link layer. */
const MAKE_CAPTURES = `
import sys
from scapy.all import *
folder = sys.argv[1]
ping = IP(src='10.9.0.1', dst='10.9.0.2') / ICMP(id=1, seq=2) / b'grebe'
datagram = IPv6(src='fd00:9::1', dst='fd00:9::2') / UDP(sport=1, dport=2) / b'grebe'
outer = lambda protocol: IP(src='192.0.2.1', dst='192.0.2.2', proto=protocol, ttl=63, tos=0x20)
packets = [
    outer(47) / GRE() / ping,
    outer(17) / UDP(sport=53, dport=53) / b'no tunnel',
    outer(47) / GRE(chksum_present=1, key_present=1, key=42, seqnum_present=1, seqence_number=7) / ping,
    outer(47) / GRE(key_present=1, key=0xffffffff) / datagram,
    outer(47) / GRE(proto=0x6558) / Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02') / ping,
    outer(4) / ping,
    outer(41) / datagram,
]
ethernet = lambda: Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')
links = {
    'ethernet': (1, lambda packet: ethernet() / packet),
    'vlan': (1, lambda packet: ethernet() / Dot1AD(vlan=5) / Dot1Q(vlan=7) / packet),
    'raw': (101, lambda packet: packet),
    'cooked1': (113, lambda packet: CookedLinux() / packet),
    'null': (0, lambda packet: Loopback() / packet),
}
for name, (linktype, wrap) in links.items():
    wrpcap(folder + '/' + name + '.pcap', [wrap(packet) for packet in packets], linktype=linktype)
`;

test('captures of scapy decode to what scapy put into them, behind every link layer', {
  skip: scapy,
}, async () => {
  makeCaptures();
  for (const link of ['ethernet', 'vlan', 'raw', 'cooked1', 'null']) {
    const decoded = await decodeFile(join(FOLDER, `${link}.pcap`));
    assert.deepEqual(
      decoded.map(({ n, reason, outer, gre, inner }) => [
        n,
        reason,
        `${outer.source} ${outer.protocol} ${outer.ttl} ${outer.tos}`,
        gre === null ? null : [gre.checksumValid, gre.key, gre.sequence, gre.protocol],
        inner === null ? null : [inner.source, inner.protocol, inner.length],
      ]),
      [
        [1, null, '192.0.2.1 47 63 32', [null, null, null, 0x800], ['10.9.0.1', 1, 33]],
        [3, null, '192.0.2.1 47 63 32', [true, 42, 7, 0x800], ['10.9.0.1', 1, 33]],
        [4, null, '192.0.2.1 47 63 32', [null, 0xffffffff, null, 0x86dd], ['fd00:9::1', 17, 53]],
        [5, null, '192.0.2.1 47 63 32', [null, null, null, 0x6558], ['10.9.0.1', 1, 33]],
        [6, null, '192.0.2.1 4 63 32', null, ['10.9.0.1', 1, 33]],
        [7, null, '192.0.2.1 41 63 32', null, ['fd00:9::1', 17, 53]],
      ],
      link,
    );
  }
});

test('tshark reads the same header fields from the same files', {
  skip: wireshark || scapy,
}, async () => {
  makeCaptures();
  const file = join(FOLDER, 'ethernet.pcap');
  const fields = ['frame.number', 'gre.key', 'gre.sequence_number', 'gre.checksum.status'];
  const seen = run('tshark', [
    '-r',
    file,
    '-Y',
    'gre',
    '-T',
    'fields',
    ...fields.flatMap((f) => ['-e', f]),
  ])
    .slice(0, -1) // the newline behind the last line; empty fields are tabs
    .split('\n')
    .map((line) => line.split('\t').map((value) => (value === '' ? null : Number(value))));
  const ours = (await decodeFile(file)).flatMap(({ n, gre }) =>
    gre === null ? [] : [[n, gre.key, gre.sequence, gre.checksumValid === true ? 1 : null]],
  );
  assert.deepEqual(ours, seen);
});

test('every format that editcap writes gives the same packets and times', {
  skip: wireshark || scapy,
}, async () => {
  makeCaptures();
  const original = join(FOLDER, 'vlan.pcap');
  const expected = readAll(original);
  for (const format of ['pcap', 'nsecpcap', 'modpcap', 'pcapng']) {
    const file = join(FOLDER, `converted.${format}`);
    run('editcap', ['-F', format, original, file]);
    assert.deepEqual(readAll(file), expected, format);
  }
});

test('packets that editcap cuts keep their verdict at every length', {
  skip: wireshark || scapy,
}, async () => {
  makeCaptures();
  const original = join(FOLDER, 'raw.pcap');
  const whole = new Map((await decodeFile(original)).map((packet) => [packet.n, packet]));
  for (let length = 20; length < 90; length += 3) {
    const file = join(FOLDER, 'cut.pcapng');
    run('editcap', ['-s', String(length), '-F', 'pcapng', original, file]);
    for (const { n, reason } of await decodeFile(file)) {
      assert.ok(reason === null || reason === whole.get(n)?.reason, `packet ${n} at ${length}`);
    }
  }
});

test('tshark reads what we write: interfaces, times, directions, comments', {
  skip: wireshark,
}, () => {
  const path = join(FOLDER, 'written.pcapng');
  const file = new CaptureFile(path, 'grebe test');
  const eth0 = file.addInterface({ name: 'eth0', description: 'underlay', linkType: LINKTYPE_RAW });
  const gre1 = file.addInterface({ name: 'gre1', linkType: LINKTYPE_RAW });
  const inner = Buffer.from('4500001400010000400163d80a0101050a020209', 'hex');
  const sent = encapGre(inner, {
    local: '192.0.2.1',
    remote: '192.0.2.2',
    key: 42,
    checksum: true,
  });
  assert.equal(sent.verdict, 'ok');
  const timestampNs = 1_700_000_000_123_456_789n;
  file.add({ interfaceId: gre1, timestampNs, bytes: inner, direction: 'tx' });
  file.add({
    interfaceId: eth0,
    timestampNs: timestampNs + 1n,
    bytes: sent.packet,
    direction: 'rx',
    comment: 'drop: gre-sequence',
  });
  file.close();

  const names = [
    'frame.interface_name',
    'frame.time_epoch',
    'frame.packet_flags_direction',
    'frame.comment',
    'gre.key',
    'gre.checksum.status',
  ];
  const args = ['-r', path, '-T', 'fields', ...names.flatMap((name) => ['-e', name])];
  assert.deepEqual(
    run('tshark', args)
      .slice(0, -1) // the newline behind the last line; empty fields are tabs
      .split('\n')
      .map((line) => line.split('\t')),
    [
      ['gre1', '1700000000.123456789', '0x00000002', '', '', ''],
      ['eth0', '1700000000.123456790', '0x00000001', 'drop: gre-sequence', '0x0000002a', '1'],
    ],
  );
  assert.match(run('capinfos', [path]), /Number of interfaces in file:\s+2/);
});

function lacking([programs, debianPackage]: [string[], string]): string | false {
  const missing = programs.filter((program) => spawnSync(program, ['--version']).status !== 0);
  return missing.length > 0 && `needs ${missing.join(', ')} (apt-get install ${debianPackage})`;
}

function makeCaptures(): void {
  run(PYTHON, ['-c', MAKE_CAPTURES, FOLDER]);
}

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${program}: ${stderr}`);
  return stdout;
}

function readAll(path: string) {
  const { source, close } = openFile(path);
  try {
    return [...readCapture(source)];
  } finally {
    close();
  }
}

async function decodeFile(file: string) {
  const packets: DecodedLine[] = [];
  const out = (line: string) => packets.push(JSON.parse(line));
  assert.equal(await runDecode({ file, json: true, out, warn: () => {} }), 0);
  return packets;
}
