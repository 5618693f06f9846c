// What a service manager is told while the router runs (sd_notify(3), sd_watchdog_enabled(3)).
//
//   1. READY=1       once everything is up
//   2. STATUS=       how many tunnels are up, whenever that changes
//   3. RELOADING=1   while a reload is under way; READY=1 ends it
//   4. WATCHDOG=1    twice in every interval, but only while every lane answers: a lane that is stuck moves no packet,
//                    and the manager is to restart what cannot help itself
//   5. STOPPING=1
//
// Without a manager nothing of it happens. A manager that cannot be reached is said once, and the router runs on.
import type { Logger } from 'pino';
import type { Router, RouterStatus } from '../router/contract.js';
import { notify } from '../sys/notify.js';

/** A lane that was late once is asked again soon: the manager does not wait for another half of its interval. */
const RETRY_MS = 1000;

export interface ServiceOptions {
  readonly router: Pick<Router, 'lanesAnswering'>;
  readonly log: Logger;
  readonly environment?: NodeJS.ProcessEnv;
  /** Tells the manager; default sd_notify. */
  readonly tell?: (state: string) => Promise<unknown>;
}

export class Service {
  readonly #router: ServiceOptions['router'];
  readonly #log: Logger;
  readonly #send: (state: string) => Promise<unknown>;
  readonly #intervalMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #status = '';
  #reloadFault = '';
  #isUnreachable = false;
  #isStuck = false;

  constructor({ router, log, environment = process.env, tell = notify }: ServiceOptions) {
    this.#router = router;
    this.#log = log;
    this.#send = tell;
    this.#intervalMs = watchdogInterval(environment);
  }

  /** Everything is up: `status` is the first text, and the watchdog is fed from here on. */
  async ready(status: string): Promise<void> {
    this.#status = status;
    await this.#tell(`READY=1\nSTATUS=${status}`);
    this.#feedLater();
  }

  /** Shows how many tunnels are up, where that has changed. */
  async show(status: RouterStatus): Promise<void> {
    const text = `${statusText(status)}${this.#reloadFault}`;
    if (text === this.#status) return;
    this.#status = text;
    await this.#tell(`STATUS=${text}`);
  }

  async reloading(): Promise<void> {
    // CLOCK_MONOTONIC in microseconds, by which the manager tells one reload from another (sd_notify(3)).
    await this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** A reload is over: `status` is the text, until the next look at the tunnels has another. */
  async reloaded(status: string, isSuccessful: boolean): Promise<void> {
    this.#reloadFault = isSuccessful ? '' : '; the last reload failed';
    this.#status = `${status}${this.#reloadFault}`;
    await this.#tell(`READY=1\nSTATUS=${this.#status}`);
  }

  async stopping(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#tell('STOPPING=1');
  }

  #feedLater(limitMs = Number.POSITIVE_INFINITY): void {
    if (this.#intervalMs === undefined) return;
    this.#timer = setTimeout(() => void this.#feed(), Math.min(limitMs, this.#intervalMs));
  }

  async #feed(): Promise<void> {
    const started = this.#timer;
    const stuck = (await this.#router.lanesAnswering()).flatMap((isAnswering, lane) =>
      isAnswering ? [] : [lane],
    );
    if (this.#timer !== started) return; // stopped meanwhile
    const isStuck = stuck.length > 0;
    if (!isStuck) await this.#tell('WATCHDOG=1');
    this.#sayStuck(stuck);
    if (this.#timer === started) this.#feedLater(isStuck ? RETRY_MS : undefined);
  }

  #sayStuck(lanes: readonly number[]): void {
    const isStuck = lanes.length > 0;
    if (isStuck === this.#isStuck) return;
    this.#isStuck = isStuck;
    if (!isStuck) {
      this.#log.info({ event: 'lane-answers' }, 'all lanes answer again');
      return;
    }
    const which = `lane${lanes.length === 1 ? '' : 's'} ${lanes.join(', ')}`;
    this.#log.error(
      { event: 'lane-stuck', lanes },
      `${which} did not answer within a second: while that lasts the watchdog is not fed, and the service manager restarts the router`,
    );
  }

  async #tell(state: string): Promise<void> {
    try {
      await this.#send(state);
      this.#isUnreachable = false;
    } catch (error) {
      if (!this.#isUnreachable) {
        this.#log.warn({ event: 'notify' }, error instanceof Error ? error.message : String(error));
      }
      this.#isUnreachable = true;
    }
  }
}

/** ms between two feedings, half of what the manager waits; undefined: it waits for nothing of this process. */
function watchdogInterval({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  const microseconds = Number(WATCHDOG_USEC);
  const isOurs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
  if (!isOurs || !Number.isFinite(microseconds) || microseconds <= 0) return undefined;
  return Math.max(1, Math.floor(microseconds / 2000));
}

/** `3/4 tunnels up`, or with all of them `4 tunnels up`. */
export function statusText({ tunnels }: Pick<RouterStatus, 'tunnels'>): string {
  const up = tunnels.filter(({ state }) => state === 'up').length;
  const all = `${tunnels.length} tunnel${tunnels.length === 1 ? '' : 's'} up`;
  return up === tunnels.length ? all : `${up}/${all}`;
}
