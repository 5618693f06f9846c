// A terminal that a test can read: tmux is one, and tells what is on its screen.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM } from '../cli/grebe.js';
import { eventually } from './lab.js';

/** Why there is no such terminal here, or false: what the `skip` option of a test takes. */
export const withoutTerminal: string | false =
  spawnSync('tmux', ['-V']).error === undefined ? false : 'needs tmux (apt-get install tmux)';

export class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'grebe-terminal-'));

  /** Starts a shell in it, which says `# ` when it waits. `env`: further variables. */
  constructor(columns: number, rows: number, env: readonly string[] = []) {
    const size = ['-x', String(columns), '-y', String(rows)];
    const shell = ['env', 'PS1=# ', 'ENV=', ...env, 'sh'];
    this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, ...shell);
  }

  /** Types a line of grebe. */
  grebe(...words: readonly string[]): void {
    this.type([process.execPath, PROGRAM, ...words].join(' '));
    this.press('Enter');
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', text);
  }

  /** Presses keys by their names in tmux: `Enter`, `Up`, `j`, `C-c`. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** What is on the screen, as text; `escapes`: with its colors. */
  screen(escapes = false): string {
    return this.#tmux('capture-pane', '-p', ...(escapes ? ['-e'] : []));
  }

  /** A word about the terminal, such as `alternate_on`. */
  tell(what: string): string {
    return this.#tmux('display-message', '-p', `#{${what}}`).trim();
  }

  /** Waits until the screen is like `pattern`, and returns it. Throws with the screen when it never is. */
  async shows(pattern: RegExp): Promise<string> {
    const isShown = await eventually(() => pattern.test(this.screen()), 10_000);
    const screen = this.screen();
    if (isShown) return screen;
    throw new Error(`the screen never shows ${pattern}:\n${screen}`);
  }

  close(): void {
    this.#tmux('kill-server');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #tmux(...words: string[]): string {
    const all = ['-S', join(this.#folder, 'tmux'), ...words];
    const { NO_COLOR: _, ...env } = process.env;
    return spawnSync('tmux', all, { encoding: 'utf8', env: { ...env, LC_ALL: 'C.UTF-8' } }).stdout;
  }
}
