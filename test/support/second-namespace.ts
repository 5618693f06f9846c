// A second network namespace beside the test's own: that of a process which sleeps. Goes with it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { enterNamespace } from './enter-namespace.js';
import { eventually } from './lab.js';

export class SecondNamespace {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async make(): Promise<SecondNamespace> {
    const holder = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' });
    const own = readlinkSync('/proc/self/ns/net');
    const left = await eventually(() => readlinkSync(`/proc/${holder.pid}/ns/net`) !== own);
    assert.ok(left);
    return new SecondNamespace(holder);
  }

  /** What `ip link ... netns` takes. */
  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** Runs a command inside; throws with its words when it fails. */
  run(command: string, ...words: string[]): string {
    const inside = ['-t', String(this.pid), '-n', command, ...words];
    const { status, stdout, stderr } = spawnSync('nsenter', inside, { encoding: 'utf8' });
    assert.equal(status, 0, `${command} ${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Runs `ip` inside. */
  ip(line: string): string {
    return this.run('ip', ...line.split(' '));
  }

  /** Runs `use` with this thread inside: sockets that it opens stay there. It must not wait. */
  enter<T>(use: () => T): T {
    return enterNamespace(`/proc/${this.pid}/ns/net`, use);
  }

  close(): void {
    this.#holder.kill('SIGKILL');
  }
}
