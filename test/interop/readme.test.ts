// The first tunnel of README.md, typed as it stands there: the peer's words into a Linux kernel, ours here.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type KernelLab, openKernelLab } from './kernel-lab.js';
import { missingForKernelPeer } from './kernel-peer.js';

const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const PROGRAM = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** The commands of README.md's blocks of shell, in order. */
const BLOCKS = [...README.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block.trim());
const READY_TRIES = 50;

describe('the first tunnel of the README', { skip: missingForKernelPeer() ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-readme-'));
  let lab: KernelLab;
  before(async () => {
    lab = await openKernelLab();
  });
  after(async () => {
    await lab?.close();
    rmSync(folder, { recursive: true });
  });

  test('carries pings to a Linux kernel when the three commands are typed as they stand', async () => {
    const [peerCommand = '', configCommand = '', runCommand = ''] = BLOCKS;
    await lab.peer.ask(/^sudo sh -c '(.*)'$/.exec(peerCommand)?.[1] ?? '');
    const run = /^sudo npx grebe (run .*)$/.exec(runCommand)?.[1] ?? '';

    const output = await lab.command(
      'bash',
      '-c',
      `cd ${folder}
       ${configCommand}
       "${process.execPath}" "${PROGRAM}" ${run} --socket ./grebe.sock 2>log & pid=$!
       for try in $(seq ${READY_TRIES}); do grep -q ready log && break; sleep 0.1; done
       busybox ping -c 3 10.9.0.2
       "${process.execPath}" "${PROGRAM}" status --socket ./grebe.sock
       kill $pid; wait $pid; echo "ended with $?"; ip -brief link show gre1 2>&1 || true`,
    );
    assert.match(output, /3 packets received, 0% packet loss/);
    assert.match(
      output,
      /^gre1 +gre +192\.0\.2\.1 -> 192\.0\.2\.2 +up +1472 +3 \(252 B\) +3 \(252 B\)/m,
    );
    assert.match(output, /^ended with 0\n.*gre1.* does not exist/m);
  });
});
