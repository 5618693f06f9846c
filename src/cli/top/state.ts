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
  /** Place of the first peer that is seen of the chosen tunnel. */
  readonly firstPeer: number;
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
  firstPeer: 0,
  hasPackets: true,
  packets: [],
};

/** How many there are, and how many of them are seen at once. */
export interface Extent {
  readonly count: number;
  readonly page: number;
}

/** The state after a key; null: the end. `peers`: those of the chosen tunnel. */
export function press(state: TopState, key: Key, tunnels: Extent, peers: Extent): TopState | null {
  const { shown, chosen, firstPeer } = state;
  const choose = (place: number): TopState => {
    const next = within(place, tunnels.count - 1);
    return { ...state, chosen: next, firstPeer: next === chosen ? firstPeer : 0 };
  };
  // Pages are of what is longer than one: peers, where they are seen.
  const isPeers = shown === 'tunnel' && peers.count > 0;
  const { count, page } = isPeers ? peers : tunnels;
  const at = isPeers ? firstPeer : chosen;
  const go = (place: number): TopState => {
    return isPeers ? { ...state, firstPeer: within(place, count - page) } : choose(place);
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
      return shown === 'tunnels' && tunnels.count > 0 ? { ...state, shown: 'tunnel' } : back(state);
    case 'up':
    case 'k':
      return choose(chosen - 1);
    case 'down':
    case 'j':
      return choose(chosen + 1);
    case 'page-up':
      return go(at - page);
    case 'page-down':
    case ' ':
      return go(at + page);
    case 'home':
    case 'g':
      return go(0);
    case 'end':
    case 'G':
      return go(count - 1);
    default:
      return state;
  }
}

function within(place: number, last: number): number {
  return Math.max(0, Math.min(last, place));
}

function back(state: TopState): TopState {
  const isOver = state.shown === 'help' || state.shown === 'drops';
  return { ...state, shown: isOver ? state.before : 'tunnels', before: 'tunnels' };
}
