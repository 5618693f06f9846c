import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PacketSocket } from '../../../src/demo/packet-socket.js';
import type { XskPlan, XskRingPlan } from '../../../src/ring/xsk-plan.js';
import { receiveQueueCount } from '../../../src/sys/channels.js';
import { EXIT, Failure } from '../../../src/sys/failure.js';
import { interfaceIndex } from '../../../src/sys/libc.js';
import { Xsk } from '../../../src/underlay/xdp/xsk.js';
import { ethernet, takeFrames } from '../../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { XskFrames } from '../../support/xsk-frames.js';
import { xskMemory } from '../../support/xsk-memory.js';

const skip = enterOwnNamespace();
const SIZE = { receiveFrames: 32, sendFrames: 32, frameSize: 2048 } as const;
const { memory, plans, end } = xskMemory(SIZE);
const [plan] = plans as [XskPlan];
const bytes = new Uint8Array(memory.buffer);
if (!skip) {
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  ip('link add u0 numrxqueues 3 numtxqueues 2 type veth peer name u1 numrxqueues 2');
  ip('link set u0 up');
  ip('link set u1 up');
}
const FRAME = ethernet(
  0x88b5,
  new Uint8Array(1000).map((_, index) => index * 7),
);

function openSocket(changes: Partial<ConstructorParameters<typeof Xsk>[0]> = {}): Xsk {
  return new Xsk({
    ...{ memory, plan, device: 'u0', link: interfaceIndex('u0'), queue: 0 },
    ...changes,
  });
}

/** The names of Failures that `open` throws. */
function refusal(open: () => unknown): Failure {
  try {
    open();
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return error;
  }
  throw new Error('it was not refused');
}

/** A program that opens a socket, says how that went, and goes on with `then`. */
function openScript(then: string): string {
  const file = (path: string): string =>
    JSON.stringify(fileURLToPath(new URL(path, import.meta.url)));
  return `
    import { Xsk } from ${file('../../../src/underlay/xdp/xsk.js')};
    import { xskMemory } from ${file('../../support/xsk-memory.js')};
    const { memory, plans } = xskMemory({ receiveFrames: 512, sendFrames: 512, frameSize: 2048 });
    try {
      const link = ${interfaceIndex('u0')};
      globalThis.xsk = new Xsk({ memory, plan: plans[0], device: 'u0', link, queue: 0 });
      console.log(JSON.stringify({ exitCode: 0 }));
    } catch ({ exitCode, message, hint }) {
      console.log(JSON.stringify({ exitCode, message, hint }));
    }
    ${then}
  `;
}

test('frames in the dataplane memory are sent as they are', { skip }, () => {
  const wire = new PacketSocket('u1', 2048);
  const xsk = openSocket();
  const frames = new XskFrames(memory, plan, xsk);
  assert.equal(xsk.isZeroCopy, false, 'veth always copies');
  // More than the rings and the free frames hold: all of them come back and go round.
  for (let n = 0; n < 300; n++) {
    frames.send(FRAME);
    assert.deepEqual(takeFrames(wire, 1), [FRAME], `frame ${n}`);
  }
  assert.equal(xsk.statistics().transmitInvalid, 0);
  xsk.close();
  wire.close();
});

test('rings lie inside their areas, where they were planned', { skip }, () => {
  bytes.fill(0xa5, 0, 65536);
  bytes.fill(0xa5, end);
  const xsk = openSocket();
  for (const name of ['fill', 'completion', 'receive', 'transmit'] as const) {
    const { area, count } = plan[name];
    const { producer, consumer, flags, descriptors, mask } = xsk.rings[name];
    assert.equal(mask, count - 1);
    for (const field of [producer, consumer, flags, descriptors]) {
      assert.ok(field >= area && field < area + 1024);
      assert.equal(field % 4, 0);
    }
    assert.equal(descriptors % 8, 0);
    assert.ok(descriptors > producer && descriptors > consumer && descriptors > flags);
  }
  xsk.close();
  for (const canary of [bytes.subarray(0, 65536), bytes.subarray(end)]) {
    assert.ok(canary.every((byte) => byte === 0xa5));
  }
});

test('closing gives the queue back, and the pages of rings and frames', {
  skip,
}, () => {
  const first = openSocket();
  const taken = refusal(() =>
    openSocket({ plan: (xskMemory(SIZE).plans as [XskPlan])[0], memory: xskMemory(SIZE).memory }),
  );
  assert.match(taken.message, /AF_XDP socket on u0, queue 0: EBUSY: another AF_XDP socket/);
  bytes.fill(0x77, plan.umem, plan.umem + 4096);
  new XskFrames(memory, plan, first);
  first.close();
  first.close();
  const ring = ({ area }: XskRingPlan): Uint8Array => bytes.subarray(area, area + 65536);
  for (const name of ['fill', 'completion', 'receive', 'transmit'] as const) {
    assert.ok(ring(plan[name]).every((byte) => byte === 0));
  }
  assert.ok(bytes.subarray(plan.umem, plan.umem + 4096).every((byte) => byte === 0));
  openSocket().close();
});

test('the queue of a killed process can be had at once', { skip }, async () => {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', openScript('setInterval(() => {}, 1000);')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await once(child.stdout, 'data');
  assert.match(refusal(() => openSocket()).message, /EBUSY/);
  child.kill('SIGKILL');
  await once(child, 'exit');
  openSocket().close();
});

test('a missing device or queue is named', { skip }, () => {
  assert.match(
    refusal(() => openSocket({ queue: 9 })).message,
    /queue 9: EINVAL: there is no such/,
  );
  assert.match(
    refusal(() => openSocket({ link: 9999 })).message,
    /ENODEV: there is no such device/,
  );
});

test('a kick on a device that goes down says so', { skip }, () => {
  const xsk = openSocket();
  assert.equal(xsk.kick(), 'done');
  assert.equal(xsk.wakeReceive(), 'done');
  ip('link set u0 down');
  assert.equal(xsk.kick(), 'down');
  ip('link set u0 up');
  assert.equal(xsk.kick(), 'done');
  xsk.close();
});

test('areas outside of the memory, across one another or unaligned are refused', { skip }, () => {
  const wrong: Partial<XskPlan>[] = [
    { umem: bytes.length - 65536 },
    { umem: plan.umem + 4096 },
    { fill: { area: bytes.length, count: 64 } },
    { fill: plan.receive },
    { transmit: { area: plan.umem, count: 64 } },
    { transmit: { area: -65536, count: 64 } },
  ];
  for (const change of wrong) {
    assert.throws(() => openSocket({ plan: { ...plan, ...change } }), RangeError);
  }
  openSocket().close();
});

test('queues are counted as the driver has them', { skip }, () => {
  assert.equal(receiveQueueCount('u0'), 3);
  assert.equal(receiveQueueCount('u1'), 2);
  assert.equal(receiveQueueCount('lo'), 1);
});

test('a limit on locked memory is raised where permitted, else named', {
  skip: skip || (spawnSync('setpriv', ['--version']).error ? 'needs setpriv (util-linux)' : false),
}, () => {
  const open = (hardKib: number | 'unlimited', without: string) => {
    const words = ['--bounding-set', without, '--inh-caps', without, '--', process.execPath];
    const limits = `ulimit -S -l 64; ulimit -H -l ${hardKib}; exec setpriv "$@"`;
    const child = spawnSync(
      'bash',
      ['-c', limits, 'bash', ...words, '--input-type=module', '-e', openScript('')],
      { encoding: 'utf8' },
    );
    return JSON.parse(child.stdout);
  };
  assert.deepEqual(open('unlimited', '-ipc_lock,-sys_resource'), { exitCode: 0 });
  const { exitCode, message, hint } = open(64, '-ipc_lock,-sys_resource');
  assert.equal(exitCode, EXIT.noPermission);
  assert.match(message, /AF_XDP socket on u0, queue 0: ENOBUFS: it locks 2048 KiB of memory/);
  assert.match(hint, /LimitMEMLOCK=infinity/);
});
