// grebe bench: the benches of a checkout. They are development code, so the published package has none.

import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runBench(call: Call): Promise<ExitCode> {
  const [what = 'all'] = call.words;
  if (what !== 'codec' && what !== 'path' && what !== 'all') {
    const message = `bench: no bench is named ${JSON.stringify(what)}`;
    throw new Failure(EXIT.usage, message, 'grebe bench codec, grebe bench path or grebe bench');
  }
  if (what !== 'path') await benchCodec(call);
  if (what !== 'codec') await benchPath(call);
  return EXIT.ok;
}

async function benchCodec({ options, json, output }: Call): Promise<void> {
  const { runCodecBench } = await load(import('../../../bench/codec/codec-bench.js'));
  const { formatCodecBench } = await load(import('../../../bench/codec/print.js'));
  const result = await runCodecBench({ quick: options.quick === true, onStep: output.say });
  output.print(json ? JSON.stringify(result) : formatCodecBench(result));
}

async function benchPath({ options, json, output }: Call): Promise<void> {
  const { runPathBench } = await load(import('../../../bench/path/path-bench.js'));
  const { formatPathBench } = await load(import('../../../bench/path/print.js'));
  const { RESULT_FILE, writeResult } = await load(import('../../../bench/path/results.js'));
  const quick = options.quick === true;
  const result = await runPathBench({ quick, onStep: output.say });
  if (!quick) writeResult(result, RESULT_FILE);
  output.print(json ? JSON.stringify(result) : formatPathBench(result));
}

/** A module of bench/, or a Failure where there is none. */
async function load<T>(module: Promise<T>): Promise<T> {
  try {
    return await module;
  } catch (error) {
    const isMissing =
      error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    if (!isMissing) throw error;
    throw new Failure(
      EXIT.failed,
      'the benches are not part of the installed package',
      'in a checkout of the sources: npm run bench',
    );
  }
}
