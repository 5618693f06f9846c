import { runExplain as explain } from '../../inspect/explain.js';
import type { ExitCode } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runExplain(call: Call): Promise<ExitCode> {
  const { words, options, json, config, output } = call;
  const { hex, tunnel } = options;
  return explain({
    ...(words.length === 0 ? {} : { words: words.join(' ') }),
    ...(typeof hex === 'string' ? { hex } : {}),
    ...(typeof tunnel === 'string' ? { tunnel } : {}),
    ...(config === undefined ? {} : { config }),
    isSent: options.sent === true,
    json,
    paint: output.paint,
    out: output.print,
    warn: output.say,
  });
}
