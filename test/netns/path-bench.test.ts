import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PathRow, runPathBench } from '../../bench/path/path-bench.js';
import { builtinPaths } from '../../bench/path/paths.js';
import { formatPathBench } from '../../bench/path/print.js';
import { ip } from '../../src/demo/namespaces.js';
import { lacking } from '../support/lab.js';

for (const name of ['raw-simd', 'raw-socket']) {
  const missing = builtinPaths()
    .find((path) => path.name === name)
    ?.missing();
  test(`the path bench measures ${name} and leaves no namespace`, {
    skip: lacking() || (missing ?? false),
  }, async () => {
    const result = await runPathBench({ quick: true, rounds: 1, only: [name] });
    const [row] = result.rows;
    assert.ok(row);
    const figures: (keyof PathRow)[] = ['tcpGbits', 'udpSmallKpps', 'readyMs', 'rssMegabytes'];
    for (const figure of figures) assert.ok(medianOf(row[figure]) > 0, figure);
    assert.match(formatPathBench(result), new RegExp(`\\n${name} +\\d`));
    assert.doesNotMatch(ip('netns', 'list'), new RegExp(`grebe-path-\\S+-${process.pid}\\b`));
  });
}

function medianOf(value: PathRow[keyof PathRow]): number {
  return typeof value === 'object' ? value.median : 0;
}
