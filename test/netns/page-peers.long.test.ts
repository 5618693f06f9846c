// The web page of a router with a tunnel that has several peers, one of which has a host name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRouter } from '../../src/demo/router-process.js';
import { withoutBrowser } from '../support/browser.js';
import { createHostsFile, type HostsFile } from '../support/hosts-file.js';
import {
  assertAnswered,
  eventually,
  lacking,
  OUTER,
  tunnelTable,
  type Wire,
  withWire,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';
import {
  API,
  assertAccessible,
  fitsWidth,
  type OpenedPage,
  withOpenedPage,
} from '../support/page.js';

const skip = lacking('ping') || withoutBrowser;

const HUB = `[tunnel.hub]
mode = "gre"
local = "${OUTER.B}"
remote = "any"
address = ["10.9.0.2/24"]
peers = [
  { remote = "${OUTER.A}", routes = ["10.9.0.1/32"] },
  { remote = "far.test", routes = ["10.9.0.3/32"] },
]
`;
const SPOKE = tunnelTable('spoke', 'A', 'mode = "gre"', 'address = ["10.9.0.1/24"]');

/** From A, with a source that is behind the other peer. */
const FOREIGN = ipv4({
  ...{ source: OUTER.A, destination: OUTER.B, protocol: 47, identification: 1 },
  payload: gre({
    payload: ipv4({ source: '10.9.0.3', destination: '10.9.0.2', protocol: 253 }),
  }),
});

interface Opened extends OpenedPage {
  readonly wire: Wire;
  readonly hosts: HostsFile;
}

async function withHub(
  label: string,
  tunnels: string,
  use: (opened: Opened) => Promise<void>,
): Promise<void> {
  await withWire(label, { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const hosts = createHostsFile(namespaces, 'rB');
    await startRouter(namespaces, rA, SPOKE);
    const hub = await startRouter(namespaces, rB, tunnels, `api = "${API}"`, hosts.before);
    await withOpenedPage(namespaces, rB, hub, 'hub', (opened) => use({ wire, hosts, ...opened }));
  });
}

test('peers are shown when somebody opens them: traffic, drops, who is down and who is found', {
  skip,
}, async () => {
  await withHub('pagepeers', HUB, async ({ wire, hosts, page, faults }) => {
    const { namespaces, rA } = wire;
    const summary = page.locator('summary', { hasText: '2 peers, 1 down' });
    await summary.waitFor();
    const peers = page.getByRole('table', { name: 'Peers of hub' });
    assert.equal(await peers.isVisible(), false);
    await summary.focus();
    await page.keyboard.press('Enter');
    const row = (name: string) =>
      peers.getByRole('row').filter({ has: page.getByRole('rowheader', { name }) });
    const of = (name: string, column: string) => row(name).locator(`[data-label="${column}"]`);
    await of('far.test', 'state').getByText('down: cannot resolve far.test').waitFor();
    await of(OUTER.A, 'last heard').getByText('never').waitFor();

    await assertAnswered(namespaces, rA, '10.9.0.2', 1000);
    await of(OUTER.A, 'received')
      .filter({ hasText: /; 3\.1\skB$/ })
      .waitFor();
    await of(OUTER.A, 'sent')
      .filter({ hasText: /; 3\.1\skB$/ })
      .waitFor();
    await of(OUTER.A, 'last heard')
      .getByText(/^(now|\d s ago)$/)
      .waitFor();
    assert.match(await of('far.test', 'received').innerText(), /; 0\sB$/);
    injectPackets(namespaces, rA, [FOREIGN]);
    await of(OUTER.A, 'drops').getByText('1', { exact: true }).waitFor();
    assert.equal(await of('far.test', 'drops').innerText(), '0');

    hosts.write({ 'far.test': '192.0.2.77' });
    await page
      .locator('summary')
      .getByText('2 peers', { exact: true })
      .waitFor({ timeout: 20_000 });
    await row('far.test (192.0.2.77)').waitFor();
    assert.equal(await of('far.test', 'state').innerText(), '');
    assert.equal(await page.getByRole('log').innerText(), 'hub: no peer is down');
    assert.equal(await peers.isVisible(), true, 'what is open stays open');
    assert.deepEqual(faults, []);
  });
});

test('open peers are judged to be accessible, and fit a narrow screen', { skip }, async () => {
  await withHub('pagepeers', HUB, async ({ page }) => {
    await page.locator('summary', { hasText: '2 peers, 1 down' }).click();
    await page.getByRole('table', { name: 'Peers of hub' }).waitFor();
    for (const width of [320, 768, 1000]) {
      await page.setViewportSize({ width, height: 800 });
      assert.ok(await eventually(() => fitsWidth(page)), `${width}`);
    }
    await assertAccessible(page);
  });
});

test('of a thousand peers a hundred are shown, and any is found by its address', {
  skip,
}, async () => {
  const peers = Array.from({ length: 1000 }, (_, n) => {
    const [high, low] = [n >> 8, n & 255];
    return `{ remote = "198.18.${high}.${low}", routes = ["10.20.${high}.${low}/32"] }`;
  });
  const many = HUB.replace(/peers = [\s\S]*/, `peers = [${peers.join(', ')}]\n`);
  await withHub('pagemany', many, async ({ page }) => {
    await page.locator('summary').getByText('1000 peers', { exact: true }).click();
    const table = page.getByRole('table', { name: 'Peers of hub' });
    await page.getByText('900 more: find them by name or address.').waitFor();
    assert.equal(await table.locator('tbody tr').count(), 100);
    await page.getByLabel('find a peer').fill('198.18.3.231');
    await table.getByRole('rowheader', { name: '198.18.3.231' }).waitFor();
    assert.equal(await table.locator('tbody tr').count(), 1);
    await page.getByLabel('find a peer').fill('203.0.113.1');
    await page.getByText('No peer is like that.').waitFor();
  });
});
