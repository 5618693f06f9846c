// Inner checksums that a kernel left to its network card are finished on the way into the device.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, lacking, OUTER, type Side, tunnelTable, withLab } from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4, udp } from '../support/packets.js';

const tunnels = (side: Side): string =>
  tunnelTable('gre1', side, 'mode = "gre"', `address = ["10.9.0.${side === 'A' ? 1 : 2}/24"]`);

/** A GRE packet from A to B with a UDP datagram to a port where nobody listens. */
function datagram(checksum: 'partial' | number): Uint8Array {
  const payload = udp({
    source: Uint8Array.of(10, 9, 0, 1),
    destination: Uint8Array.of(10, 9, 0, 2),
    checksum,
    payload: new Uint8Array(100).fill(0x42),
  });
  const inner = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 17, payload });
  return ipv4({
    source: OUTER.A,
    destination: OUTER.B,
    protocol: 47,
    identification: 1,
    payload: gre({ payload: inner }),
  });
}

test('UDP whose checksum a kernel left open arrives, and one whose checksum is wrong does not', {
  skip: lacking(),
}, async () => {
  await withLab('checksum', { tunnels, ipv6: false }, async ({ namespaces, rA, rB }) => {
    /** The kernel's own count: it looks for a listener only once the checksum was right. */
    const counts = (): { ports: number; errors: number } => {
      const lines = namespaces.run(rB, 'cat', ['/proc/net/snmp']).split('\n');
      const [names = [], values = []] = lines
        .filter((line) => line.startsWith('Udp:'))
        .map((line) => line.split(' '));
      const of = (name: string): number => Number(values[names.indexOf(name)]);
      return { ports: of('NoPorts'), errors: of('InCsumErrors') };
    };
    assert.deepEqual(counts(), { ports: 0, errors: 0 });
    injectPackets(namespaces, rA, [datagram('partial')]);
    assert.ok(await eventually(() => counts().ports === 1), JSON.stringify(counts()));
    injectPackets(namespaces, rA, [datagram(0x1234)]);
    assert.ok(await eventually(() => counts().errors === 1), JSON.stringify(counts()));
    assert.equal(counts().ports, 1);
  });
});
