// A config file that is written anew: whole at every moment, with its owner's rights, and its comments.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { editTable } from '../../src/config/edit.js';
import { rewriteFile } from '../../src/config/save.js';
import { Failure } from '../../src/sys/failure.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-save-'));
after(() => rmSync(folder, { recursive: true }));

const TEXT = `# all of ours
[tunnel.a] # the first
mode = "gre" # plain
# who
remote = "192.0.2.2"
allow = ["any"]
routes = [
  "10.1.0.0/16", # one
]

[tunnel.b]
mode = "ipip"
remote = "192.0.2.3"
allow = ["any"]
`;

const whole = new Map([
  ['mode', '"gre"'],
  ['remote', '"192.0.2.9"'],
  ['key', '7'],
  ['allow', '["any"]'],
]);

test('values change where they stand, keys come behind the last, and go with their line', () => {
  const keys = new Map([
    ['remote', '"192.0.2.9"'],
    ['key', '7'],
    ['routes', undefined],
  ]);
  const edited = editTable(TEXT, 'f', { name: 'a', keys, whole });
  assert.equal(
    edited,
    TEXT.replace('192.0.2.2', '192.0.2.9').replace(/routes[^\]]*\]\n/, 'key = 7\n'),
  );
  const crlf = TEXT.replaceAll('\n', '\r\n');
  assert.equal(
    editTable(`\ufeff${crlf}`, 'f', { name: 'a', keys, whole }),
    `\ufeff${edited.replaceAll('\n', '\r\n')}`,
  );
});

test('a tunnel that the file does not have is put behind the others; one that goes takes its table', () => {
  const added = editTable(TEXT, 'f', { name: 'x.y', keys: whole, whole });
  assert.ok(added.startsWith(TEXT));
  assert.match(added.slice(TEXT.length), /^\n\[tunnel\."x\.y"\]\nmode = "gre"\n/);
  assert.equal(editTable(added, 'f', { name: 'x.y', keys: null, whole }), `${TEXT}\n`);
  const gone = editTable(TEXT, 'f', { name: 'a', keys: null, whole });
  assert.equal(gone, `# all of ours\n\n${TEXT.slice(TEXT.indexOf('[tunnel.b]'))}`);
  assert.equal(editTable(TEXT, 'f', { name: 'z', keys: null, whole }), TEXT);
});

test('a table in another form is not touched, and the failure says what to do', () => {
  const keys = new Map([['key', '7']]);
  for (const text of [
    'tunnel.a = { mode = "gre", remote = "192.0.2.9", allow = ["any"] }\n',
    '[tunnel]\na.mode = "gre"\na.remote = "192.0.2.9"\na.allow = ["any"]\n',
    '[tunnel.a]\nmode = "gre"\nremote = "192.0.2.9"\nallow = ["any"]\n[tunnel.a.key]\nin = 5\n',
    '[tunnel.a]\nmode = "grr"\n',
  ]) {
    assert.throws(
      () => editTable(text, 'f', { name: 'a', keys, whole }),
      (error) => error instanceof Failure && /cannot be saved in f/.test(error.message),
      text,
    );
  }
});

test('the file keeps its rights and its link, and what a killed writer left is no hindrance', () => {
  const file = join(folder, 'own.toml');
  const link = join(folder, 'link.toml');
  writeFileSync(file, 'old\n');
  chmodSync(file, 0o640);
  symlinkSync(file, link);
  writeFileSync(`${file}.grebe-new`, 'half');
  rewriteFile(link, (text) => `${text}new\n`);
  assert.equal(readFileSync(file, 'utf8'), 'old\nnew\n');
  assert.equal(statSync(file).mode & 0o7777, 0o640);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(existsSync(`${file}.grebe-new`), false);
});

test('when it cannot be written, or somebody else writes it, the file stays and no copy is left', () => {
  const file = join(folder, 'busy.toml');
  writeFileSync(file, 'old\n');
  const throwing = () =>
    rewriteFile(file, (text) => {
      writeFileSync(file, 'theirs\n');
      return `${text}new\n`;
    });
  assert.throws(throwing, /somebody else is writing it/);
  assert.equal(readFileSync(file, 'utf8'), 'theirs\n');
  assert.equal(existsSync(`${file}.grebe-new`), false);
  assert.throws(() => rewriteFile(join(folder, 'none', 'x'), () => 'y'), /is not written/);
});
