// A config that is written out and read again is the same config; what words of `ip tunnel` say of a tunnel makes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatConfig } from '../../src/config/format.js';
import { parseConfig } from '../../src/config/load.js';
import { editTunnels } from '../../src/import/edit.js';
import { tunnelWords } from '../../src/import/words.js';
import { configOf, plainTunnel, tunnelLines } from '../support/config-lines.js';

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
    fc.property(plainTunnel, (tunnel) => {
      const [name = '', ...words] = tunnelWords(tunnel);
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
