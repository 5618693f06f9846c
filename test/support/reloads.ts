// Reloads of the routers of a lab.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { reload } from '../../src/control/reload-client.js';
import { type RouterProcess, readStatus } from '../../src/demo/router-process.js';
import {
  assertAnswered,
  command,
  type Lab,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
} from './lab.js';

/** The last part of our inner addresses. */
export function ours(side: Side): number {
  return side === 'A' ? 1 : 2;
}

/** A tunnel that reloads are to leave alone. */
export function still(side: Side): string {
  const address = `address = ["10.9.0.${ours(side)}/24"]`;
  return tunnelTable('still', side, 'mode = "gre"', 'key = 1', 'seq = true', address);
}

/** Puts other tunnels into the config file of a router; its [router] table stays. */
export function rewrite(router: RouterProcess, tunnels: string): void {
  const [head = ''] = readFileSync(router.config, 'utf8').split('\n[tunnel.');
  writeFileSync(router.config, `${head}\n${tunnels}`);
}

/** Lets both routers reload, B first. Returns what that was at A, a line a tunnel. */
export async function reloadBoth(
  { a, b }: Pick<Lab, 'a' | 'b'>,
  tunnels: (side: Side) => string,
): Promise<string[]> {
  rewrite(b, tunnels('B'));
  rewrite(a, tunnels('A'));
  await reload(b.socket);
  return (await reload(a.socket)).tunnels.map(({ kind, name }) => `${kind} ${name}`);
}

const PINGS = 1500;

/**
 * Adds a tunnel, gives it other modes and another name, and removes it, while pings pass another one: none of them is
 * lost, and every packet is counted. `router`: lines of the [router] table.
 */
export async function assertComeAndGo(router: string): Promise<void> {
  const added = (side: Side, mode: string, name = 'added'): string =>
    tunnelTable(name, side, `mode = "${mode}"`, `address = ["10.7.0.${ours(side)}/24"]`);
  await withLab('reload', { ipv6: false, tunnels: still, router }, async (lab) => {
    const { namespaces, rA, a } = lab;
    const steady = ping(rA, '-q', '-i', '0.005', '-c', String(PINGS), '-W', '2', '10.9.0.2');
    for (const [index, mode] of ['gre', 'ipip', 'gre-udp', 'gre'].entries()) {
      const done = await reloadBoth(lab, (side) => still(side) + added(side, mode));
      assert.deepEqual(done, [index === 0 ? 'add added' : 'rebuild added']);
      await assertAnswered(namespaces, rA, '10.7.0.2');
      assert.equal((await tunnelStatus(a, 'added')).mode, mode);
    }
    // Its record stays, and so do its counters.
    assert.equal((await tunnelStatus(a, 'added')).rx.packets, 12);
    const renamed = await reloadBoth(lab, (side) => still(side) + added(side, 'gre', 'other'));
    assert.deepEqual(renamed, ['rename added']);
    await assertAnswered(namespaces, rA, '10.7.0.2');
    assert.equal((await tunnelStatus(a, 'other')).rx.packets, 3);
    assert.deepEqual(await reloadBoth(lab, still), ['remove other']);
    assert.doesNotMatch(await command(rA, 'ip', 'link'), /other|added/);
    const { sent, received, output } = await steady;
    assert.deepEqual([sent, received], [PINGS, PINGS], output);
    await assertAllCounted(a);
  });
}

/** Every packet was forwarded or dropped for a reason: of the tunnel that stayed, and of those that are gone. */
async function assertAllCounted(router: RouterProcess): Promise<void> {
  const { tunnels, drops, gone, received } = await readStatus(router);
  const [own] = tunnels;
  assert.deepEqual([own?.rx.packets, own?.tx.packets, own?.drops], [PINGS, PINGS, {}]);
  assert.equal(gone?.rx.packets, 15);
  const dropped = [drops, gone.drops].flatMap((one) => Object.values(one));
  const sum = dropped.reduce((total, count) => total + count, 0);
  const forwarded = 2 * PINGS + gone.rx.packets + gone.tx.packets;
  assert.equal(received.underlay + received.device, forwarded + sum);
}
