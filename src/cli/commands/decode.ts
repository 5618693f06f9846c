import { runDecode as decode } from '../../inspect/decode.js';
import type { ExitCode } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runDecode(call: Call): Promise<ExitCode> {
  const { words, options, json, config, output } = call;
  const [file] = words;
  const { hex } = options;
  return decode({
    ...(file === undefined ? {} : { file }),
    ...(typeof hex === 'string' ? { hex } : {}),
    ...(config === undefined ? {} : { config }),
    json,
    paint: output.paint,
    out: output.print,
    warn: output.say,
  });
}
