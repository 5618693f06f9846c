// A config file that is written anew: whole at every moment, with its owner's rights, and its comments.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { editTunnel } from '../../src/config/edit.js';
import { rewriteFile } from '../../src/config/save.js';
import { Failure } from '../../src/sys/failure.js';

const run = (command: string, ...args: string[]): void => void execFileSync(command, args);
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

const values = new Map([
  ['mode', '"gre"'],
  ['remote', '"192.0.2.9"'],
  ['key', '7'],
  ['allow', '["any"]'],
]);

test('values change where they stand, keys come behind the last, and go but for their comments', () => {
  const keys = new Map([
    ['remote', '"192.0.2.9"'],
    ['key', '7'],
    ['routes', undefined],
  ]);
  const edit = { kind: 'change', name: 'a', keys, values } as const;
  const edited = editTunnel(TEXT, 'f', edit);
  const wanted = TEXT.replace('192.0.2.2', '192.0.2.9');
  assert.equal(edited, wanted.replace(/routes[^\]]*\]\n/, '# one\nkey = 7\n'));
  const crlf = TEXT.replaceAll('\n', '\r\n');
  assert.equal(editTunnel(`\ufeff${crlf}`, 'f', edit), `\ufeff${edited.replaceAll('\n', '\r\n')}`);
});

test('a tunnel that the file does not have is put behind the others; one that goes takes its table', () => {
  const added = editTunnel(TEXT, 'f', { kind: 'set', name: 'x.y', values });
  assert.ok(added.startsWith(TEXT));
  assert.match(added.slice(TEXT.length), /^\n\[tunnel\."x\.y"\]\nmode = "gre"\n/);
  assert.equal(editTunnel(added, 'f', { kind: 'remove', name: 'x.y' }), `${TEXT}\n`);
  const gone = editTunnel(TEXT, 'f', { kind: 'remove', name: 'a' });
  assert.equal(gone, `# all of ours\n\n${TEXT.slice(TEXT.indexOf('[tunnel.b]'))}`);
  assert.equal(editTunnel(TEXT, 'f', { kind: 'remove', name: 'z' }), TEXT);
  assert.match(editTunnel('', 'f', { kind: 'set', name: 'a', values }), /^\[tunnel\.a\]\n/);
});

test('inline tables, dotted keys and headings of keys are changed in their form', () => {
  const keys = new Map([
    ['key', '7'],
    ['ttl', undefined],
  ]);
  for (const [text, edited] of [
    [
      'tunnel.a = { mode = "gre", ttl = 9 , remote="192.0.2.9", allow = ["any"] } # a\n',
      'tunnel.a = { mode = "gre" , remote="192.0.2.9", allow = ["any"], key = 7 } # a\n',
    ],
    [
      'tunnel={a={ttl=3,mode="gre",remote="192.0.2.9",allow=[ # any\n"any"]}, b = { mode = "ipip", remote = "192.0.2.3", allow = ["any"] }}',
      'tunnel={a={mode="gre",remote="192.0.2.9",allow=[ # any\n"any"], key = 7}, b = { mode = "ipip", remote = "192.0.2.3", allow = ["any"] }}',
    ],
    [
      '[tunnel]\n  a.mode = "gre" # m\n  a.ttl = 9 # hops\n  a."key".in = 5 # ours\n  a.key.out = 6 # theirs\n  a.remote = "192.0.2.9"\n  a.allow = ["any"]',
      '[tunnel]\n  a.mode = "gre" # m\n  # hops\n  a."key" = 7 # ours\n  # theirs\n  a.remote = "192.0.2.9"\n  a.allow = ["any"]',
    ],
    [
      'tunnel.a.mode = "gre"\ntunnel.a.remote = "192.0.2.9"\ntunnel . a.allow = ["any"]\n# end',
      'tunnel.a.mode = "gre"\ntunnel.a.remote = "192.0.2.9"\ntunnel . a.allow = ["any"]\ntunnel . a.key = 7\n# end',
    ],
    [
      '[tunnel.a]\nmode = "gre"\nremote = "192.0.2.9"\nallow = ["any"]\n[tunnel.a.key] # keys\nin = 5\n# end\n',
      '[tunnel.a]\nmode = "gre"\nremote = "192.0.2.9"\nallow = ["any"]\nkey = 7\n# keys\n# end\n',
    ],
  ] as const) {
    assert.equal(editTunnel(text, 'f', { kind: 'change', name: 'a', keys, values }), edited);
  }
});

test('a tunnel comes into the braces that hold all of them, and goes from there', () => {
  const one = 'tunnel = { a = { mode = "gre", remote = "192.0.2.9", allow = ["any"] } }\n';
  const b = '"b.c" = { mode = "gre", remote = "192.0.2.9", key = 7, allow = ["any"] }';
  const added = editTunnel(one, 'f', { kind: 'set', name: 'b.c', values });
  assert.equal(added, one.replace(' }\n', `, ${b} }\n`));
  assert.equal(editTunnel(added, 'f', { kind: 'remove', name: 'a' }), `tunnel = { ${b} }\n`);
  assert.equal(editTunnel(one, 'f', { kind: 'remove', name: 'a' }), 'tunnel = {}\n');
  const first = editTunnel('tunnel = {}', 'f', { kind: 'set', name: 'b.c', values });
  assert.equal(first, `tunnel = { ${b} }`);
});

test('a key that is written with its default, which others would change, goes when it must', () => {
  const text =
    '[tunnel.a]\nmode = "gre"\nremote = "192.0.2.2"\nroutes = ["10.1.0.0/16"]\ncsum = false\nallow = ["10.1.0.0/16"] # in\n';
  const ipip = new Map([
    ['mode', '"ipip"'],
    ['remote', '"192.0.2.2"'],
    ['routes', '["10.2.0.0/16"]'],
  ]);
  const edited = editTunnel(text, 'f', { kind: 'set', name: 'a', values: ipip });
  assert.equal(
    edited,
    '[tunnel.a]\nmode = "ipip"\nremote = "192.0.2.2"\nroutes = ["10.2.0.0/16"]\n# in\n',
  );
});

test('a file with errors is not touched, and the failure says what to do', () => {
  for (const text of ['[tunnel.a]\nmode = "grr"\n', 'tunnel = { a = {\n', '[[tunnel]]\n']) {
    assert.throws(
      () => editTunnel(text, 'f', { kind: 'set', name: 'a', values }),
      (error) =>
        error instanceof Failure &&
        error.message === 'tunnel a cannot be saved in f: the file has errors' &&
        error.hint === 'see them: grebe check f',
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

test('bytes that are no UTF-8 stay as they are: the file is not written', () => {
  const file = join(folder, 'latin.toml');
  const bytes = Buffer.concat([
    Buffer.from(`${TEXT}# gr`),
    Buffer.from([0xfc]),
    Buffer.from('n\n'),
  ]);
  writeFileSync(file, bytes);
  assert.throws(() => rewriteFile(file, (text) => `${text}more\n`), /it is not UTF-8/);
  assert.deepEqual(readFileSync(file), bytes);
});

const root = { skip: process.getuid?.() === 0 ? false : 'root is needed to mount a disk' };

test('on a full disk the old file stays, whole, and the failure says so', root, () => {
  const disk = mkdtempSync(join(tmpdir(), 'grebe-full-'));
  run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'grebe-test', disk);
  try {
    const file = join(disk, 'grebe.toml');
    writeFileSync(file, TEXT);
    const full = openSync(join(disk, 'full'), 'w');
    assert.throws(() => writeFileSync(full, Buffer.alloc(1 << 20)), /ENOSPC/);
    closeSync(full);
    assert.throws(
      () => rewriteFile(file, (text) => `${text}# more\n`),
      (error) =>
        error instanceof Failure && /grebe\.toml is not written: .*ENOSPC/.test(error.message),
    );
    assert.equal(readFileSync(file, 'utf8'), TEXT);
    assert.deepEqual(readdirSync(disk).sort(), ['full', 'grebe.toml']);
    rmSync(join(disk, 'full'));
    rewriteFile(file, (text) => `${text}# more\n`);
    assert.equal(readFileSync(file, 'utf8'), `${TEXT}# more\n`);
  } finally {
    run('umount', disk);
    rmSync(disk, { recursive: true });
  }
});
