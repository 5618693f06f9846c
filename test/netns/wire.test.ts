// What is on the wire, as an independent decoder reads it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { command, eventually, lacking, type Side, tunnelTable, withLab } from '../support/lab.js';

/** Packets of each direction. */
const COUNT = 20;
const LIMIT_MS = 20_000;

const tunnels = (side: Side): string =>
  tunnelTable(
    'gre1',
    side,
    'mode = "gre"',
    'key = 42',
    'csum = true',
    'seq = true',
    `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`,
  );

test('tshark finds keyed, checksummed, numbered GRE well-formed', {
  skip: lacking('tshark', 'ping'),
}, async () => {
  await withLab('wire', { tunnels, ipv6: false }, async ({ namespaces, rA, rB }) => {
    const file = join(namespaces.folder, 'wire.pcapng');
    const capture = namespaces.start(
      rB,
      'tshark',
      ['-i', 'u0', '-f', 'proto 47', '-w', file, '-c', `${COUNT * 2}`],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let messages = '';
    capture.stderr?.on('data', (data) => {
      messages += String(data);
    });
    // tshark does not say when it has begun: pings go on until it has seen enough of them.
    const pings = namespaces.start(rA, 'ping', ['-q', '-i', '0.02', '10.9.0.2'], {
      stdio: 'ignore',
    });
    assert.ok(await eventually(() => capture.exitCode !== null, LIMIT_MS), messages);
    await namespaces.stop(pings);

    const rows = await readBack(rB, file);
    assert.equal(rows.length, COUNT * 2);
    for (const { status, key, malformed, type } of rows) {
      assert.deepEqual({ status, key, malformed }, { status: 'Good', key: '42', malformed: '' });
      assert.ok(type === '8' || type === '0', type);
    }
    for (const source of ['192.0.2.1', '192.0.2.2']) {
      const numbers = rows.filter((row) => row.source === source).map((row) => row.sequence);
      assert.ok(numbers.length >= COUNT - 1, `${numbers.length} packets of ${source}`);
      const first = numbers[0] ?? 0;
      assert.deepEqual(
        numbers,
        numbers.map((_, n) => first + n),
      );
    }
  });
});

interface Row {
  readonly source: string;
  readonly status: string;
  readonly key: string;
  readonly sequence: number;
  readonly type: string;
  readonly malformed: string;
}

async function readBack(namespace: string, file: string): Promise<Row[]> {
  const names = ['ip.src', 'gre.checksum.status', 'gre.key', 'gre.sequence_number', 'icmp.type'];
  const fields = [...names, '_ws.malformed'].flatMap((name) => ['-e', name]);
  const output = await command(
    namespace,
    'tshark',
    ...['-r', file, '-T', 'fields', '-E', 'occurrence=f', ...fields],
  );
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [source = '', status = '', key = '', sequence = '', type = '', malformed = ''] =
        line.split('\t');
      return {
        source,
        status: status === '1' ? 'Good' : status,
        key: String(Number(key)),
        sequence: Number(sequence),
        type,
        malformed,
      };
    });
}
