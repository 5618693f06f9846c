// The ways of tunnels: over several devices, to several remotes, over IPv6 and UDP, and what grebe doctor says of each.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../../src/demo/namespaces.js';
import { startRouter } from '../../src/demo/router-process.js';
import { judgeKernelTunnels } from '../../src/doctor/checks/kernel-tunnel.js';
import { gatherSubject, type Target } from '../../src/doctor/subject.js';
import { assertFine, assertFound, assertHealthy, doctor } from '../support/doctor.js';
import { lacking, OUTER, OUTER6, ping, tunnelTable, UNDERLAY, withWire } from '../support/lab.js';

const SILENT = '192.0.2.99';
/** When the neighbour is asked for again; what waits for it then goes out, late. */
const LATE_MS = 500;

test('doctor puts a missing address on the device that its own tunnel leaves by', {
  skip: lacking(),
}, async () => {
  await withWire('doctortwo', { ipv6: false }, async ({ namespaces, rA }) => {
    ip('-n', rA, 'link', 'add', 'u1', 'type', 'veth', 'peer', 'name', 'end');
    ip('-n', rA, 'link', 'set', 'u1', 'up');
    ip('-n', rA, 'address', 'add', '198.51.100.7/24', 'dev', 'u1');
    const config = join(namespaces.folder, 'a.toml');
    const second = ['[tunnel.gre2]', 'mode = "gre"', 'local = "198.51.100.1"'];
    const lines = [tunnelTable('gre1', 'A', 'mode = "gre"'), ...second];
    writeFileSync(config, [...lines, 'remote = "198.51.100.2"', ''].join('\n'));
    const words = ['--config', config, '--socket', join(namespaces.folder, 'nobody.sock')];
    assertFound(await doctor(rA, words), {
      ...{ check: 'local', severity: 'error', tunnel: 'gre2' },
      ...{ found: /198.51.100.1 is no address/, next: /address add 198.51.100.1\/32 dev u1;/ },
    });
  });
});

test('doctor does not take the answer of one remote for that of another', {
  skip: lacking('ping'),
}, async () => {
  await withWire('doctorecho', { ipv6: false }, async ({ namespaces, rA, rB }) => {
    const table = tunnelTable('gre1', 'A', 'mode = "gre"', 'address = ["10.9.1.1/24"]');
    const silent = tunnelTable('gre2', 'A', 'mode = "gre"', 'address = ["10.9.2.1/24"]');
    const a = await startRouter(
      namespaces,
      rA,
      table + silent.replace(`remote = "${OUTER.B}"`, `remote = "${SILENT}"`),
    );
    for (const net of [1, 2]) await ping(rA, '-c12', '-i0.01', '-W1', `10.9.${net}.2`);
    // Its answers come late: after the other remote was asked, too.
    ip('-n', rB, 'link', 'set', UNDERLAY, 'arp', 'off');
    ip('-n', rA, 'neigh', 'flush', 'dev', UNDERLAY);
    const timer = setTimeout(() => ip('-n', rB, 'link', 'set', UNDERLAY, 'arp', 'on'), LATE_MS);
    try {
      const found = await doctor(rA, ['--probe', '--config', a.config]);
      const peer = { check: 'peer', severity: 'warning', next: /tcpdump/ } as const;
      assertFound(found, { ...peer, tunnel: 'gre1', found: /its address answers ICMP echo/ });
      assertFound(found, { ...peer, tunnel: 'gre2', found: /does not answer ICMP echo either/ });
    } finally {
      clearTimeout(timer);
    }
  });
});

test('over IPv6 the probe finds the far end, and the size from where on packets vanish', {
  skip: lacking(),
}, async () => {
  await withWire('doctor6', { outer: 6 }, async ({ namespaces, rA, rB }) => {
    const config = join(namespaces.folder, 'a.toml');
    const socket = join(namespaces.folder, 'nobody.sock');
    const ends = [`local = "${OUTER6.A}"`, `remote = "${OUTER6.B}"`];
    writeFileSync(config, ['[tunnel.six1]', 'mode = "ip6gre"', ...ends, ''].join('\n'));
    const examine = () => doctor(rA, ['--probe', '--config', config, '--socket', socket]);
    assertHealthy(await examine());
    ip('-n', rB, 'link', 'set', UNDERLAY, 'mtu', '1400');
    assertFound(await examine(), {
      ...{ check: 'mtu', severity: 'error', tunnel: 'six1' },
      found: /up to 140[0-4] bytes to 2001:db8::2 are answered, those of 1500 vanish/,
      next: /mtu = 13(5[6-9]|60)/,
    });
  });
});

test('doctor lets in the port of GRE in UDP, and no other', { skip: lacking('nft') }, async () => {
  await withWire('doctorport', { ipv6: false }, async ({ namespaces, rA }) => {
    const config = join(namespaces.folder, 'a.toml');
    writeFileSync(config, tunnelTable('udp1', 'A', 'mode = "gre-udp"'));
    const shell = (line: string) => namespaces.run(rA, 'sh', ['-ec', line]);
    shell('nft add table inet edge');
    shell('nft add chain inet edge in "{ type filter hook input priority 0; policy drop; }"');
    const words = ['--config', config, '--socket', join(namespaces.folder, 'nobody.sock')];
    const { next } = assertFound(await doctor(rA, words), {
      ...{ check: 'firewall', severity: 'error', tunnel: 'udp1', found: /protocol 17 from/ },
      next: /nft insert rule inet edge in ip saddr 192.0.2.2 udp dport 4754 accept;/,
    });
    shell(next?.split('; ')[0]?.replace('sudo ', '') ?? '');
    assertFine(await doctor(rA, words), 'firewall');
  });
});

/** How many answers that a protocol cannot be reached the router `namespace` has had. */
function unreachables(namespace: string): number {
  const counters = execFileSync('ip', ['netns', 'exec', namespace, 'cat', '/proc/net/snmp']);
  const [names = '', values = ''] = String(counters)
    .split('\n')
    .filter((line) => line.startsWith('Icmp: '));
  return Number(values.split(' ')[names.split(' ').indexOf('InDestUnreachs')]);
}

test('what doctor says to type keeps back the answers of a module of the kernel', {
  skip: lacking('nft', 'ping'),
}, async () => {
  await withWire('doctoranswers', { ipv6: false }, async ({ namespaces, rA, rB }) => {
    // Without a router, and without the module, the kernel answers each GRE packet, too: protocol unreachable.
    const a = await startRouter(
      namespaces,
      rA,
      tunnelTable('gre1', 'A', 'mode = "gre"', 'address = ["10.9.0.1/24"]'),
    );
    const send = () => ping(rA, '-c1', '-W1', '10.9.0.2');
    await send();
    const before = unreachables(rA);
    assert.ok(before > 0);
    const [outcome] = judgeKernelTunnels(await targetsOf(a.config), new Map(), new Set(['ip_gre']));
    const command = /sudo (nft .*)$/.exec(outcome?.next ?? '')?.[1] ?? '';
    for (let n = 0; n < 2; n++) namespaces.run(rB, 'sh', ['-ec', command]);
    await sleep(1100); // the kernel's own limit on such answers is gone by then
    await send();
    assert.equal(unreachables(rA), before);
  });
});

async function targetsOf(config: string): Promise<readonly Target[]> {
  const router = { kind: 'absent', fault: '' } as const;
  return (await gatherSubject(router, { given: { config } })).targets;
}
