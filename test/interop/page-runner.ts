// Does what a page says: writes its files, types its commands, and compares what they print.
//
//   machines     `here`, a namespace with grebe; `there`, another one or a Linux kernel in a guest
//   files        a block whose words are MACHINE/FILE is written before what follows
//   sh           runs in bash, and must succeed. `grebe run` goes on in the background to the end of the page
//   console      each line behind `$ ` runs; of what it prints, the lines of the page must be there, in order; a
//                line of the page may be the beginning of one, and numbers that are no addresses may differ
//   toml         `grebe check` must like it
//   frr          vtysh must like it, where FRR is
//
// Commands mean what they mean to a reader: ../docs/reader.ts.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { type Block, blocksOf } from '../docs/blocks.js';
import { asReader, makeReader } from '../docs/reader.js';
import { lackingFrr } from './frr.js';

const hasFrr = lackingFrr() === false;
const READY_TRIES = 100;
/** Seconds: readers have time. */
const PING_INTERVAL = 0.1;
const IS_RUN = /^(sudo )?npx grebe run\b(?!.*--dry-run)/;
/** What differs from run to run. */
const NUMBER = /[0-9a-f]*:[0-9a-f:]+|\d+(\.\d+)+|\d+/gi;
const LANGUAGES: ReadonlySet<string> = new Set([
  'sh',
  'console',
  'toml',
  'frr',
  'js',
  'ts',
  'text',
  'ios',
  'yaml',
  'json',
]);

/** Runs a script on a machine and returns what it prints on stdout; rejects when it fails. */
export type Execute = (script: string) => Promise<string>;

export interface Machines {
  readonly here: Execute;
  /** Scripts as they stand on the page, without `sudo`, when it is not ours to prepare. */
  readonly there: Execute | { readonly plain: Execute };
}

/** Runs `page` and stops what it started. `folder`: for its files. */
export async function runPage(page: string, folder: string, machines: Machines): Promise<void> {
  makeReader(folder, { pingInterval: PING_INTERVAL });
  const started: { readonly machine: Execute; readonly pid: string }[] = [];
  try {
    for (const block of blocksOf(page)) {
      assert.ok(
        LANGUAGES.has(block.language),
        `line ${block.line}: a block of "${block.language}"`,
      );
      const name = block.words.startsWith('there') ? 'there' : 'here';
      const machine = prepared(machines, name, folder);
      const pid = await runBlock(block, join(folder, name), machine).catch((error: unknown) => {
        throw new Error(`line ${block.line} of the page: ${textOf(error)}`);
      });
      if (pid !== null) started.push({ machine, pid });
    }
  } finally {
    for (const { machine, pid } of started) {
      await machine(`kill ${pid}; while kill -0 ${pid} 2>&-; do sleep 0.05; done`);
    }
  }
}

function prepared(machines: Machines, name: 'here' | 'there', folder: string): Execute {
  const machine = machines[name];
  if (typeof machine !== 'function') {
    const plain = (line: string): string => line.replace(/^sudo (sh -c '(.*)'$)?/, '$2');
    return (script) => machine.plain(script.trim().split('\n').map(plain).join(' && '));
  }
  return (script) => machine(asReader(folder, name, script));
}

/** Returns the process that it left running, or null. */
async function runBlock(block: Block, home: string, machine: Execute): Promise<string | null> {
  const { language, words, text } = block;
  const [, file] = /^\w+\/(\S+)$/.exec(words) ?? [];
  if (file !== undefined) writeFileSync(join(home, file), text);
  if (language === 'console') await runSession(text, machine);
  if (language === 'toml') {
    const checked = file ?? 'checked.toml';
    if (file === undefined) writeFileSync(join(home, checked), text);
    await machine(`npx grebe check ${checked} 2>&1`);
  }
  if (language === 'frr' && hasFrr) await machine(`vtysh --vty_socket . -C -f ${file}`);
  if (language !== 'sh') return null;
  if (IS_RUN.test(text)) return startRun(text.trim(), machine);
  assert.ok(!/\bgrebe run\b/.test(text), 'grebe run wants a block of its own');
  await machine(text);
  return null;
}

/** Starts `grebe run` and returns its process when it is ready. */
async function startRun(command: string, machine: Execute): Promise<string> {
  const printed = await machine(
    `${command} >run.log 2>&1 & pid=$!
     for try in $(seq ${READY_TRIES}); do grep -q ready run.log && echo $pid && exit; sleep 0.1; done
     cat run.log; exit 1`,
  );
  return printed.trim();
}

/** Runs the commands of a session, and compares. */
async function runSession(text: string, machine: Execute): Promise<void> {
  for (const part of text.split(/^\$ /m).slice(1)) {
    const [command = '', ...lines] = part.split('\n');
    const printed = await machine(`{ ${command}\n} 2>&1 || true`);
    const actual = printed.split('\n').map(comparable);
    for (const line of lines) {
      if (line.trim() === '' || line.trim() === '...') continue;
      const wanted = comparable(line);
      const at = actual.findIndex((one) => one.startsWith(wanted));
      assert.ok(at >= 0, `"${command}" does not print\n${line}\nbut\n${printed}`);
      actual.splice(0, at + 1);
    }
  }
}

/** A line with numbers, but for addresses, and columns made alike. */
function comparable(line: string): string {
  return line
    .replaceAll(NUMBER, (found) => (isIP(found) ? found : '0'))
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const read = (name: string): string => String(Reflect.get(error, name) ?? '');
  return [error.message, read('stdout'), read('stderr')].join('\n');
}
