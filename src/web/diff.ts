// What a reload would change, where the router can tell: GET /v1/diff.

import { ask } from './connection.js';
import { byId, element } from './element.js';

const INTERVAL_MS = 10_000;

/** Shows the panel while the router tells of a difference between what it runs and its config. */
export async function showDiff(): Promise<void> {
  const description: unknown = await ask('/v1/openapi.json')
    .then((response) => response.json())
    .catch(() => null);
  if (!JSON.stringify(description).includes('"/v1/diff"')) return; // a router that cannot tell
  for (;;) {
    const response = await ask('/v1/diff').catch(() => undefined);
    const answer: unknown = response?.ok === true ? await response.json() : null;
    show(linesOf(answer));
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

function show(lines: readonly string[]): void {
  byId('diff', HTMLElement).hidden = lines.length === 0;
  const items = lines.map((line) => element('li', {}, line));
  byId('changes', HTMLElement).replaceChildren(element('ul', {}, ...items));
}

/** The lines of `{"text": "..."}`. */
function linesOf(answer: unknown): string[] {
  const isTold = typeof answer === 'object' && answer !== null && 'text' in answer;
  return isTold
    ? String(answer.text)
        .split('\n')
        .filter((line) => line !== '')
    : [];
}
