// grebe import: lines of ip(8), or the kernel's own tunnels, as tables of a config.

import { readFileSync } from 'node:fs';
import { formatLost, formatNote, type ImportResult, importLines } from '../../import/import.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runImport(call: Call): Promise<ExitCode> {
  const result = call.options.fromKernel === true ? await fromKernel(call) : fromLines(call);
  const { toml, tunnels, notes, lost, refused } = result;
  const { output, json } = call;
  if (refused.length > 0) {
    const all = refused.map(({ line, message }) => `line ${line}: ${message}`);
    const hint = 'as ip(8) would not take them, nothing is made of any line; ip link help gre';
    throw new Failure(EXIT.usage, `import: ${all.join('\n  ')}`, hint);
  }
  if (json) {
    const message = { schema: 'grebe.import/1', toml, tunnels, notes, lost };
    output.print(JSON.stringify(message));
  } else if (tunnels.length > 0) output.print(toml.trimEnd());
  for (const one of lost) output.warn(`${output.paintMessage('red', 'lost')}  ${formatLost(one)}`);
  for (const one of notes)
    output.warn(`${output.paintMessage('yellow', 'note')}  ${formatNote(one)}`);
  if (lost.length > 0) return EXIT.failed;
  if (tunnels.length > 0) return EXIT.ok;
  throw new Failure(EXIT.noInput, 'import: there is no tunnel in it', EXAMPLE);
}

const EXAMPLE = "grebe import 'ip tunnel add gre1 mode gre local 192.0.2.1 remote 192.0.2.2'";

function fromLines({ words }: Call): ImportResult {
  const [first, ...rest] = words;
  if (first === undefined) {
    if (process.stdin.isTTY) throw new Failure(EXIT.usage, 'import: which lines?', EXAMPLE);
    return importLines(readText(0, 'standard input'));
  }
  // One line in several words, or several lines, or a file.
  if (first === 'ip') return importLines(words.join(' '));
  if (/\s/.test(first)) return importLines(words.join('\n'));
  if (rest.length > 0) {
    throw new Failure(EXIT.usage, 'import: lines of ip(8) in quotes, or one file', EXAMPLE);
  }
  return importLines(first === '-' ? readText(0, 'standard input') : readText(first, first));
}

function readText(file: string | number, name: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new Failure(EXIT.noInput, `import: cannot read ${name}: ${cause}`, EXAMPLE);
  }
}

async function fromKernel({ words }: Call): Promise<ImportResult> {
  if (words.length > 0) {
    throw new Failure(EXIT.usage, 'import: lines, or --from-kernel, but not both', EXAMPLE);
  }
  const { kernelLines, readKernel } = await import('../../import/kernel.js');
  const { lines, names } = kernelLines(await readKernel());
  if (names.length > 0) return importLines(lines.join('\n'), { isMeasured: true });
  const hint =
    'kinds that are read: gre, gretap, ipip, sit, ip6gre, ip6gretap, ip6tnl; see: ip -d link';
  throw new Failure(EXIT.noInput, 'import: the kernel of this machine has no tunnel devices', hint);
}
