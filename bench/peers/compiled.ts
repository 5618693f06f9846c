// The C programs of the bench, compiled when their source is newer. They are for the bench alone: nothing of
// grebe uses them, and no user needs a compiler.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT, Failure } from '../../src/sys/failure.js';

/** From dist/bench/peers/ to the root of the tree. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Compiles `source`, a path inside the tree, and returns the program. */
export function compiled(source: string): string {
  const from = join(ROOT, source);
  const program = join(ROOT, 'dist', dirname(source), basename(source, '.c'));
  if (existsSync(program) && statSync(program).mtimeMs > statSync(from).mtimeMs) return program;
  mkdirSync(dirname(program), { recursive: true });
  // Under a name of its own first: another bench may be running the program.
  const fresh = `${program}.${process.pid}`;
  const words = ['-O2', '-Wall', '-pthread', '-o', fresh, from];
  const result = spawnSync('gcc', words, { encoding: 'utf8' });
  if (result.status !== 0) throw new Failure(EXIT.failed, `gcc ${source}: ${result.stderr.trim()}`);
  renameSync(fresh, program);
  return program;
}

/** The first line that `program` prints for `--version`. */
export function versionOf(program: string): string {
  const { stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return `${stdout || stderr || ''}`.split('\n', 1)[0]?.trim() ?? '';
}
