// Where AF_XDP cannot be had, the router says why and what to do, and runs over raw sockets.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ip } from '../../src/demo/namespaces.js';
import { type RouterProcess, readStatus, startRouter } from '../../src/demo/router-process.js';
import { ATTACH_TYPE } from '../../src/sys/bpf.js';
import { interfaceIndex, NativeBlock, syscall } from '../../src/sys/libc.js';
import { openRedirect, type Redirect } from '../../src/underlay/xdp/redirect-program.js';
import { assertFine, assertFound, doctor } from '../support/doctor.js';
import { enterNamespace, namespacePath } from '../support/enter-namespace.js';
import {
  assertAnswered,
  dropsOf,
  eventually,
  killRouter,
  type Lab,
  lacking,
  startRouters,
  UNDERLAY,
  type Wire,
  withWire,
  XDP,
} from '../support/lab.js';
import {
  assertNoDrops,
  assertNothingDropped,
  assertTransfers,
  PEER,
  plainGre,
} from '../support/traffic.js';
import { RawWitness, redirected } from '../support/wire-count.js';

const TRANSFER_SIZE = 8 << 20;
const skip = lacking('ping', 'ethtool');

const startBoth = (wire: Wire): Promise<Lab> =>
  startRouters(wire, { tunnels: plainGre, router: XDP });

/** A program of somebody else on a device; it passes everything. */
function foreignProgram(namespace: string, device = UNDERLAY): Redirect {
  return enterNamespace(namespacePath(namespace), () =>
    openRedirect({
      ...{ link: interfaceIndex(device), device },
      ...{ queueCount: 1, frameSize: 1500, maxPeers: 1 },
    }),
  );
}

const hasProgram = (namespace: string): boolean =>
  /prog\/xdp|"xdp"/.test(ip('-n', namespace, '-j', '-d', 'link', 'show', 'dev', UNDERLAY));

const BPF_PROG_QUERY = 16;
/** The kernel writes to some fields of it however short it is said to be. */
const ATTRIBUTE_SIZE = 128;

/** How many programs are on the way out of the device (TCX): `ip` does not tell. */
function egressPrograms(namespace: string): number {
  const attribute = new NativeBlock(ATTRIBUTE_SIZE);
  return enterNamespace(namespacePath(namespace), () => {
    attribute.view.setUint32(0, interfaceIndex(UNDERLAY), true);
    attribute.view.setUint32(4, ATTACH_TYPE.tcxEgress, true);
    const number = process.arch === 'x64' ? 321 : 280;
    assert.equal(syscall(number, BPF_PROG_QUERY, attribute.address, ATTRIBUTE_SIZE), 0);
    return attribute.view.getUint32(24, true);
  });
}

/** Asserts that the router runs over raw sockets and has said this. */
async function assertRaw(router: RouterProcess, ...says: readonly RegExp[]): Promise<void> {
  assert.equal((await readStatus(router)).underlay, 'raw', router.messages());
  for (const words of [...says, /underlay raw instead/]) assert.match(router.messages(), words);
}

test('after kill -9 no program stays on the device, and the next router starts at once', {
  skip,
}, async () => {
  await withWire('kill', { hosts: true, ipv6: false, offloads: true }, async (wire) => {
    const { namespaces, rA } = wire;
    let lab = await startBoth(wire);
    assert.ok(hasProgram(rA));
    assert.equal(egressPrograms(rA), 1);
    await assertTransfers(lab, { size: TRANSFER_SIZE });
    for (let n = 0; n < 2; n++) {
      await killRouter(lab.a);
      assert.ok(await eventually(() => !hasProgram(rA) && egressPrograms(rA) === 0));
      lab = { ...lab, a: await startRouter(namespaces, rA, plainGre('A'), XDP) };
      assert.doesNotMatch(lab.a.messages(), /raw/);
      const before = redirected(namespaces, wire.rB, UNDERLAY);
      assert.equal(egressPrograms(rA), 1);
      await assertTransfers(lab, { size: TRANSFER_SIZE });
      assert.ok(redirected(namespaces, wire.rB, UNDERLAY) - before > 1000);
      await assertNoDrops(lab);
    }
  });
});

test('a stopped router leaves no program either', { skip }, async () => {
  await withWire('stop', { ipv6: false }, async (wire) => {
    const { a } = await startBoth(wire);
    assert.ok(hasProgram(wire.rA));
    await wire.namespaces.stop(a.child);
    assert.ok(!hasProgram(wire.rA));
    assert.equal(egressPrograms(wire.rA), 0);
  });
});

test('a device that has a program of somebody else keeps it', { skip }, async () => {
  await withWire('foreign', { hosts: true, ipv6: false }, async (wire) => {
    const foreign = foreignProgram(wire.rA);
    try {
      const lab = await startBoth(wire);
      await assertRaw(lab.a, /u0.*EBUSY.*another program is attached already/, /xdp off/);
      assert.equal((await readStatus(lab.b)).underlay, 'xdp');
      await assertAnswered(wire.namespaces, wire.rA, PEER, 3000);
      await assertTransfers(lab, { size: TRANSFER_SIZE });
      await assertNothingDropped(lab);
      assert.ok(hasProgram(wire.rA), 'it is still there');
    } finally {
      foreign.close();
    }
  });
});

for (const [name, make] of [
  ['a TUN device', ['tuntap', 'add', 't0', 'mode', 'tun']],
  ['loopback', []],
] as const) {
  test(`${name} as underlay has no AF_XDP`, { skip }, async () => {
    await withWire('none', { ipv6: false }, async ({ namespaces, rA }) => {
      if (make.length > 0) ip('-n', rA, ...make);
      const device = make.length > 0 ? 't0' : 'lo';
      ip('-n', rA, 'link', 'set', device, 'up');
      const nets = make.length > 0 ? ['198.51.100.1/24'] : ['198.51.100.1/32', '198.51.100.2/32'];
      for (const net of nets) ip('-n', rA, 'address', 'add', net, 'dev', device);
      const table = [
        ...['[tunnel.tun1]', 'mode = "gre"', 'local = "198.51.100.1"', 'remote = "198.51.100.2"'],
        ...['address = ["10.9.0.1/24"]', ''],
      ].join('\n');
      const router = await startRouter(namespaces, rA, table, XDP);
      await assertRaw(router, /no frames to 198\.51\.100\.2/);
    });
  });
}

test('an MTU of 9000, which the driver refuses, is carried in generic mode', {
  skip,
}, async () => {
  await withWire('jumbo', { hosts: true, ipv6: false, offloads: true }, async (wire) => {
    for (const router of [wire.rA, wire.rB]) {
      for (const device of [UNDERLAY, 'lan0']) {
        ip('-n', router, 'link', 'set', device, 'mtu', '9000');
      }
    }
    for (const host of [wire.hA, wire.hB]) ip('-n', host, 'link', 'set', 'eth0', 'mtu', '9000');
    const lab = await startBoth(wire);
    for (const router of [lab.a, lab.b]) {
      assert.match(router.messages(), /u0.*generic mode/);
      assert.equal((await readStatus(router)).underlay, 'xdp');
    }
    await assertAnswered(wire.namespaces, wire.rA, PEER);
    const witness = new RawWitness(wire.rB);
    for (const size of [56, 3000]) await assertAnswered(wire.namespaces, wire.rA, PEER, size);
    assert.equal(witness.count(), 0, 'they went to the AF_XDP socket');
    for (const size of [8000, 20_000]) {
      await assertAnswered(wire.namespaces, wire.rA, PEER, size);
    }
    // What is longer than a frame passes to the kernel: 3 packets, then 3 of 2 and a short one.
    assert.equal(witness.count(), 3 + 2 * 3);
    witness.close();
    await assertTransfers(lab, { size: TRANSFER_SIZE });
    await assertNoDrops(lab);
  });
});

test('a port of a bridge that has a program is refused one, and the bridge is named', {
  skip,
}, async () => {
  await withWire('upper', { ipv6: false }, async ({ namespaces, rA }) => {
    ip('-n', rA, 'link', 'add', 'x0', 'type', 'bridge');
    ip('-n', rA, 'link', 'set', 'x0', 'up');
    ip('-n', rA, 'link', 'set', UNDERLAY, 'master', 'x0');
    const foreign = foreignProgram(rA, 'x0');
    try {
      const words = ['tun1', '--config', join(namespaces.folder, `${rA}.toml`)];
      const finding = {
        ...({ check: 'xdp', severity: 'warning', tunnel: 'tun1' } as const),
        found: /another program has XDP on x0, above u0: the kernel then takes none there/,
        next: /ip link set dev x0 xdp off/,
      };
      const router = await startRouter(namespaces, rA, plainGre('A'), XDP);
      const says = /u0: .*EEXIST: another program is attached already to x0 above it/;
      await assertRaw(router, says, /ip -d link show dev x0/);
      assertFound(await doctor(rA, words), finding);
      await namespaces.stop(router.child);
      assertFound(await doctor(rA, words), finding);
      foreign.close();
      assertFine(await doctor(rA, words), 'xdp');
      const again = await startRouter(namespaces, rA, plainGre('A'), XDP);
      assert.equal((await readStatus(again)).underlay, 'xdp');
      assertFine(await doctor(rA, words), 'xdp');
    } finally {
      foreign.close();
    }
  });
});

test('a bridge as underlay carries the traffic in generic mode', { skip }, async () => {
  await withWire('bridge', { hosts: true, ipv6: false, offloads: true }, async (wire) => {
    for (const [router, address] of [
      [wire.rA, '192.0.2.1/24'],
      [wire.rB, '192.0.2.2/24'],
    ] as const) {
      ip('-n', router, 'link', 'add', 'x0', 'type', 'bridge');
      ip('-n', router, 'link', 'set', UNDERLAY, 'master', 'x0');
      ip('-n', router, 'address', 'flush', 'dev', UNDERLAY);
      ip('-n', router, 'address', 'add', address, 'dev', 'x0');
      ip('-n', router, 'link', 'set', 'x0', 'up');
    }
    const lab = await startBoth(wire);
    for (const router of [lab.a, lab.b]) {
      assert.match(router.messages(), /x0.*generic mode/);
      assert.equal((await readStatus(router)).underlay, 'xdp');
    }
    await assertAnswered(wire.namespaces, wire.rA, PEER);
    await sleep(300);
    const witness = new RawWitness(wire.rB);
    await assertAnswered(wire.namespaces, wire.rA, PEER, 3000);
    assert.equal(witness.count(), 0, 'they went to the AF_XDP socket');
    await assertTransfers(lab, { size: TRANSFER_SIZE });
    await assertNoDrops(lab);
    witness.close();
  });
});

/** Words in front of `grebe run` that leave it these capabilities alone, as nobody, with a TUN device for all. */
function limited(capabilities: string): string[] {
  const openTun = 'mount -t tmpfs grebe-test /dev/net && mknod -m 666 /dev/net/tun c 10 200';
  return [
    ...['unshare', '-m', 'sh', '-c', `${openTun} && exec "$@"`, 'sh'],
    ...['prlimit', '--memlock=65536:65536', 'setpriv', '--reuid', '65534', '--regid', '65534'],
    ...['--clear-groups', '--inh-caps', capabilities, '--ambient-caps', capabilities],
  ];
}

for (const [name, capabilities, says] of [
  [
    'too low a limit on locked memory',
    '+net_admin,+net_raw,+bpf',
    [/ENOBUFS|ENOMEM/, /locks \d+ KiB/, /ulimit -l/, /CAP_IPC_LOCK/],
  ],
  ['a missing CAP_BPF', '+net_admin,+net_raw', [/CAP_BPF/, /EPERM/, /setcap/]],
] as const) {
  test(`${name} is named, and raw sockets carry the traffic`, {
    skip: skip || lacking('setpriv', 'unshare'),
  }, async () => {
    await withWire('limit', { ipv6: false }, async ({ namespaces, rA, rB }) => {
      chmodSync(namespaces.folder, 0o777);
      const before = limited(capabilities);
      const a = await startRouter(namespaces, rA, plainGre('A'), XDP, before);
      await startRouter(namespaces, rB, plainGre('B'), XDP);
      await assertRaw(a, ...says);
      assert.ok(!hasProgram(rA));
      await assertAnswered(namespaces, rA, PEER, 3000);
      assert.deepEqual(await dropsOf(a), {});
    });
  });
}
