// The codec bench by itself.
//
//   node dist/bench/codec/main.js [--quick] [-j] [--build NAME|PATH]...
import { parseArgs } from 'node:util';
import { Failure } from '../../src/sys/failure.js';
import { runCodecBench } from './codec-bench.js';
import { formatCodecBench } from './print.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', short: 'j', default: false },
    build: { type: 'string', multiple: true },
  },
});

try {
  const result = await runCodecBench({
    quick: values.quick,
    onStep: (text) => process.stderr.write(`${text}\n`),
    ...(values.build === undefined ? {} : { builds: values.build }),
  });
  console.log(values.json ? JSON.stringify(result) : formatCodecBench(result));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`codec bench: ${error.message}${error.hint ? `\n  ${error.hint}` : ''}`);
  process.exitCode = error.exitCode;
}
