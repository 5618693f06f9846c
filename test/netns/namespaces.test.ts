// The labs of tests and demo are taken away again, whatever ends them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ip, Namespaces, sweepNamespaces } from '../../src/demo/namespaces.js';
import { eventually, lacking } from '../support/lab.js';

const NAMESPACES = fileURLToPath(new URL('../../src/demo/namespaces.js', import.meta.url));

/** A program that makes a namespace, starts a process in it, says its name, and waits. */
const PROGRAM = `
  import { Namespaces } from ${JSON.stringify(NAMESPACES)};
  const namespaces = new Namespaces('ends');
  const name = namespaces.add('one');
  const { pid } = namespaces.start(name, 'sleep', ['60'], { stdio: 'ignore' });
  console.log(JSON.stringify({ name, pid, folder: namespaces.folder }));
`;

interface Made {
  readonly name: string;
  readonly pid: number;
  readonly folder: string;
}

function exists(name: string): boolean {
  return new RegExp(`^${name}\\b`, 'm').test(ip('netns', 'list'));
}

/** Whether a process lives: one that waits for its parent to take note has ended. */
function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function startProgram() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data) => {
    output += String(data);
  });
  assert.ok(await eventually(() => output.includes('\n'), 10_000));
  const made: Made = JSON.parse(output);
  assert.ok(exists(made.name));
  return { child, made };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`a lab is taken away when its process gets ${signal}`, { skip: lacking() }, async () => {
    const { child, made } = await startProgram();
    child.kill(signal);
    assert.ok(await eventually(() => child.exitCode !== null));
    assert.ok((child.exitCode ?? 0) > 128);
    assert.ok(!exists(made.name));
    assert.ok(!existsSync(made.folder));
    assert.ok(await eventually(() => !isRunning(made.pid)));
  });
}

test('what a killed process left is swept by the next one', { skip: lacking() }, async () => {
  const { child, made } = await startProgram();
  const alive = new Namespaces('sweep');
  try {
    const kept = alive.add('kept');
    child.kill('SIGKILL');
    assert.ok(await eventually(() => child.signalCode !== null));
    assert.ok(exists(made.name));
    sweepNamespaces();
    assert.ok(!exists(made.name));
    assert.ok(await eventually(() => !isRunning(made.pid)));
    assert.ok(exists(kept), 'the lab of a living process stays');
  } finally {
    await alive.close();
    rmSync(made.folder, { recursive: true, force: true });
  }
});
