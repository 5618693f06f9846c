import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { ABI_VERSION } from '../../asm/layout.js';
import { listBuilds, loadBuild, openCodec } from '../../src/codec/builds.js';
import { KNOWN_TUNNELS } from '../../src/codec/known-answers.js';
import { Scratch } from '../../src/codec/scratch.js';
import { answerFault } from '../../src/codec/verify.js';
import { Failure } from '../../src/sys/failure.js';
import { alterScalar, withFile } from './altered-build.js';

test('auto is simd where the engine takes it', () => {
  assert.equal(loadBuild('auto').name, 'simd');
});

test('a name that is no build is a mistake of usage, with the names there are', () => {
  assert.throws(
    () => loadBuild('sidm'),
    (error) =>
      error instanceof Failure &&
      error.exitCode === 64 &&
      /"sidm"/.test(error.message) &&
      /auto, simd, scalar and js/.test(error.hint ?? ''),
  );
});

test('a path that leads nowhere is named', () => {
  assert.throws(
    () => loadBuild('./no-such.wasm'),
    (error) =>
      error instanceof Failure && error.exitCode === 66 && /no-such\.wasm/.test(error.message),
  );
});

test('what is no regular file is not read: a pipe or a device would hold a router up', () => {
  for (const path of ['/dev/zero', '/dev']) {
    assert.throws(
      () => loadBuild(path),
      (error) =>
        error instanceof Failure && error.exitCode === 66 && /no regular file/.test(error.message),
    );
  }
});

test('the list tells size, ABI and which build is live', () => {
  const builds = listBuilds('scalar');
  assert.deepEqual(
    builds.map(({ name, abi, live, fault }) => ({ name, abi, live, fault })),
    [
      { name: 'simd', abi: ABI_VERSION, live: false, fault: null },
      { name: 'scalar', abi: ABI_VERSION, live: true, fault: null },
      { name: 'js', abi: ABI_VERSION, live: false, fault: null },
    ],
  );
  for (const { name, size } of builds) assert.equal(size === null, name === 'js');
});

test('the list ends with a live build of the user’s own', async () => {
  await withFile(alterScalar('', ''), (path) => {
    const last = listBuilds(path).at(-1);
    assert.equal(last?.name, path);
    assert.equal(last?.live, true);
    assert.equal(last?.abi, ABI_VERSION);
  });
});

test('the list says what is wrong with a build', async () => {
  await withFile(new TextEncoder().encode('not wasm'), (path) => {
    assert.match(listBuilds(path).at(-1)?.fault ?? '', /does not compile/);
  });
});

test('every build gets every known answer right', () => {
  for (const name of ['simd', 'scalar', 'js']) {
    const scratch = new Scratch(KNOWN_TUNNELS);
    assert.equal(answerFault(openCodec(loadBuild(name), scratch.memory), scratch), null, name);
  }
});

test('a build can be posted to another thread and opened over the memory they share', async () => {
  const scratch = new Scratch(KNOWN_TUNNELS);
  const address = scratch.encap.packetAddress(0);
  scratch.bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], address);
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.builds).then(({ openCodec }) => {
      const codec = openCodec(workerData.build, workerData.memory);
      parentPort.postMessage(codec.checksum(workerData.address, 8));
    });`;
  const worker = new Worker(code, {
    eval: true,
    workerData: {
      builds: new URL('../../src/codec/builds.js', import.meta.url).href,
      build: loadBuild('simd'),
      memory: scratch.memory,
      address,
    },
  });
  const answer = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await worker.terminate();
  assert.equal(answer, 0x220d); // RFC 1071, 3
});
