import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXIT, Failure } from './failure.js';

/**
 * The exports of a module of the router's own over `memory`, one instance for each thread; its caller knows what they
 * are. Throws a Failure where the file cannot be read.
 */
export function openModule(file: URL, memory: WebAssembly.Memory): unknown {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new Failure(
      EXIT.failed,
      `cannot read ${fileURLToPath(file)}: ${error instanceof Error ? error.message : error}`,
      'build it: node build.mjs',
    );
  }
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports;
}
