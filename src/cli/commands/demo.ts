import { runDemo } from '../../demo/demo.js';
import { EXIT, type ExitCode } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runDemoCommand({ options, json }: Call): Promise<ExitCode> {
  const { level } = options;
  const exitCode = await runDemo({
    json,
    quick: options.quick === true,
    ...(level === 'a' || level === 'b' ? { level } : {}),
  });
  return Object.values(EXIT).find((code) => code === exitCode) ?? EXIT.failed;
}
