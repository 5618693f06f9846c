// What an unprivileged router needs for AF_XDP and for segmentation, and no more.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { interfaceIndex } from '../../src/sys/libc.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';

const namespace = enterOwnNamespace();
const skip =
  namespace || (spawnSync('setpriv', ['--version']).error ? 'needs setpriv (util-linux)' : false);
if (!skip) {
  ip('link add u0 type veth peer name u1');
  ip('link set u0 up');
  ip('link set u1 up');
}

const file = (path: string): string =>
  JSON.stringify(fileURLToPath(new URL(path, import.meta.url)));
const SCRIPT = `
  import { openRedirect } from ${file('../../src/underlay/xdp/redirect-program.js')};
  import { openSegmentation } from ${file('../../src/underlay/packet-socket/segmentation-program.js')};
  import { Xsk } from ${file('../../src/underlay/xdp/xsk.js')};
  import { xskMemory } from ${file('../support/xsk-memory.js')};
  const device = { link: ${skip ? 0 : interfaceIndex('u0')}, device: 'u0' };
  const { memory, plans } = xskMemory({ receiveFrames: 64, sendFrames: 64, frameSize: 2048 });
  const outcomes = [
    () => openRedirect({ ...device, queueCount: 1, frameSize: 1792, maxPeers: 4 }).mode,
    () => openSegmentation(device).failures(),
    () => new Xsk({ ...device, memory, plan: plans[0], queue: 0 }).kick(),
  ].map((open) => {
    try {
      return open();
    } catch (error) {
      return error.exitCode;
    }
  });
  console.log(JSON.stringify(outcomes));
`;

/** How redirection, segmentation and a socket fare with these capabilities alone. */
function outcomes(...capabilities: string[]): unknown {
  const kept = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
  const words = [`--bounding-set=${kept}`, `--inh-caps=${kept}`, process.execPath];
  const child = spawnSync('setpriv', [...words, '--input-type=module', '-e', SCRIPT], {
    encoding: 'utf8',
  });
  return JSON.parse(child.stdout);
}

test('CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW are enough', { skip }, () => {
  assert.deepEqual(outcomes('bpf', 'net_admin', 'net_raw'), ['native', 0, 'done']);
});

test('each of them is needed for what the failure says', { skip }, () => {
  assert.deepEqual(outcomes('net_admin', 'net_raw'), [77, 77, 'done']);
  assert.deepEqual(outcomes('bpf', 'net_raw'), [77, 77, 'done']);
  assert.deepEqual(outcomes('bpf', 'net_admin'), ['native', 0, 77]);
});
