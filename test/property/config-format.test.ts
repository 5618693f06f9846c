// A config that is written out and read again is the same config; what words of `ip tunnel` say of a tunnel makes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editTable } from '../../src/config/edit.js';
import { formatConfig, tunnelValues } from '../../src/config/format.js';
import { parseConfig } from '../../src/config/load.js';
import { editTunnels } from '../../src/import/edit.js';
import { takeName, tunnelWords } from '../../src/import/words.js';
import { configOf, plainTunnel, tunnelLines } from '../support/config-lines.js';

/** Some of them are words of a tunnel themselves. */
const NAME = fc.constantFrom('t', 'gre1', 're', 'key', 'mode', 'name', 'csum', 'remote');
const EMPTY = configOf('x', 'mode = "gre"\nremote = "any"\nkey = 77\nallow = ["any"]');

test('what a config is written as is read as the same config', () => {
  fc.assert(
    fc.property(tunnelLines, (lines) => {
      const config = configOf('t', lines);
      assert.ok(config);
      const text = formatConfig(config);
      const again = parseConfig(Buffer.from(text), config.file);
      assert.deepEqual(again.config, config, text);
    }),
    { numRuns: 1000 },
  );
});

test('what tunnel show prints, tunnel add takes, and makes the same tunnel of it', () => {
  assert.ok(EMPTY);
  fc.assert(
    fc.property(plainTunnel, NAME, (plain, called) => {
      const tunnel = { ...plain, name: called };
      const { name = '', rest: words = [] } = takeName(tunnelWords(tunnel)) ?? {};
      assert.equal(name, called);
      const { config, notes } = editTunnels(EMPTY, { verb: 'add', name, words });
      assert.deepEqual(config.tunnels[1], tunnel, words.join(' '));
      assert.deepEqual(notes, []);
      // And once more on top of itself, where it changes nothing.
      const again = editTunnels(config, { verb: 'change', name, words });
      assert.deepEqual(again.config, config, words.join(' '));
    }),
    { numRuns: 1000 },
  );
});

test('the name of a tunnel may stand anywhere among its words, as ip tunnel has it', () => {
  const words = ['mode gre', 'remote 192.0.2.2', 'local any', 'csum', 'nopmtudisc', 'ttl inherit'];
  const named = fc.tuple(
    fc.constantFrom('gre1', 'lan', 'wan0'),
    fc.shuffledSubarray(words),
    fc.nat(words.length),
    fc.boolean(),
  );
  fc.assert(
    fc.property(named, ([name, some, at, isMarked]) => {
      const rest = some.flatMap((one) => one.split(' '));
      const parts = some.toSpliced(at, 0, isMarked ? `name ${name}` : name);
      assert.deepEqual(takeName(parts.flatMap((one) => one.split(' '))), { name, rest });
    }),
  );
  assert.deepEqual(takeName(['key']), { name: 'key', rest: [] });
  assert.equal(takeName(['mode', 'gre', 'key', '5']), undefined);
  assert.equal(takeName([]), undefined);
});

test('a table is changed in its file to what is wanted, and every comment stays', () => {
  let changed = 0;
  fc.assert(
    fc.property(tunnelLines, tunnelLines, (lines, others) => {
      const [before, after] = [configOf('t', lines)?.tunnels[0], configOf('t', others)?.tunnels[0]];
      assert.ok(before && after);
      const commented = lines.split('\n').map((line, n) => `# above ${n}\n${line} # beside`);
      const text = `# first\n[tunnel.t] # t\n${commented.join('\n')}\n\n# last\n[tunnel.u]\nmode = "gre"\nremote = "any"\nkey = 99\nallow = ["any"]\n`;
      if (parseConfig(Buffer.from(text), 'f').config === undefined) return; // they contradict
      const [was, whole] = [tunnelValues(before), tunnelValues(after)];
      const keys = new Map(
        [...new Set([...was.keys(), ...whole.keys()])]
          .filter((key) => was.get(key) !== whole.get(key))
          .map((key) => [key, whole.get(key)]),
      );
      let edited = '';
      try {
        edited = editTable(text, 'f', { name: 't', keys, whole });
      } catch {
        return; // a key that is left out means something else beside the others
      }
      const [tunnel] = parseConfig(Buffer.from(edited), 'f').config?.tunnels ?? [];
      const values = tunnel && tunnelValues(tunnel);
      for (const [key, value] of keys) assert.equal(values?.get(key), value, edited);
      changed++;
      for (const comment of [
        '# first',
        '# t',
        '# last',
        ...commented.map((_, n) => `# above ${n}\n`),
      ]) {
        assert.ok(edited.includes(comment), comment);
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(changed > 250, `${changed} of 500 were changed`);
});
