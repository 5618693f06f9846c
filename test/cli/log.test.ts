import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logSettings } from '../../src/cli/log.js';

test('-q is never louder than the config, and -v never quieter', () => {
  const at = (level: Parameters<typeof logSettings>[0]['level']) => {
    const log = { level, format: 'json' } as const;
    const verbosities = ['quiet', 'normal', 'verbose'] as const;
    return verbosities.map((verbosity) => logSettings(log, verbosity).level);
  };
  assert.deepEqual(at('fatal'), ['fatal', 'fatal', 'debug']);
  assert.deepEqual(at('error'), ['error', 'error', 'debug']);
  assert.deepEqual(at('warn'), ['warn', 'warn', 'debug']);
  assert.deepEqual(at('info'), ['warn', 'info', 'debug']);
  assert.deepEqual(at('debug'), ['warn', 'debug', 'debug']);
  assert.deepEqual(at('trace'), ['warn', 'trace', 'trace']);
  assert.equal(logSettings({ level: 'info', format: 'json' }, 'quiet').format, 'json');
});
