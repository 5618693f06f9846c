// grebe schema: what a config may hold, for editors and other validators.

import { configJsonSchema } from '../../config/json-schema.js';
import { EXIT, type ExitCode } from '../../sys/failure.js';
import type { Call } from '../command.js';

export async function runSchema({ options, output }: Call): Promise<ExitCode> {
  const schema = configJsonSchema(options.draft === '4' ? '4' : '2020-12');
  output.print(JSON.stringify(schema, null, 2));
  return EXIT.ok;
}
