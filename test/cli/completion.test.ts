// Completions and the man page have what the command table has, and shells take them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/cli/commands.js';
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/cli/completion.js';
import { EXIT_CODES } from '../../src/cli/exit-codes.js';
import { GLOBAL_OPTIONS } from '../../src/cli/global-options.js';
import { manPage } from '../../src/cli/man.js';
import { grebe } from './grebe.js';

const folder = mkdtempSync(join(tmpdir(), 'grebe-completion-'));
after(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'grebe.toml'), '');
writeFileSync(join(folder, 'two words.toml'), '');

const SCRIPTS = { bash: bashCompletion(), zsh: zshCompletion(), fish: fishCompletion() };
for (const [shell, script] of Object.entries(SCRIPTS)) writeFileSync(join(folder, shell), script);

/** Why a program's tests cannot run here, or false. */
function missing(program: string): string | false {
  return spawnSync(program, ['--version']).error === undefined
    ? false
    : `${program} is not installed`;
}

/** Runs a script in a shell that reads none of the user's files. */
function run(shell: string, options: readonly string[], script: string): string {
  const { stdout, stderr, status } = spawnSync(shell, [...options, '-c', script], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return stdout;
}

/** What a shell must offer behind words; the last is the one that is completed. */
const CASES: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [['che'], ['check']],
  [['c'], ['check', 'confirm', 'codec', 'completion']],
  [['check', 'g'], ['grebe.toml']],
  [['check', '--config', 'g'], ['grebe.toml']],
  [['check', 'two'], ['two words.toml']],
  [
    ['--color', ''],
    ['auto', 'always', 'never'],
  ],
  [
    ['codec', ''],
    ['list', 'use', 'verify'],
  ],
  [['-j', 'codec', 'v'], ['verify']],
  [
    ['--config', 'x.toml', 'bench', ''],
    ['codec', 'path', 'all'],
  ],
  [['completion', 'b'], ['bash']],
  [['import', 'a', 'g'], ['grebe.toml']],
  [['schema', '--draft', '2'], ['2020-12']],
  [
    ['demo', '--qui'],
    ['--quick', '--quiet'],
  ],
];

test('bash completes commands, options, words and files', () => {
  for (const [words, offered] of CASES) {
    const typed = ['grebe', ...words].map((word) => `'${word}'`).join(' ');
    const script = `source ./bash; COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _grebe
      ((\${#COMPREPLY[@]})) && printf '%s\\n' "\${COMPREPLY[@]}"`;
    const found = run('bash', ['--norc', '--noprofile'], script).trimEnd().split('\n');
    assert.deepEqual(found.sort(), [...offered].sort(), words.join(' '));
  }
  assert.equal(
    run('bash', ['--norc'], 'source ./bash; complete -p grebe'),
    'complete -F _grebe grebe\n',
  );
});

test('fish completes commands, options, words and files', { skip: missing('fish') }, () => {
  for (const [words, offered] of CASES) {
    const line = `grebe ${words
      .map((word) => word || "''")
      .join(' ')
      .replace(/''$/, '')}`;
    const script = `source ./fish; complete -C ${JSON.stringify(line)}`;
    const lines = run('fish', ['--no-config'], script).trimEnd().split('\n');
    const found = lines.map((one) => (one.split('\t')[0] ?? '').replaceAll('\\', ''));
    for (const word of offered) assert.ok(found.includes(word), `${line}: ${found.join(', ')}`);
  }
});

test('zsh completes commands, options, words and files', { skip: missing('zsh') }, () => {
  // A shell in a terminal of its own, as a user has it: Tab is pressed, and the line is printed.
  const session = (keys: string): string => `
    zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z "PS1= ; unsetopt beep; cd ${folder}; fpath=(${folder} \\$fpath); autoload -Uz compinit; compinit -u -D; source ./zsh"
    zpty -w z 'show() { print -r -- "<<$BUFFER>>"; BUFFER= }; zle -N show; bindkey "^X" show; print -r ready-\${:-now}'
    zpty -r -m z line '*ready-now*'
    zpty -w -n z $'${keys}\\t\\x18'
    zpty -r -m z line '*<<*>>*'
    print -r -- $line
    zpty -d z`;
  const cases = [
    ['grebe che', 'grebe check '],
    ['grebe check g', 'grebe check grebe.toml '],
    ['grebe codec ver', 'grebe codec verify '],
    ['grebe --color al', 'grebe --color always '],
    ['grebe --config x.toml bench pa', 'grebe --config x.toml bench path '],
    ['grebe demo --quic', 'grebe demo --quick '],
  ];
  for (const [keys = '', completed] of cases) {
    const shown = /<<(.*)>>/.exec(run('zsh', ['-f'], session(keys)))?.[1];
    assert.equal(shown, completed);
  }
});

test('every command and option is in every completion and in the man page', () => {
  const man = readFileSync(fileURLToPath(new URL('../../man/grebe.1', import.meta.url)), 'utf8');
  const version = /^\.TH GREBE 1 "" "grebe (.+?)"/m.exec(man)?.[1] ?? '';
  assert.equal(man, manPage(version), 'npm run build writes it anew');
  const texts = { ...SCRIPTS, man: man.replaceAll('\\-', '-') };
  for (const [name, text] of Object.entries(texts)) {
    for (const command of COMMANDS) {
      assert.match(text, new RegExp(`\\b${command.name}\\b`), `${name}: ${command.name}`);
      for (const option of [...command.options, ...GLOBAL_OPTIONS]) {
        const written = name === 'fish' ? `-l ${option.name}` : `--${option.name}`;
        assert.ok(text.includes(written), `${name}: ${option.name}`);
      }
    }
  }
  for (const [code, meaning] of EXIT_CODES) assert.ok(man.includes(`.B ${code}\n${meaning}`));
});

test('man has nothing against the man page', { skip: missing('man') }, () => {
  const page = fileURLToPath(new URL('../../man/grebe.1', import.meta.url));
  const { stdout, stderr } = spawnSync('man', ['--warnings', '-l', page], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '100', MANPAGER: 'cat', LC_ALL: 'C.UTF-8' },
  });
  assert.equal(stderr, '');
  assert.match(stdout, /grebe import \[LINES \.\.\.\] \[--from-kernel\]/);
  assert.match(stdout, /69\s+router not reachable/);
});

test('completion prints the script of one shell, and 64 for none', async () => {
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const { code, stdout } = await grebe(['completion', shell]);
    assert.deepEqual([code, stdout], [0, SCRIPTS[shell]]);
  }
  const wrong = await grebe(['completion', 'bsh']);
  assert.equal(wrong.code, 64);
  assert.match(wrong.stderr, /did you mean "bash"\?/);
  assert.equal((await grebe(['completion'])).code, 64);
});

test('schema prints JSON of either draft', async () => {
  for (const [words, schema] of [
    [[], 'https://json-schema.org/draft/2020-12/schema'],
    [['--draft', '4'], 'http://json-schema.org/draft-04/schema#'],
  ] as const) {
    const { code, stdout } = await grebe(['schema', ...words]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).$schema, schema);
  }
  assert.equal((await grebe(['schema', '--draft', '7'])).code, 64);
});
