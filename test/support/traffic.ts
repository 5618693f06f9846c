// Traffic between the hosts of a lab, and what the routers' counters must say about it.
import assert from 'node:assert/strict';
import type { BulkResult } from '../../src/demo/bulk.js';
import { sendFrom, startReceiver } from '../../src/demo/host-process.js';
import { ip, type Namespaces } from '../../src/demo/namespaces.js';
import type { DropTable } from '../../src/demo/result.js';
import type { RouterProcess } from '../../src/demo/router-process.js';
import {
  dropsOf,
  HOST4,
  HOST6,
  type Lab,
  other,
  type Side,
  tunnelStatus,
  tunnelTable,
  tunnelTable6,
} from './lab.js';

const TRANSFER_SECONDS = 20;
export const TUNNEL = 'tun1';

export interface TunnelKind {
  readonly name: string;
  readonly mode: string;
  readonly lines: readonly string[];
  /** Version of the inner packets. */
  readonly version: 4 | 6;
  /** Version of the outer header, 4 unless it says so. */
  readonly outer?: 4 | 6;
  /** Whether it carries Ethernet frames: its ends have hardware addresses. */
  readonly isEthernet?: boolean;
}

/** Our end of the tunnel `tun1`, and the way to the network behind the other. */
export function tunnelOf(kind: Omit<TunnelKind, 'name'>): (side: Side) => string {
  const { mode, lines, version, outer, isEthernet } = kind;
  const table = outer === 6 ? tunnelTable6 : tunnelTable;
  return (side) => {
    const [ours, theirs] = side === 'A' ? [1, 2] : [2, 1];
    const address = version === 4 ? `10.9.0.${ours}/24` : `fd00:9::${ours}/64`;
    const route = version === 4 ? `10.${theirs}.0.0/24` : `fd00:${theirs}::/64`;
    // What is behind the other end of an Ethernet tunnel has a next hop there: see introduce.
    const routes = isEthernet ? [] : [`routes = ["${route}"]`];
    return table(TUNNEL, side, `mode = "${mode}"`, ...lines, `address = ["${address}"]`, ...routes);
  };
}

/**
 * Tells both ends of an Ethernet tunnel of each other's hardware address, and of the network behind it, so that
 * nothing has to be asked in the tunnel.
 */
export function introduce({ rA, rB }: Pick<Lab, 'rA' | 'rB'>, version: 4 | 6): void {
  const addressOf = (router: string): string =>
    JSON.parse(ip('-n', router, '-j', 'link', 'show', 'dev', TUNNEL))[0].address;
  for (const [side, ours, theirs] of [
    ['A', rA, rB],
    ['B', rB, rA],
  ] as const) {
    const peer = tunnelPeer(side, version);
    const net = side === 'A' ? 2 : 1;
    const route = version === 4 ? `10.${net}.0.0/24` : `fd00:${net}::/64`;
    const known = ['lladdr', addressOf(theirs), 'nud', 'permanent', 'dev', TUNNEL];
    ip('-n', ours, 'neigh', 'replace', peer, ...known);
    ip('-n', ours, 'route', 'replace', route, 'via', peer, 'dev', TUNNEL);
  }
}

/** Address of the other end of the tunnel, seen from `side`. */
export function tunnelPeer(side: Side, version: 4 | 6 = 4): string {
  const theirs = side === 'A' ? 2 : 1;
  return version === 4 ? `10.9.0.${theirs}` : `fd00:9::${theirs}`;
}

/** A GRE tunnel without options between the routers, and its other end as A sees it. */
export const plainGre = tunnelOf({ mode: 'gre', lines: [], version: 4 });
export const PEER = tunnelPeer('A');

export interface Transfer {
  /** The host that sends. */
  readonly from: Side;
  readonly size: number;
  readonly version?: 4 | 6;
  /** One TCP connection each, side by side. */
  readonly flows?: number;
}

/** Sends from a host to the other; every byte arrives, and every byte is right. */
export async function assertTransfer(lab: Lab, transfer: Transfer): Promise<BulkResult[]> {
  const { from, size, version = 4, flows = 1 } = transfer;
  const { namespaces } = lab;
  const host: Readonly<Record<Side, string>> = { A: lab.hA, B: lab.hB };
  const to = other(from);
  const address = (version === 4 ? HOST4 : HOST6)[to];
  const port = 5001;
  const receiver = await startReceiver(namespaces, host[to], address, port);
  const results = await Promise.all(
    Array.from({ length: flows }, () =>
      sendFrom(namespaces, host[from], address, port, TRANSFER_SECONDS, size),
    ),
  );
  for (const { bytes, intact } of results) {
    assert.equal(bytes, size);
    assert.ok(intact, 'every byte is right');
  }
  await namespaces.stop(receiver);
  return results;
}

/** `assertTransfer` from either host. */
export async function assertTransfers(lab: Lab, transfer: Omit<Transfer, 'from'>): Promise<void> {
  for (const from of ['A', 'B'] as const) await assertTransfer(lab, { ...transfer, from });
}

/** What one side sent, the other received: nothing is lost without a reason. */
export async function assertEveryPacketCounted({ a, b }: Lab): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { tx } = await tunnelStatus(from, TUNNEL);
    const { rx } = await tunnelStatus(to, TUNNEL);
    const drops = Object.values(await dropsOf(to)).reduce((sum, count) => sum + count, 0);
    assert.equal(tx.packets, rx.packets + drops);
    if (drops === 0) assert.equal(tx.bytes, rx.bytes);
  }
}

/** `assertEveryPacketCounted`, and neither router has dropped anything. */
export async function assertNothingDropped(lab: Lab): Promise<void> {
  await assertNoDrops(lab);
  await assertEveryPacketCounted(lab);
}

/** Neither router has dropped anything. */
export async function assertNoDrops(lab: Pick<Lab, 'a' | 'b'>): Promise<void> {
  await assertDrops(lab, {}, {});
}

/** What either router has dropped, by reason. */
export async function assertDrops(
  { a, b }: Pick<Lab, 'a' | 'b'>,
  ofA: DropTable,
  ofB: DropTable,
): Promise<void> {
  assert.deepEqual([await dropsOf(a), await dropsOf(b)], [ofA, ofB]);
}

/** Both routers run. */
export function assertAlive({ a, b }: Pick<Lab, 'a' | 'b'>): void {
  for (const { child, messages } of [a, b]) assert.equal(child.exitCode, null, messages());
}

/** Packets that a router has sent into the tunnel. */
export async function sentBy(router: RouterProcess): Promise<number> {
  return (await tunnelStatus(router, TUNNEL)).tx.packets;
}

/** TCP segments that the kernel of a namespace has sent again. */
export function retransmitted(namespaces: Namespaces, namespace: string): number {
  const text = namespaces.run(namespace, 'cat', ['/proc/net/snmp']);
  const [names = [], values = []] = text
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('RetransSegs')]);
}
