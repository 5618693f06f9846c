// A codec build in WebAssembly: its border, and an instance of it over a dataplane's memory.
import { EXIT, Failure } from '../sys/failure.js';
import type { Codec } from './contract.js';

/** What a build exports, with the number of parameters of each: nothing more, nothing less. */
export const EXPORTS = {
  abiVersion: 0,
  segment: 4,
  encap: 1,
  decap: 1,
  coalesce: 2,
  separate: 2,
  settle: 2,
  checksum: 2,
} as const;

const SECTION_NAMES = new Map([
  [8, 'a start function'],
  [11, 'a data section'],
]);
const MAGIC_SIZE = 8;

/** Compiles a module. Throws a Failure when the bytes are no valid WebAssembly. */
export function compileWasm(name: string, bytes: Uint8Array): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw refusal(name, `it does not compile: ${text(error)}`);
  }
}

/**
 * What a module has that a codec must not have, or lacks: imports other than the memory, an export list
 * other than EXPORTS, or parts that act on the live memory when it is instantiated. Null when it is right.
 */
export function borderFault(module: WebAssembly.Module, bytes: Uint8Array): string | null {
  const imports = WebAssembly.Module.imports(module);
  const extra = imports.find((entry) => !isMemory(entry));
  if (extra !== undefined) return `it imports ${extra.kind} ${extra.module}.${extra.name}`;
  if (imports.length !== 1) return 'it does not import memory env.memory once';

  const exported = new Map(WebAssembly.Module.exports(module).map((e) => [e.name, e.kind]));
  for (const name of Object.keys(EXPORTS)) {
    const kind = exported.get(name);
    if (kind === undefined) return `it does not export ${name}`;
    if (kind !== 'function') return `its export ${name} is a ${kind}, not a function`;
    exported.delete(name);
  }
  for (const [name, kind] of exported) return `it exports ${kind} ${name}`;

  for (const id of sectionIds(bytes)) {
    const found = SECTION_NAMES.get(id);
    if (found !== undefined) return `it has ${found}, which would act on the live memory at once`;
  }
  return null;
}

/** An instance over `memory`. Throws a Failure when the memory does not fit its import. */
export function openWasm(
  name: string,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Codec {
  const entries = instantiate(name, module, memory);
  return {
    name,
    segment: entries.segment as Codec['segment'],
    encap: entries.encap as Codec['encap'],
    decap: entries.decap as Codec['decap'],
    coalesce: entries.coalesce as Codec['coalesce'],
    separate: entries.separate as Codec['separate'],
    settle: entries.settle as Codec['settle'],
    checksum: entries.checksum as Codec['checksum'],
  };
}

/** The ABI number a module states. */
export function wasmAbi(
  name: string,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): number {
  const { abiVersion } = instantiate(name, module, memory);
  return Number((abiVersion as () => unknown)());
}

/** A build that may not go live, and what to do about it. */
export function refusal(name: string, cause: string): Failure {
  return new Failure(
    EXIT.failed,
    `codec ${name} is refused: ${cause}`,
    'build it from asm/ of this grebe (node build.mjs), or choose one of: grebe codec list',
  );
}

function instantiate(
  name: string,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Record<string, unknown> {
  let exports: Record<string, unknown>;
  try {
    exports = new WebAssembly.Instance(module, { env: { memory } }).exports;
  } catch (error) {
    throw refusal(name, text(error));
  }
  for (const [entry, count] of Object.entries(EXPORTS)) {
    const found = exports[entry];
    if (typeof found !== 'function') throw refusal(name, `it does not export ${entry}`);
    if (found.length !== count) {
      throw refusal(name, `its ${entry} takes ${found.length} parameters, not ${count}`);
    }
  }
  return exports;
}

function isMemory(entry: { module: string; name: string; kind: string }): boolean {
  return entry.module === 'env' && entry.name === 'memory' && entry.kind === 'memory';
}

/** Numbers of a valid module's sections, in order (WebAssembly core specification, 5.5.2). */
function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  let at = MAGIC_SIZE;
  while (at < bytes.length) {
    ids.push(bytes[at++] ?? 0);
    let size = 0;
    let shift = 0;
    for (;;) {
      const byte = bytes[at++] ?? 0; // LEB128: seven bits a byte, the highest says more follow
      size += (byte & 0x7f) * 2 ** shift;
      shift += 7;
      if (byte < 0x80) break;
    }
    at += size;
  }
  return ids;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
