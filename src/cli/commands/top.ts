// grebe top: the running router, live, in a terminal.
//
//   1. follow   the events of the router; when they end, again after a pause
//   2. press    keys change what is shown
//   3. draw     the whole frame, after each event and key

import { setTimeout as sleep } from 'node:timers/promises';
import { followText } from '../../control/client.js';
import type { LiveEvent } from '../../control/event.js';
import { EXIT, type ExitCode } from '../../sys/failure.js';
import { EventReader } from '../../view/event-reader.js';
import { LiveView } from '../../view/live.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';
import { type Key, requireTerminal, type Screen, withScreen } from '../terminal.js';
import { extentsOf, frameOf } from '../top/frame.js';
import { press, TOP_START, type TopState } from '../top/state.js';

const PAUSE_MS = 1000;
const PACKETS_MAX = 20;

export async function runTop(call: Call): Promise<ExitCode> {
  requireTerminal('grebe top', call.json ? 'grebe status -j' : 'grebe status -w');
  // The first status before the screen: a router that is not there is said where it stays to be read.
  const top = new Top(call);
  const ending = top.ending;
  const following = top.follow();
  await Promise.race([top.begun, following]);
  const use = {
    onKey: (key: Key) => top.press(key),
    onRedraw: () => top.draw(),
    onEnd: () => ending.abort(),
  };
  await withScreen(use, async (screen) => {
    top.screen = screen;
    top.draw();
    await following;
  });
  return EXIT.ok;
}

class Top {
  readonly ending = new AbortController();
  /** Resolves with the first status. */
  readonly begun: Promise<void>;
  screen: Screen | undefined;
  readonly #call: Call;
  readonly #view = new LiveView();
  #state: TopState = TOP_START;
  #begin = (): void => {};
  #hasBegun = false;

  constructor(call: Call) {
    this.#call = call;
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  /** Follows the router until the end is asked for. Rejects with a Failure when it cannot be reached from the start. */
  async follow(): Promise<void> {
    const { signal } = this.ending;
    while (!signal.aborted) {
      const reader = new EventReader();
      try {
        await askRouter(this.#call, (socket) =>
          followText(socket, '/v1/events?packets=1', signal, (piece) => {
            for (const event of reader.read(piece)) this.#take(event);
          }),
        );
      } catch (error) {
        if (!this.#hasBegun) throw error;
        this.#change({ lost: error instanceof Error ? error.message : String(error) });
        await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  press(key: Key): void {
    const size = this.screen?.size() ?? { columns: 1, rows: 1 };
    const { tunnels, peers } = extentsOf(this.#view, this.#state, size);
    const state = press(this.#state, key, tunnels, peers);
    if (state === null) {
      this.ending.abort();
      return;
    }
    this.#state = state;
    this.draw();
  }

  draw(): void {
    if (this.screen === undefined) return;
    const { paint } = this.#call.output;
    this.screen.show(frameOf(this.#view, this.#state, this.screen.size(), paint));
  }

  #take(event: LiveEvent): void {
    const { lost: _, ...heard } = this.#state;
    this.#state = heard;
    this.#view.apply(event);
    if (event.kind === 'packet') {
      const packets = [event.data, ...this.#state.packets].slice(0, PACKETS_MAX);
      this.#change({ packets });
    } else if (event.kind === 'packets') {
      this.#change({ hasPackets: event.data.isShown });
    } else {
      const chosen = Math.min(this.#state.chosen, Math.max(0, this.#view.tunnels.size - 1));
      this.#change({ chosen });
    }
    if (event.kind !== 'status') return;
    this.#hasBegun = true;
    this.#begin();
  }

  #change(change: Partial<TopState>): void {
    this.#state = { ...this.#state, ...change };
    this.draw();
  }
}
