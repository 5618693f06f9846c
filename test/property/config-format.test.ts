// A config that is written out and read again is the same config; what words of `ip tunnel` say of a tunnel makes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatConfig } from '../../src/config/format.js';
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

test('a label for each flow has a word, where there are labels and all need not stay in order', () => {
  assert.ok(EMPTY);
  const ends = ['remote', '2001:db8::2', 'local', '2001:db8::1'];
  const add = (...words: string[]) =>
    editTunnels(EMPTY, { verb: 'add', name: 'new', words }).config;
  for (const mode of ['ip6gre', 'gre-udp']) {
    const added = add('mode', mode, ...ends, 'flowlabel', 'flow').tunnels[1];
    assert.equal(added?.flowLabel, 'flow', mode);
    assert.match(tunnelWords(added).join(' '), / flowlabel flow( |$)/);
  }
  assert.throws(() => add('mode', 'gre', 'remote', '192.0.2.2', 'flowlabel', 'flow'), /over IPv4/);
  assert.throws(() => add('mode', 'ip6gre', ...ends, 'flowlabel', 'flow', 'seq'), /overtaken/);
  assert.throws(() => add('mode', 'ip6gre', ...ends, 'flowlabel', 'flows'), /"flows"/);
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
