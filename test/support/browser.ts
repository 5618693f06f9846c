// Chromium inside a namespace of a lab: it reaches what listens on the loopback there.
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import type { Namespaces } from '../../src/demo/namespaces.js';

const PROGRAM = 'chromium';

/** Why there is no browser here, or false: what the `skip` option of a test takes. */
export const withoutBrowser: string | false =
  spawnSync(PROGRAM, ['--version']).error === undefined
    ? false
    : `needs ${PROGRAM} (apt-get install chromium)`;

/** Starts a browser inside `namespace`, and ends it after `use`. */
export async function withBrowser(
  namespaces: Namespaces,
  namespace: string,
  use: (browser: Browser) => Promise<void>,
): Promise<void> {
  // Playwright starts one program: this one enters the namespace, and becomes the browser.
  const starter = join(namespaces.folder, 'chromium');
  writeFileSync(starter, `#!/bin/sh\nexec ip netns exec ${namespace} ${PROGRAM} "$@"\n`);
  chmodSync(starter, 0o755);
  // Tests run as root, where Chromium's own sandbox does not; /dev/shm of a container is too small for it.
  const browser = await chromium.launch({
    executablePath: starter,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  try {
    await use(browser);
  } finally {
    await browser.close();
  }
}
