// Reloads that cannot be, that nobody confirms, or that are taken back: the router is as it was before.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { confirm, fetchTunnels, reload, undo } from '../../src/control/reload-client.js';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus } from '../../src/demo/router-process.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import {
  assertAnswered,
  eventually,
  killRouter,
  lacking,
  ping,
  type Side,
  startRouters,
  tunnelTable,
  withLab,
  withWire,
} from '../support/lab.js';
import { ours, rewrite } from '../support/reloads.js';

const table = (name: string, side: Side, net: number, ...lines: string[]): string =>
  tunnelTable(
    name,
    side,
    ...['mode = "gre"', `key = ${net}`, `address = ["10.${net}.0.${ours(side)}/24"]`, ...lines],
  );
const tunnels = (side: Side): string => table('one', side, 8) + table('two', side, 9);

/** All that a reload may change of the network of a router. */
function network(namespace: string): unknown {
  const show = (...words: string[]): string => ip('-n', namespace, '-j', ...words);
  const links = JSON.parse(show('address', 'show')).map(
    ({
      ifname,
      mtu,
      addr_info,
    }: {
      ifname: string;
      mtu: number;
      addr_info: { local: string }[];
    }) => [ifname, mtu, addr_info.map(({ local }) => local)],
  );
  return { links: links.sort(), routes: JSON.parse(show('route', 'show')) };
}

const isFailure = (exitCode: number, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Failure, String(error));
  assert.equal(error.exitCode, exitCode, error.message);
  assert.match(error.message, message);
  return true;
};

test('what somebody gave a device by hand is taken over, and stays when the reload is undone', {
  skip: lacking('ping'),
}, async () => {
  await withLab('by-hand', { ipv6: false, tunnels }, async ({ rA, a }) => {
    const mine = table('one', 'A', 8, 'routes = ["10.66.0.0/16", "10.67.0.0/16"]').replace(
      '10.8.0.1/24',
      '10.8.0.1/24", "10.68.0.1/24',
    );
    ip('-n', rA, 'route', 'add', '10.66.0.0/16', 'dev', 'one');
    ip('-n', rA, 'address', 'add', '10.68.0.1/24', 'dev', 'one');
    const before = network(rA);

    // The last of its routes leads elsewhere already.
    const elsewhere = mine.replace('10.67.0.0/16"', '10.67.0.0/16", "10.69.0.0/16"');
    ip('-n', rA, 'route', 'add', '10.69.0.0/16', 'dev', 'two');
    rewrite(a, elsewhere + table('two', 'A', 9));
    const refused = isFailure(EXIT.kernelRefused, /10\.69\.0\.0\/16 dev one: .*File exists/);
    await assert.rejects(reload(a.socket), refused);
    ip('-n', rA, 'route', 'del', '10.69.0.0/16');
    assert.deepEqual(network(rA), before);

    rewrite(a, mine + table('two', 'A', 9));
    await reload(a.socket);
    const routes = ip('-n', rA, 'route', 'show', 'dev', 'one');
    assert.deepEqual(
      ['10.66.0.0/16', '10.67.0.0/16', '10.68.0.0/24'].filter((route) => !routes.includes(route)),
      [],
    );
  });
});

test('when the kernel refuses a part of a reload, all of it is undone, whatever was done before', {
  skip: lacking('ping'),
}, async () => {
  await withLab('undone', { ipv6: false, tunnels }, async ({ namespaces, rA, a }) => {
    await assertAnswered(namespaces, rA, '10.9.0.2');
    const [before, words] = [network(rA), await fetchTunnels(a.socket)];
    // Somebody else has the route that the last tunnel wants.
    ip('-n', rA, 'route', 'add', '10.99.0.0/16', 'via', '192.0.2.2');
    ip('-n', rA, 'route', 'del', '10.99.0.0/16');
    ip('-n', rA, 'route', 'add', 'blackhole', '10.99.0.0/16');
    const steady = ping(rA, '-q', '-i', '0.01', '-c', '300', '-W', '2', '10.8.0.2');
    rewrite(
      a,
      table('one', 'A', 8, 'ttl = 5', 'mtu = 1300', 'routes = ["10.50.0.0/16"]') +
        table('two', 'A', 9).replace('"gre"', '"gre-udp"') +
        table('three', 'A', 10, 'routes = ["10.99.0.0/16"]'),
    );
    await assert.rejects(
      reload(a.socket),
      isFailure(EXIT.kernelRefused, /tunnel three: ip route add 10\.99\.0\.0\/16.*File exists/),
    );
    ip('-n', rA, 'route', 'del', 'blackhole', '10.99.0.0/16');
    assert.deepEqual(network(rA), before);
    assert.deepEqual(await fetchTunnels(a.socket), words);
    // The one that was to be rebuilt has a new device, and works.
    await assertAnswered(namespaces, rA, '10.9.0.2');
    const { sent, received, output } = await steady;
    assert.deepEqual([sent, received], [300, 300], output);
    // Nothing is in the way of a good one.
    rewrite(a, tunnels('A') + table('three', 'A', 10, 'routes = ["10.99.0.0/16"]'));
    assert.deepEqual((await reload(a.socket)).tunnels, [{ kind: 'add', name: 'three' }]);
  });
});

test('a socket that a lane cannot have undoes the reload, too; a device that somebody removed is made anew', {
  skip: lacking('ping'),
}, async () => {
  await withLab('taken', { ipv6: false, tunnels }, async ({ namespaces, rA, a }) => {
    const before = network(rA);
    const holder = namespaces.start(
      rA,
      process.execPath,
      ['-e', "require('dgram').createSocket('udp4').bind(4754, () => console.log('bound'))"],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    await once(holder.stdout ?? holder, 'data');
    const udp = tunnels('A') + table('udp', 'A', 10).replace('"gre"', '"gre-udp"');
    rewrite(a, udp);
    const taken = /gre-udp: cannot take UDP port 4754 of 192\.0\.2\.1: EADDRINUSE/;
    await assert.rejects(reload(a.socket), isFailure(EXIT.kernelRefused, taken));
    assert.deepEqual(network(rA), before);
    await assertAnswered(namespaces, rA, '10.9.0.2');
    await namespaces.stop(holder);
    assert.deepEqual((await reload(a.socket)).tunnels, [{ kind: 'add', name: 'udp' }]);

    ip('-n', rA, 'link', 'del', 'two');
    const isLost = () => /the device two was removed/.test(a.messages());
    assert.ok(await eventually(isLost), a.messages());
    const [rebuilt] = (await reload(a.socket)).tunnels;
    assert.deepEqual([rebuilt?.kind, rebuilt?.name], ['rebuild', 'two']);
    await assertAnswered(namespaces, rA, '10.9.0.2');
    const { tunnels: shown } = await readStatus(a);
    assert.deepEqual(
      shown.map(({ name, state, rx }) => [name, state, rx.packets]),
      [
        ['one', 'up', 0],
        ['two', 'up', 6],
        ['udp', 'up', 0],
      ],
    );
  });
});

test('a device name that somebody has, and a local address that nobody has, are refused by name', {
  skip: lacking('ping'),
}, async () => {
  await withLab('refused', { ipv6: false, tunnels }, async ({ rA, a }) => {
    const before = network(rA);
    rewrite(a, tunnels('A') + table('u0', 'A', 10));
    await assert.rejects(
      reload(a.socket),
      isFailure(EXIT.kernelRefused, /tunnel u0: an interface of that name exists already: EEXIST/),
    );
    rewrite(a, tunnels('A').replace('192.0.2.1', '192.0.2.77'));
    await assert.rejects(
      reload(a.socket),
      isFailure(EXIT.kernelRefused, /tunnel one: local 192\.0\.2\.77 is not an address/),
    );
    rewrite(a, tunnels('A').replace('key = 8', 'key = 9'));
    await assert.rejects(
      reload(a.socket),
      isFailure(EXIT.config, /two takes the same packets as one/),
    );
    assert.deepEqual(network(rA), before);
  });
});

test('a reload on trial is taken back in time, and stays when it is confirmed; undo takes back too', {
  skip: lacking('ping'),
}, async () => {
  await withLab('trial', { ipv6: false, tunnels }, async ({ a }) => {
    const names = async (): Promise<string> =>
      (await readStatus(a)).tunnels.map(({ name }) => name).join(' ');
    await assert.rejects(confirm(a.socket), isFailure(EXIT.failed, /no reload waits/));
    await assert.rejects(undo(a.socket), isFailure(EXIT.failed, /nothing to undo/));
    rewrite(a, table('one', 'A', 8));
    const { confirmUntilMs } = await reload(a.socket, 1000);
    assert.ok(confirmUntilMs !== null && confirmUntilMs > Date.now());
    assert.equal(await names(), 'one');
    assert.ok(await eventually(async () => (await names()) === 'one two'), a.messages());
    assert.match(a.messages(), /the reload was not confirmed in time/);

    await reload(a.socket, 500);
    await confirm(a.socket);
    await sleep(800);
    assert.equal(await names(), 'one');
    await undo(a.socket);
    assert.equal(await names(), 'one two');
    await undo(a.socket);
    assert.equal(await names(), 'one');
  });
});

test('SIGHUPs that come during a reload are one more, and the last file counts', {
  skip: lacking('ping'),
}, async () => {
  await withLab('storm', { ipv6: false, tunnels }, async ({ a }) => {
    const many = Array.from({ length: 200 }, (_, n) => table(`t${n}`, 'A', 20 + n)).join('');
    const hangUp = (): boolean => a.child.kill('SIGHUP');
    rewrite(a, many + tunnels('A'));
    hangUp();
    assert.ok(await eventually(() => /SIGHUP: reloading/.test(a.messages())));
    for (let sent = 0; sent < 20; sent++) {
      hangUp();
      await sleep(2);
    }
    rewrite(a, table('one', 'A', 8, 'ttl = 10'));
    hangUp();
    const count = () => a.messages().match(/"event":"reloaded"/g)?.length ?? 0;
    const words = async () => (await fetchTunnels(a.socket)).tunnels[0]?.words ?? [];
    assert.ok(await eventually(async () => (await words()).includes('10'), 10_000), a.messages());
    assert.ok(count() >= 2 && count() <= 3, `${count()} reloads of 22 signals`);
  });
});

test('after kill -9 in the middle of a reload nothing stays, and a start takes the new config', {
  skip: lacking('ping'),
}, async () => {
  await withWire('killed', { ipv6: false }, async (wire) => {
    const { rA, namespaces } = wire;
    const before = network(rA);
    const many = (side: Side): string =>
      Array.from({ length: 40 }, (_, n) => table(`t${n}`, side, 20 + n)).join('');
    for (const delayMs of [5, 60, 150]) {
      const { a, b } = await startRouters(wire, { tunnels });
      rewrite(a, tunnels('A').replace('"gre"', '"gre-udp"') + many('A'));
      const failing = reload(a.socket).catch(() => {});
      await sleep(delayMs);
      await killRouter(a);
      await failing;
      assert.ok(
        await eventually(() => JSON.stringify(network(rA)) === JSON.stringify(before)),
        `after ${delayMs} ms`,
      );
      await killRouter(b);
    }
    const lab = await startRouters(wire, { tunnels: (side) => tunnels(side) + many(side) });
    await assertAnswered(namespaces, lab.rA, '10.59.0.2');
  });
});
