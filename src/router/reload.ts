// Reloads of a running router, one after the other.
//
//   reload            another config is taken, whole or not at all
//   reload, confirm   the same on trial: without a confirmation in time the config before it comes back, whatever else
//                     was changed meanwhile
//   undo              the config before the last reload comes back
//
// Requests to read the file again that come while one waits for its turn are one request.
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import { loadSettled } from '../config/settled.js';
import { EXIT, Failure } from '../sys/failure.js';
import type { Absent } from './absent.js';
import type { LastReload, ReloadControl, ReloadOptions, ReloadResult } from './contract.js';
import { type ConfigDiff, isNothing, takeLive } from './diff.js';

/** Told when a reload begins and when it is over. */
export interface ReloadHooks {
  readonly onBegin?: () => Promise<void>;
  /** `config`: what the router has now; `isSuccessful` false: as before. */
  readonly onEnd?: (config: Config, isSuccessful: boolean) => Promise<void>;
}

export interface ReloadsOptions extends ReloadHooks {
  readonly config: Config;
  readonly log: Logger;
  readonly diff: (before: Config, after: Config, absent?: Absent) => ConfigDiff;
  /** What devices lack of what `config` gives them; absent: nobody asks the kernel. */
  readonly readAbsent?: (config: Config) => Promise<Absent>;
  /** Makes the tunnels and the codec those of `after`, or throws a Failure with all as it was. */
  readonly apply: (
    before: Config,
    after: Config,
    diff: ConfigDiff,
    absent?: Absent,
  ) => Promise<void>;
}

interface Trial {
  readonly timer: NodeJS.Timeout;
  readonly untilMs: number;
  /** What comes back without a confirmation. */
  readonly before: Config;
}

export class Reloads implements ReloadControl {
  readonly #options: ReloadsOptions;
  /** What the router has: of [router] what it was started with, but for what a reload takes over. */
  #config: Config;
  #before: Config | undefined;
  #trial: Trial | undefined;
  #last: LastReload = { isSuccessful: true, successMs: Date.now() };
  /** Ends with the last request. */
  #queue: Promise<unknown> = Promise.resolve();
  /** A request to read the file that waits for its turn. */
  #waiting: Promise<ReloadResult> | undefined;
  #isClosed = false;

  constructor(options: ReloadsOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  get config(): Config {
    return this.#config;
  }

  get last(): LastReload {
    return this.#last;
  }

  diff(wanted: Config): ConfigDiff {
    return this.#options.diff(this.#config, wanted);
  }

  async wholeDiff(wanted: Config): Promise<ConfigDiff> {
    const { diff, readAbsent } = this.#options;
    const absent = await readAbsent?.(this.#config);
    return diff(this.#config, wanted, absent);
  }

  async load(): Promise<Config> {
    return (await loadSettled(this.#config.file)).config;
  }

  /** The same, with what is odd about the file in the log. */
  async #read(): Promise<Config> {
    const { file } = this.#config;
    const { config, diagnostics } = await loadSettled(file);
    for (const { code, line, column, message } of diagnostics) {
      this.#options.log.warn({ event: 'config', code }, `${file}:${line}:${column} ${message}`);
    }
    return config;
  }

  reload(
    wanted?: Config | ((running: Config) => Config),
    options: ReloadOptions = {},
  ): Promise<ReloadResult> {
    if (wanted !== undefined || options.confirmMs !== undefined) {
      const find = typeof wanted === 'function' ? wanted : () => wanted ?? this.#read();
      // A tunnel that cannot be added says nothing of the config file.
      const kind = typeof wanted === 'function' ? 'edit' : 'reload';
      return this.inTurn(() => this.#reload(() => find(this.#config), options, kind));
    }
    this.#waiting ??= this.inTurn(() => {
      this.#waiting = undefined;
      return this.#reload(() => this.#read(), options);
    });
    return this.#waiting;
  }

  get trialUntilMs(): number {
    if (this.#trial !== undefined) return this.#trial.untilMs;
    throw new Failure(
      EXIT.failed,
      'no reload waits for a confirmation',
      'grebe reload --confirm 60s begins one',
    );
  }

  confirm(): void {
    void this.trialUntilMs;
    this.#endTrial();
    this.#options.log.info({ event: 'reload-confirmed' }, 'the reload is confirmed');
  }

  undo(): Promise<ReloadResult> {
    return this.inTurn(() => {
      const before = this.#undone();
      return this.#reload(() => before, {}, 'undo');
    });
  }

  wouldUndo(): ConfigDiff {
    return this.diff(this.#undone());
  }

  /** What an undo brings back. */
  #undone(): Config {
    const before = this.#trial?.before ?? this.#before;
    if (before !== undefined) return before;
    throw new Failure(EXIT.failed, 'nothing was reloaded yet: there is nothing to undo');
  }

  /** Runs `work` behind all that was asked for before, whatever came of that. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(() => {
      if (this.#isClosed) throw new Failure(EXIT.unreachable, 'the router is stopping');
      return work();
    });
    this.#queue = done.catch(() => {});
    return done;
  }

  /** Nothing is begun any more. Resolves once what is under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endTrial();
    await this.#queue;
  }

  async #reload(
    find: () => Config | Promise<Config>,
    { confirmMs }: ReloadOptions,
    kind: 'reload' | 'edit' | 'undo' = 'reload',
  ): Promise<ReloadResult> {
    const isEdit = kind === 'edit';
    const { log, onBegin, onEnd } = this.#options;
    const before = this.#config;
    await onBegin?.();
    let isSuccessful = false;
    try {
      const wanted = await find();
      // A single tunnel, or an undo, says nothing of what somebody did to the devices.
      const absent = kind === 'reload' ? await this.#options.readAbsent?.(before) : undefined;
      const diff = this.#options.diff(before, wanted, absent);
      const after = { ...wanted, router: takeLive(before.router, wanted.router) };
      await this.#options.apply(before, after, diff, absent);
      isSuccessful = true;
      this.#config = after;
      if (!isEdit) this.#last = { isSuccessful, successMs: Date.now() };
      if (kind === 'undo') this.#endTrial();
      this.#follow(before, diff, confirmMs);
      return { diff, ...(this.#trial && { confirmUntilMs: this.#trial.untilMs }) };
    } catch (error) {
      if (!isEdit) this.#last = { ...this.#last, isSuccessful };
      const cause = error instanceof Error ? error.message : String(error);
      log[isEdit ? 'warn' : 'error'](
        { event: 'reload-failed' },
        `the config stays as it was: ${cause}`,
      );
      throw error;
    } finally {
      await onEnd?.(this.#config, isSuccessful);
    }
  }

  #follow(before: Config, diff: ConfigDiff, confirmMs: number | undefined): void {
    const { log } = this.#options;
    if (!isNothing(diff)) this.#before = before;
    const tunnels = diff.tunnels.length;
    log.info(
      { event: 'reloaded', tunnels },
      `reloaded: ${tunnels === 1 ? '1 tunnel differs' : `${tunnels} tunnels differ`}`,
    );
    for (const { key } of diff.restart) {
      log.warn({ event: 'restart-needed', key }, `${key} of [router] takes effect with a restart`);
    }
    // Nobody said yet that the way in is still there: what comes without a trial of its own is on trial, too.
    if (confirmMs === undefined) return;
    // Trials in a row all lead back to what was there before the first.
    const base = this.#trial?.before ?? before;
    this.#endTrial();
    const timer = setTimeout(() => void this.#giveUp(trial), confirmMs);
    timer.unref();
    const trial = { timer, untilMs: Date.now() + confirmMs, before: base };
    this.#trial = trial;
  }

  async #giveUp(trial: Trial): Promise<void> {
    const turn = this.inTurn(async () => {
      if (this.#trial !== trial) return; // confirmed while this waited for its turn
      const message = 'the reload was not confirmed in time: the config before it comes back';
      this.#options.log.warn({ event: 'reload-unconfirmed' }, message);
      this.#trial = undefined;
      await this.#reload(() => trial.before, {});
    });
    await turn.catch(() => {}); // logged, and shown by the metrics: nobody waits for this one
  }

  #endTrial(): void {
    clearTimeout(this.#trial?.timer);
    this.#trial = undefined;
  }
}
