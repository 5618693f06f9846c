// The page's connection to the router: events as long as they come, and again after a pause when they end.
//
// What packets hold is told to those with the token alone. It comes behind # of the address that `grebe web` prints, and
// is kept for this tab.

import type { LiveEvent } from '../control/event.js';
import { EventReader } from '../view/event-reader.js';

const KEY = 'grebe-token';
const PAUSE_MS = 1000;
const PAUSE_MAX_MS = 10_000;
/** Events come each second: a connection without any for so long is none. */
const SILENCE_LIMIT_MS = 6000;

export interface Listener {
  readonly take: (event: LiveEvent) => void;
  /** Connected, and whether contents of packets will come. */
  readonly onOpen: (hasPackets: boolean) => void;
  /** Not any more; why. */
  readonly onLost: (why: string) => void;
}

/** Takes the token out of the address, so that it is not in what people copy from there. */
export function keepToken(): void {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  sessionStorage.setItem(KEY, token);
  history.replaceState(null, '', location.pathname);
}

/** Asks the router for `path`, with the token where there is one. */
export function ask(
  path: string,
  how: Pick<RequestInit, 'method' | 'signal'> = {},
): Promise<Response> {
  const token = sessionStorage.getItem(KEY);
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  return fetch(path, { ...how, headers, cache: 'no-store' });
}

/** Follows the events of the router for as long as the page is there. */
export async function followEvents(listener: Listener): Promise<never> {
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    try {
      const isFollowed = await followOnce(listener);
      if (isFollowed) pauseMs = PAUSE_MS;
      listener.onLost('the router has ended the connection');
    } catch (error) {
      listener.onLost(error instanceof Error ? error.message : String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function followOnce(listener: Listener): Promise<boolean> {
  const ending = new AbortController();
  let timer = 0;
  const watch = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => ending.abort(new Error('the router is silent')), SILENCE_LIMIT_MS);
  };
  try {
    watch();
    let response = await ask('/v1/events?packets=1', { signal: ending.signal });
    const hasPackets = response.status !== 403;
    if (!hasPackets) response = await ask('/v1/events', { signal: ending.signal });
    if (!response.ok || response.body === null) throw new Error(await faultOf(response));
    listener.onOpen(hasPackets);
    const reader = new EventReader();
    const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
      watch();
      for (const event of reader.read(piece.value)) listener.take(event);
    }
    return true;
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

/** What the router says is wrong. */
async function faultOf(response: Response): Promise<string> {
  const answer: unknown = await response.json().catch(() => null);
  const isTold = typeof answer === 'object' && answer !== null && 'error' in answer;
  return isTold ? String(answer.error) : `the router answers ${response.status}`;
}
