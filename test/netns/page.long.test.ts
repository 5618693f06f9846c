// The web page in Chromium, inside the namespace of a router that carries real packets.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { fetchWeb } from '../../src/control/client.js';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { withoutBrowser } from '../support/browser.js';
import {
  assertAnswered,
  eventually,
  type Lab,
  lacking,
  OUTER,
  type Side,
  tunnelStatus,
  tunnelTable,
  withLab,
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

const tunnels = (side: Side): string => {
  const n = side === 'A' ? 1 : 2;
  const gre1 = ['mode = "gre"', 'key = 7', `address = ["10.9.0.${n}/24"]`];
  const ipip1 = ['mode = "ipip"', `address = ["10.9.1.${n}/24"]`];
  return tunnelTable('gre1', side, ...gre1) + tunnelTable('ipip1', side, ...ipip1);
};

const INNER = ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 });
const WRONG_KEY = ipv4({
  source: OUTER.A,
  destination: OUTER.B,
  protocol: 47,
  identification: 1,
  payload: gre({ key: 8, payload: INNER }),
});

/** The page asks each ten seconds. */
const DIFF_MS = 12_000;

interface Opened extends OpenedPage {
  readonly lab: Lab;
}

/** Opens the page of router B. */
async function withPage(label: string, use: (opened: Opened) => Promise<void>): Promise<void> {
  const router = (side: Side): string => (side === 'B' ? `api = "${API}"` : '');
  await withLab(label, { tunnels, router, ipv6: false }, async (lab) => {
    const { namespaces, rB, b } = lab;
    await withOpenedPage(namespaces, rB, b, 'gre1', (opened) => use({ lab, ...opened }));
  });
}

/** The row of a tunnel. */
function row(page: Page, name: string) {
  return page.locator('#tunnel-table tbody tr', { has: page.locator('th', { hasText: name }) });
}

/** Whether pixels of the chart have a color of a line in them. */
async function isDrawn(page: Page): Promise<boolean> {
  const colored = await page.evaluate(`(() => {
    const canvas = document.querySelector('#chart canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let colored = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [r, g, b, a] = data.subarray(at, at + 4);
      if (a > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 60) colored++;
    }
    return colored;
  })()`);
  return Number(colored) > 50;
}

test('the page shows traffic as it passes, a drop with its reason, and a tunnel that goes down', {
  skip,
}, async () => {
  await withPage('page', async ({ lab, page, asked, faults }) => {
    const { namespaces, rA, rB, b } = lab;
    await page.getByText('2 tunnels up').waitFor();
    await assertAnswered(namespaces, rA, '10.9.0.2', 1000);
    const { rx } = await tunnelStatus(b, 'gre1');
    const shown = row(page, 'gre1').locator('[data-label="received"]');
    await shown.filter({ hasText: /3\.\d\skB/ }).waitFor();
    assert.equal(rx.bytes, 3 * 1028);
    assert.ok(await eventually(() => isDrawn(page)), 'the chart has a line');

    injectPackets(namespaces, rA, [WRONG_KEY]);
    const reason = page.locator('#drops tr', { hasText: 'no-tunnel' });
    await reason.filter({ hasText: /1\s*no tunnel/ }).waitFor();
    const packet = page.locator('#packets details[open]');
    await packet.filter({ hasText: 'no-tunnel received, 48 bytes' }).waitFor();
    const text = await packet.innerText();
    assert.match(text, /✗\s*tunnel\s*none for GRE, 192\.0\.2\.1 -> 192\.0\.2\.2, key 8/);
    assert.match(text, /nearest\s*gre1: key 8, expected 7/);
    assert.match(text, /next\s*in \[tunnel\.gre1\]: key = 8; or at the peer: key 7/);

    ip('-n', rB, 'link', 'set', 'ipip1', 'down');
    await page.getByText('2 tunnels, 1 down').waitFor();
    await row(page, 'ipip1').getByText('down: device').waitFor();
    assert.equal(await page.getByRole('log').innerText(), 'ipip1 is down: device');
    assert.equal(await page.title(), '(1 down) grebe');
    ip('-n', rB, 'link', 'set', 'ipip1', 'up');
    await page.getByText('2 tunnels up').waitFor();
    assert.equal(await page.getByRole('log').innerText(), 'ipip1 is up');

    assert.deepEqual(faults, []);
    for (const address of asked) assert.ok(address.startsWith(`http://${API}/`), address);
  });
});

test('what a reload would change is shown in words, and what is wrong with the file by line and column', {
  skip,
}, async () => {
  await withPage('pagediff', async ({ lab, page, browser, faults }) => {
    const { config } = lab.b;
    const running = readFileSync(config, 'utf8');
    const panel = page.getByRole('region', { name: 'What a reload would change' });
    assert.equal(await panel.isVisible(), false, 'nothing differs');
    const other = running
      .replace('key = 7', 'key = 8\nttl = 32')
      .replace('mode = "ipip"', 'mode = "gre"')
      .replace('[router]', '[router]\ncodec = "scalar"\nlanes = 2');
    const another = tunnelTable('new1', 'B', 'mode = "gre"', 'key = 9', 'allow = ["any"]');
    writeFileSync(config, other + another);
    const shows = (kind: string, name: string, how: RegExp | string): Promise<void> =>
      panel
        .getByRole('row', { name: new RegExp(`^${kind} ${name.replace(/[[\]]/g, '\\$&')} `) })
        .filter({ hasText: how })
        .waitFor({ timeout: DIFF_MS });
    await shows('change', 'gre1', /ttl: (?:64|default|"inherit") → 32/);
    await shows('change', 'gre1', 'key: 7 → 8');
    await shows(
      'rebuild',
      'ipip1',
      /mode: "ipip" → "gre"; a new device: packets under way are lost/,
    );
    await shows('add', 'new1', 'a new tunnel, with its device');
    await shows('change', '[router]', /codec: .* → "scalar"/);
    await shows('with a restart', '[router]', /lanes: .* → 2/);
    assert.equal(await panel.getByRole('row').count(), 6, 'a heading, and these');
    await assertAccessible(page);

    const tokenless = await browser.newPage();
    await tokenless.goto(`http://${API}/`);
    await tokenless.getByText('2 tunnels up').waitFor();
    writeFileSync(config, running.replace('key = 7', 'key = "seven"'));
    const lines = running.slice(0, running.indexOf('key = 7')).split('\n');
    const wrong = panel.locator('pre');
    await wrong.getByText(`:${lines.length}:7`).waitFor({ timeout: DIFF_MS });
    assert.match(await wrong.innerText(), /key = "seven"\n.*\^/);
    await panel.getByText('Nothing: the config file cannot be taken as it is.').waitFor();
    await panel.getByText(`after a change: grebe check ${config}`).waitFor();
    assert.equal(await panel.getByRole('row').count(), 0);
    assert.equal(await tokenless.locator('#diff').isVisible(), false, 'the file is not for all');
    await assertAccessible(page);
    assert.ok(await fitsWidth(page), 'narrow');

    writeFileSync(config, running);
    await panel.waitFor({ state: 'hidden', timeout: DIFF_MS });
    // Chromium itself says of every answer from 400 on that it is one.
    assert.deepEqual(
      faults.filter((fault) => !fault.includes('status of 409')),
      [],
    );
  });
});

test('the token leaves the address, opens a page that is loaded again, and is asked for without it', {
  skip,
}, async () => {
  await withPage('token', async ({ lab, browser, page, url }) => {
    assert.equal(page.url(), `http://${API}/`);
    await page.reload();
    await page.getByText('None yet.').waitFor();
    const other = await browser.newPage();
    await other.goto(`http://${API}/`);
    await other.getByText('2 tunnels up').waitFor();
    await other.getByText(/Contents of packets need the token/).waitFor();
    injectPackets(lab.namespaces, lab.rA, [WRONG_KEY]);
    await other.locator('#drops').getByText('no-tunnel').waitFor();
    assert.equal(await other.locator('#packets details').count(), 0);
    await other.goto(url.replace(/token=.*/, 'token=wrong'));
    await other.getByText(/Contents of packets need the token/).waitFor();
    await page.locator('#packets details').waitFor();
  });
});

test('the page of a stranger gets nothing, changes nothing, and cannot frame it', {
  skip,
}, async () => {
  await withPage('stranger', async ({ lab, browser, url }) => {
    const token = new URL(url).hash.slice('#token='.length);
    const stranger = await browser.newPage();
    // A page of http://stranger.example, whose name leads to the router: as after DNS rebinding.
    await stranger.route('http://stranger.example/', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<iframe></iframe>' }),
    );
    await stranger.goto('http://stranger.example/');
    const asks = (path: string, init: object): Promise<unknown> =>
      stranger.evaluate(
        `fetch('http://${API}${path}', ${JSON.stringify(init)})
          .then((response) => response.type === 'opaque' ? 'opaque' : response.text(), () => 'refused')`,
      );
    assert.equal(await asks('/v1/status', {}), 'refused');
    assert.equal(await asks('/v1/status', { mode: 'no-cors' }), 'refused', 'not even opaque');
    const put = {
      method: 'PUT',
      body: '{"name":"scalar"}',
      headers: { Authorization: `Bearer ${token}` },
    };
    assert.equal(await asks('/v1/codec', put), 'refused');
    await stranger.evaluate(`document.querySelector('iframe').src = 'http://${API}/'`);
    assert.ok(
      await eventually(() => stranger.frames()[1]?.url() === 'chrome-error://chromewebdata/'),
    );
    assert.equal((await fetchWeb(lab.b.socket)).url, url);
    assert.equal((await readStatus(lab.b)).codec, 'simd');
  });
});

test('a router that ends is said to be gone, and found again when it is back', {
  skip,
}, async () => {
  await withPage('gone', async ({ lab, page }) => {
    await lab.namespaces.stop(lab.b.child);
    await page
      .getByRole('status')
      .getByText(/Not connected to the router/)
      .waitFor();
    await startRouter(lab.namespaces, lab.rB, tunnels('B'), `api = "${API}"`);
    await page.getByRole('status').waitFor({ state: 'hidden', timeout: 15_000 });
    await page.getByText('2 tunnels up').waitFor();
    // Its token is another: what needs one says so.
    await page.getByText(/Contents of packets need the token/).waitFor();
  });
});

test('light and dark follow the system until somebody chooses, and the choice is kept', {
  skip,
}, async () => {
  await withPage('theme', async ({ page }) => {
    const ground = (): Promise<unknown> =>
      page.evaluate('getComputedStyle(document.body).backgroundColor');
    // What uPlot has drawn with: the first line of the chart, in #0b6b6b or #4cc2bd.
    const isLine = (color: string) => (): Promise<boolean> =>
      page
        .evaluate(
          `getComputedStyle(document.querySelector('#chart .u-series + .u-series .u-marker')).borderColor`,
        )
        .then((found) => found === color);
    const [lightLine, darkLine] = [isLine('rgb(11, 107, 107)'), isLine('rgb(76, 194, 189)')];
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await ground();
    assert.ok(await eventually(lightLine));
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await ground();
    assert.notEqual(dark, light);
    assert.ok(await eventually(darkLine), 'the chart is drawn anew');
    const button = page.getByRole('button', { name: /^Theme/ });
    await button.click();
    assert.equal(await button.innerText(), 'Theme: light');
    assert.equal(await ground(), light);
    assert.ok(await eventually(lightLine));
    await page.reload();
    await page.getByText('2 tunnels up').waitFor();
    assert.equal(await ground(), light);
    await page.emulateMedia({ colorScheme: 'light' });
    await button.click();
    assert.equal(await ground(), dark);
  });
});

test('on a narrow screen nothing has to be scrolled sideways, and every value keeps its name', {
  skip,
}, async () => {
  await withPage('narrow', async ({ lab, page }) => {
    injectPackets(lab.namespaces, lab.rA, [WRONG_KEY]);
    await page.locator('#packets details').waitFor();
    for (const width of [320, 380, 600, 768, 1000]) {
      await page.setViewportSize({ width, height: 800 });
      assert.ok(await eventually(() => fitsWidth(page)), `${width}`);
    }
    await page.setViewportSize({ width: 380, height: 800 });
    const label = await page.evaluate(
      `getComputedStyle(document.querySelector('td[data-label="sent"]'), '::before').content`,
    );
    assert.equal(label, '"sent"');
  });
});

test('all of it can be used by keyboard, and every control and region has a name', {
  skip,
}, async () => {
  await withPage('keys', async ({ lab, page }) => {
    injectPackets(lab.namespaces, lab.rA, [WRONG_KEY]);
    await page.locator('#packets details').waitFor();
    const focused = (): Promise<unknown> =>
      page.evaluate(`(() => {
        const one = document.activeElement;
        return (one.getAttribute('aria-label') ?? one.closest('label')?.textContent ?? one.textContent).trim();
      })()`);
    const visited: string[] = [];
    for (let presses = 0; presses < 12; presses++) {
      await page.keyboard.press('Tab');
      visited.push(String(await focused()));
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
      assert.notEqual(outline, 'none', `focus is seen on ${visited.at(-1)}`);
      if (/no-tunnel/.test(visited.at(-1) ?? '')) break;
    }
    assert.deepEqual(
      visited.map((name) => name.replace(/^[\d:]+ /, '').replace(/\s+/g, ' ')),
      [
        ...['Skip to the tunnels', 'Theme: auto', 'received', 'as a table'],
        ...['gre1 in the chart', 'ipip1 in the chart', 'no-tunnel received, 48 bytes, no tunnel'],
      ],
    );
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('#packets details[open]').count(), 0);
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('#packets details[open]').count(), 1);

    await page.getByRole('button', { name: 'as a table' }).focus();
    await page.keyboard.press('Space');
    const figures = page.getByRole('region', { name: 'Throughput as a table' });
    await figures.getByRole('columnheader', { name: 'gre1' }).waitFor();
    assert.equal(await page.locator('#chart').isVisible(), false);
    await page.getByRole('checkbox', { name: 'gre1 in the chart' }).focus();
    await page.keyboard.press('Space');
    await figures.getByRole('columnheader', { name: 'gre1' }).waitFor({ state: 'detached' });
    for (const name of ['Throughput', 'Tunnels', 'Drops by reason', 'Packets just dropped']) {
      await page.getByRole('region', { name, exact: true }).waitFor();
    }
  });
});

test('a judge of accessibility finds nothing wrong, light, dark and narrow', { skip }, async () => {
  await withPage('axe', async ({ lab, page }) => {
    injectPackets(lab.namespaces, lab.rA, [WRONG_KEY]);
    await page.locator('#packets details').waitFor();
    ip('-n', lab.rB, 'link', 'set', 'ipip1', 'down');
    await page.getByText('2 tunnels, 1 down').waitFor();
    await assertAccessible(page);
  });
});

test('all files of the page together are under 150 KB', { skip }, async () => {
  await withPage('size', async ({ page }) => {
    const sizes = await page.evaluate(`performance.getEntriesByType('resource')
      .concat(performance.getEntriesByType('navigation'))
      .filter(({ name }) => !name.includes('/v1/'))
      .map(({ name, decodedBodySize }) => [name, decodedBodySize])`);
    assert.ok(Array.isArray(sizes) && sizes.length > 10);
    const all = sizes.reduce((sum: number, [, size]) => sum + Number(size), 0);
    assert.ok(all > 60_000 && all < 150_000, `${all} bytes`);
  });
});
