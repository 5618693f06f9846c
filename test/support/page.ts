// The web page of a router, opened as somebody does who has typed `grebe web`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import { fetchWeb } from '../../src/control/client.js';
import type { Namespaces } from '../../src/demo/namespaces.js';
import type { RouterProcess } from '../../src/demo/router-process.js';
import { withBrowser } from './browser.js';

/** Where the router answers, in its own namespace. */
export const API = '127.0.0.1:9477';

export interface OpenedPage {
  readonly browser: Browser;
  readonly page: Page;
  /** With the token. */
  readonly url: string;
  /** Addresses of all requests that the page made. */
  readonly asked: readonly string[];
  /** What it said is wrong. */
  readonly faults: readonly string[];
}

/** Opens the page of a router in `namespace` that has `api = API`, and waits until it has the tunnel `name`. */
export async function withOpenedPage(
  namespaces: Namespaces,
  namespace: string,
  router: RouterProcess,
  name: string,
  use: (opened: OpenedPage) => Promise<void>,
): Promise<void> {
  const url = (await fetchWeb(router.socket)).url ?? '';
  await withBrowser(namespaces, namespace, async (browser) => {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    const asked: string[] = [];
    const faults: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text());
    });
    await page.goto(url);
    await page.getByRole('rowheader', { name }).waitFor();
    await use({ browser, page, url, asked, faults });
  });
}

/** What axe-core found. */
const verdict = z.object({ passes: z.number(), violations: z.array(z.string()) });

/** Has the page judged by axe-core: light, dark and narrow. */
export async function assertAccessible(page: Page): Promise<void> {
  const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  for (const [colorScheme, width] of [
    ['light', 1200],
    ['dark', 1200],
    ['light', 380],
  ] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 800 });
    const found = await page.evaluate(`${axe}; axe.run().then(({ violations, passes }) => ({
      passes: passes.length,
      violations: violations.map(({ id, nodes }) => id + ' ' + nodes.map(({ html }) => html).join(' ')),
    }))`);
    const { passes, violations } = verdict.parse(found);
    assert.deepEqual(violations, [], `${colorScheme} ${width}`);
    assert.ok(passes > 20, `${passes} rules`);
  }
}

/** Whether nothing has to be scrolled sideways where the page is `width` wide. */
export async function fitsWidth(page: Page): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth <= window.innerWidth').then(Boolean);
}
