// What a person has chosen in grebe top, and what keys do to it.

import type { PacketEvent } from '../../control/event.js';
import type { Key } from '../terminal.js';

export type Shown = 'tunnels' | 'tunnel' | 'drops' | 'help';

export interface TopState {
  readonly shown: Shown;
  /** Where `help` and `drops` came from. */
  readonly before: Shown;
  /** Place of the chosen tunnel among all. */
  readonly chosen: number;
  /** Why the router is not heard; absent: it is. */
  readonly lost?: string;
  /** Whether dropped packets are told, or somebody else traces. */
  readonly hasPackets: boolean;
  /** The last of them first. */
  readonly packets: readonly PacketEvent[];
}

export const TOP_START: TopState = {
  shown: 'tunnels',
  before: 'tunnels',
  chosen: 0,
  hasPackets: true,
  packets: [],
};

/** The state after a key; null: the end. `count`: how many tunnels there are; `page`: how many are seen at once. */
export function press(state: TopState, key: Key, count: number, page: number): TopState | null {
  const { shown, chosen } = state;
  const choose = (place: number): TopState => {
    return { ...state, chosen: Math.max(0, Math.min(count - 1, place)) };
  };
  const open = (what: Shown): TopState => {
    return shown === what ? back(state) : { ...state, shown: what, before: shown };
  };
  switch (key) {
    case 'q':
      return null;
    case '?':
    case 'h':
      return open('help');
    case 'd':
      return open('drops');
    case 'escape':
      return back(state);
    case 'enter':
      return shown === 'tunnels' && count > 0 ? { ...state, shown: 'tunnel' } : back(state);
    case 'up':
    case 'k':
      return choose(chosen - 1);
    case 'down':
    case 'j':
      return choose(chosen + 1);
    case 'page-up':
      return choose(chosen - page);
    case 'page-down':
    case ' ':
      return choose(chosen + page);
    case 'home':
    case 'g':
      return choose(0);
    case 'end':
    case 'G':
      return choose(count - 1);
    default:
      return state;
  }
}

function back(state: TopState): TopState {
  const isOver = state.shown === 'help' || state.shown === 'drops';
  return { ...state, shown: isOver ? state.before : 'tunnels', before: 'tunnels' };
}
