// grebe check: everything that is wrong with a config, for a person or as JSON for an editor.

import { countDiagnostics, formatDiagnostic } from '../../config/diagnostic.js';
import { DEFAULT_CONFIG_FILE, type LoadedConfig, loadConfig } from '../../config/load.js';
import { checkNames } from '../../config/names.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runCheck(call: Call): Promise<ExitCode> {
  const file = fileOf(call);
  const loaded = await checkNames(loadConfig(file));
  if (call.json) call.output.print(JSON.stringify(checkMessage(file, loaded)));
  else print(file, loaded, call);
  return loaded.config === undefined ? EXIT.config : EXIT.ok;
}

/** The file that check judges: the argument or --config, but not two different ones. */
function fileOf({ words, config }: Call): string {
  const [file] = words;
  if (file !== undefined && config !== undefined && file !== config) {
    throw new Failure(EXIT.usage, `check: two configs, ${file} and ${config}`, 'grebe check FILE');
  }
  return file ?? config ?? DEFAULT_CONFIG_FILE;
}

function print(file: string, { config, diagnostics }: LoadedConfig, { output }: Call): void {
  const shown = diagnostics.map((one) => formatDiagnostic(one, output.paintMessage)).join('');
  if (shown !== '') output.warn(shown.trimEnd());
  const counted = diagnostics.length === 0 ? '' : `, ${countDiagnostics(diagnostics)}`;
  if (config === undefined) {
    output.warn(`${file}: ${countDiagnostics(diagnostics)}`);
    return;
  }
  const count = config.tunnels.length;
  const tunnels = `${count} tunnel${count === 1 ? '' : 's'}`;
  output.print(`${file}: ${output.paint('green', 'ok')}, ${tunnels}${counted}`);
}

/** `code` to `hint` of each diagnostic are those of a language server; lines and columns begin at 1. */
function checkMessage(file: string, { config, diagnostics }: LoadedConfig): object {
  return {
    schema: 'grebe.check/1',
    file,
    ok: config !== undefined,
    tunnels: config?.tunnels.length ?? null,
    diagnostics: diagnostics.map(
      ({ code, severity, file, line, column, endLine, endColumn, message, hint }) => ({
        code,
        severity,
        file,
        line,
        column,
        endLine,
        endColumn,
        message,
        hint: hint ?? null,
      }),
    ),
  };
}
