// Work inside another network namespace, done by this thread.
import assert from 'node:assert/strict';
import koffi from 'koffi';
import { close, open } from '../../src/sys/libc.js';

const CLONE_NEWNET = 0x4000_0000;

/** Where `ip netns add NAME` keeps a namespace. */
export function namespacePath(name: string): string {
  return `/run/netns/${name}`;
}

/** Runs `use` with this thread inside the namespace at `path`: sockets that it opens stay there. It must not wait. */
export function enterNamespace<T>(path: string, use: () => T): T {
  const own = open('/proc/thread-self/ns/net', 0);
  enter(path);
  try {
    return use();
  } finally {
    assert.equal(setns(own, CLONE_NEWNET), 0);
    close(own);
  }
}

const setns: (fd: number, kind: number) => number = koffi
  .load('libc.so.6')
  .func('int setns(int fd, int kind)');

function enter(path: string): void {
  const fd = open(path, 0);
  const entered = setns(fd, CLONE_NEWNET);
  close(fd);
  assert.equal(entered, 0, `entering ${path}`);
}
