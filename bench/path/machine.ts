// What a figure was measured on: without it a figure says nothing.
import { spawnSync } from 'node:child_process';
import { cpus, release } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** Short commit id, with `+` when the tree differs from it; `unknown` outside a checkout. */
  readonly commit: string;
}

export function describeMachine(): Machine {
  const list = cpus();
  return {
    cpu: list[0]?.model ?? 'unknown',
    cores: list.length,
    kernel: release(),
    node: process.versions.node,
    commit: commitOf(),
  };
}

function commitOf(): string {
  const words = ['describe', '--always', '--dirty=+', '--exclude=*'];
  const result = spawnSync('git', words, { encoding: 'utf8', cwd: import.meta.dirname });
  return result.status === 0 ? result.stdout.trim() : 'unknown';
}
