import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** A process of its own, because niceness cannot be taken back. */
const SCRIPT = `
import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { favourThreads, threadId } from ${JSON.stringify(new URL('../../src/sys/priority.js', import.meta.url))};
const MODULE = ${JSON.stringify(new URL('../../src/sys/priority.js', import.meta.url))};
const code = "import { parentPort } from 'node:worker_threads';" +
  "import { threadId } from '" + MODULE + "';" +
  "parentPort.on('message', () => {}); parentPort.postMessage(threadId());";
const start = () => new Promise((resolve) => {
  const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(code)));
  worker.once('message', (id) => resolve([id, worker]));
});
const [lane, first] = await start();
const isDone = favourThreads(new Set([lane]), 10);
const [later, second] = await start();
const niceness = Object.fromEntries(readdirSync('/proc/self/task').map((id) => {
  const stat = readFileSync('/proc/self/task/' + id + '/stat', 'utf8');
  return [id, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])];
}));
console.log(JSON.stringify({ isDone, main: threadId(), pid: process.pid, lane, later, niceness }));
await Promise.all([first.terminate(), second.terminate()]);
`;

test('all threads are nicer than the favoured one, also those that are made later', () => {
  const { stdout, stderr } = spawnSync('node', ['--input-type=module', '-e', SCRIPT], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  const { isDone, main, pid, lane, later, niceness } = JSON.parse(stdout);
  assert.equal(isDone, true);
  assert.equal(main, pid);
  const others = Object.keys(niceness).filter((id) => Number(id) !== lane);
  assert.ok(others.includes(String(later)) && others.includes(String(pid)));
  const before = niceness[lane];
  assert.deepEqual(
    others.map((id) => niceness[id]),
    others.map(() => Math.min(19, before + 10)),
  );
});
