// Whether the peers are there: asks them, and lets the tunnels' devices know.
//
//   1. ask       every interval a lane sends the question: a keepalive, or a probe
//   2. step      at the next one, whether it was answered makes the peer up or down (peer-state.ts)
//   3. follow    the device's carrier, what the lanes send, and the log follow
//
// A tunnel is up as long as all that is asked about it is answered. No packet but the questions and their answers
// comes by here.
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Keepalive, TunnelConfig } from '../config/config.js';
import type { Board, Means } from '../lane/board.js';
import type { Tunnel } from '../packet/tunnel.js';
import type { PeerLiveness } from './contract.js';
import type { Fleet, Member } from './fleet.js';
import { LimitedLog } from './limited-log.js';
import { PeerState } from './peer-state.js';
import { keepalivePacket, probePacket } from './questions.js';

export interface LivenessOptions {
  readonly fleet: Fleet;
  /** What the tunnel of `record` is by now: a host name may stand for another address. */
  readonly current: (record: number) => Tunnel | undefined;
  readonly board: Board;
  /** Sends an inner packet into the tunnel of `record`. */
  readonly emit: (record: number, packet: Uint8Array) => void;
  /** Sets the carrier of the device of `record`. */
  readonly setCarrier: (record: number, isUp: boolean) => void;
  /** Told when a tunnel goes down, before anything is done about it. */
  readonly onDown?: (name: string) => void;
  readonly log: Logger;
}

/** One thing that is asked about one tunnel. */
interface Watch {
  readonly tunnel: Tunnel;
  readonly record: number;
  readonly means: Means;
  readonly every: Keepalive;
  /** Bytes of each probe, as far as they were asked for. */
  readonly size: number | undefined;
  readonly state: PeerState;
  /** How often it became another. */
  changes: number;
  /** Number of the newest question that was answered when last looked. */
  heard: number;
  timer: NodeJS.Timeout | undefined;
}

export class Liveness {
  readonly #options: LivenessOptions;
  readonly #byRecord = new Map<number, readonly Watch[]>();
  #isRunning = false;
  readonly #voice: LimitedLog;

  constructor(options: LivenessOptions) {
    this.#options = options;
    const summary = (left: number) => `${left} tunnels more went up or down: grebe status`;
    this.#voice = new LimitedLog({ log: options.log, event: 'tunnels', summary });
    for (const member of options.fleet) this.#add(member);
  }

  #add({ config, tunnel, record }: Member): readonly Watch[] {
    const watches = watchesOf(config, tunnel, record);
    if (watches.length > 0) this.#byRecord.set(record, watches);
    for (const { means } of watches) {
      const cookie = randomBytes(8);
      const words = [cookie.readUInt32BE(0), cookie.readUInt32BE(4)] as const;
      this.#options.board.setCookie(record, means, words);
    }
    return watches;
  }

  /** Begins to ask, not of all tunnels at once. */
  start(): void {
    this.#isRunning = true;
    const watches = [...this.#byRecord.values()].flat();
    for (const [index, watch] of watches.entries()) {
      const delayMs = (watch.every.intervalMs * index) / watches.length;
      watch.timer = setTimeout(() => this.#ask(watch), delayMs);
    }
  }

  /**
   * Asks no more for the records `gone`, and of `come` what their configs say; whatever was known of them is forgotten, and
   * their devices have carrier.
   */
  change(gone: Iterable<number>, come: Iterable<Member>): void {
    for (const record of gone) {
      const watches = this.#byRecord.get(record);
      if (watches === undefined) continue;
      for (const { timer } of watches) clearTimeout(timer);
      const wasDown = this.down(record) !== undefined;
      this.#byRecord.delete(record);
      this.#options.board.setDown(record, false);
      if (wasDown) this.#options.setCarrier(record, true);
    }
    for (const member of come) {
      for (const watch of this.#add(member)) if (this.#isRunning) this.#ask(watch);
    }
  }

  stop(): void {
    this.#isRunning = false;
    for (const { timer } of [...this.#byRecord.values()].flat()) clearTimeout(timer);
    this.#voice.close();
  }

  /** What goes unanswered of the tunnel of `record`; undefined: it is up. */
  down(record: number): Means | undefined {
    return this.#byRecord.get(record)?.find(({ state }) => !state.isUp)?.means;
  }

  /** What the answers say of the peer of `record`, by each means that it is asked by. */
  of(record: number): PeerLiveness[] {
    return (this.#byRecord.get(record) ?? []).map(({ means, state, changes }) => ({
      ...{ means, state: state.isUp ? 'up' : 'down', changes },
      unanswered: this.#options.board.unanswered(record, means),
    }));
  }

  #ask(watch: Watch): void {
    const { record, means, every } = watch;
    const { board, current, emit } = this.#options;
    const tunnel = current(record) ?? watch.tunnel;
    const question = board.ask(record, means);
    const number = new DataView(question.buffer).getUint32(0);
    const packet =
      means === 'keepalive'
        ? keepalivePacket(tunnel, question)
        : probePacket(tunnel, question, number, watch.size);
    if (packet !== null) emit(record, packet);
    // The next question only after this one had its whole interval, however late the timer is.
    watch.timer = setTimeout(() => {
      this.#step(watch);
      this.#ask(watch);
    }, every.intervalMs);
  }

  #step(watch: Watch): void {
    const { record, means, every, state } = watch;
    const { board } = this.#options;
    const heard = board.heard(record, means);
    // An answer that took longer than it takes to give the peer up is none.
    const isAnswered = heard !== watch.heard && board.unanswered(record, means) < every.count;
    watch.heard = heard;
    const wasDown = this.down(record) !== undefined;
    if (!state.step(isAnswered)) return;
    watch.changes++;
    const isDown = this.down(record) !== undefined;
    if (isDown === wasDown) return;
    if (isDown) this.#options.onDown?.(watch.tunnel.name);
    board.setDown(record, isDown);
    this.#options.setCarrier(record, !isDown);
    this.#tell(watch, isDown);
  }

  #tell({ tunnel: { name }, means, every, state }: Watch, isDown: boolean): void {
    if (!isDown) {
      this.#voice.say('info', { event: 'tunnel-up', tunnel: name }, `tunnel ${name} is up again`);
      return;
    }
    const { count, intervalMs } = every;
    const cause = `${count} of its ${means}s in a row, one every ${intervalMs} ms, went unanswered`;
    const end = state.hold === 1 ? 'one answer' : `${state.hold} answers in a row`;
    const message = `tunnel ${name} is down: ${cause}; ${end} will bring it back`;
    this.#voice.say('warn', { event: 'tunnel-down', tunnel: name, means }, message);
  }
}

function watchesOf(config: TunnelConfig, tunnel: Tunnel, record: number): Watch[] {
  const watch = (means: Means, every: Keepalive | undefined): Watch[] =>
    every === undefined
      ? []
      : [
          {
            ...{ tunnel, record, means, every, size: config.probe?.size },
            state: new PeerState(every.count),
            changes: 0,
            heard: 0,
            timer: undefined,
          },
        ];
  return [
    ...watch('keepalive', tunnel.keepalive === true ? config.keepalive : undefined),
    ...watch('probe', tunnel.probe === undefined ? undefined : config.probe),
  ];
}
