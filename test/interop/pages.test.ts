// What the pages say is done as they say it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { blocksOf } from '../docs/blocks.js';
import { lacking } from '../support/lab.js';
import { type KernelLab, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';
import { type Execute, runPage } from './page-runner.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const COMMAND_LIMIT_MS = 60_000;

/** With two namespaces. */
const PAGES = [
  'docs/bgp.md',
  'docs/config.md',
  'docs/first-tunnel.md',
  'docs/library.md',
  'docs/performance.md',
  'docs/providers/aws.md',
  'docs/providers/cloudflare.md',
  'docs/providers/zscaler.md',
  'docs/troubleshooting.md',
];
/** With a Linux kernel for the machine `there`. */
const KERNEL_PAGES = ['README.md', 'docs/linux-peer.md'];
/** In the guest: its own devices are lo, eth0, and one for each kind of tunnel whose name ends in 0. */
const DELETE_TUNNELS =
  "for name in $(ls /sys/class/net | grep -v -e '^lo$' -e '0$'); do ip link del $name; done";
/** Languages of blocks that something is done with. */
const DONE = new Set(['sh', 'console', 'toml', 'frr']);

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-page-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('every page with something to do is among those that are done', () => {
  const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('docs', name))
    .filter((name) => name.endsWith('.md'));
  const todo = ['README.md', ...pages].filter((page) =>
    blocksOf(read(page)).some(({ language }) => DONE.has(language)),
  );
  assert.deepEqual(todo.sort(), [...PAGES, ...KERNEL_PAGES].sort());
});

for (const page of PAGES) {
  test(`${page} between two machines`, { skip: lacking('ping') }, async () => {
    const namespaces = new Namespaces('page');
    try {
      const machine = (name: string, address: string): [string, Execute] => {
        const namespace = namespaces.add(name, { ipv6: true, forward: true });
        const run: Execute = async (script) => {
          const words = ['netns', 'exec', namespace, 'bash', '-c', script];
          const { stdout } = await promisify(execFile)('ip', words, { timeout: COMMAND_LIMIT_MS });
          return stdout;
        };
        ip('-n', namespace, 'address', 'add', address, 'dev', 'lo');
        return [namespace, run];
      };
      const [nearName, here] = machine('here', '10.1.0.1/24');
      const [farName, there] = machine('there', '10.2.0.1/24');
      namespaces.link(
        { namespace: nearName, device: 'eth0', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
        { namespace: farName, device: 'eth0', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
      );
      await withFolder((folder) => runPage(read(page), folder, { here, there }));
    } finally {
      await namespaces.close();
    }
  });
}

describe('with a Linux kernel as the other machine', {
  skip: missingForKernelPeer() ?? lacking('ping'),
}, () => {
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
    // The guest leaves checksums of GRE to its card, which there is none of.
    lab.setOffloads('off');
  });
  after(async () => {
    await lab?.close();
  });

  for (const page of KERNEL_PAGES) {
    test(page, async () => {
      const here: Execute = (script) => lab.command('bash', '-c', script);
      const there = { plain: (script: string) => lab.peer.ask(script) };
      await withFolder((folder) => runPage(read(page), folder, { here, there }));
      await lab.peer.ask(DELETE_TUNNELS);
    });
  }
});
