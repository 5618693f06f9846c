// What a reload would change, where the router can tell: POST /v1/diff without a config asks about its own file.

import { ask } from './connection.js';
import { byId, element } from './element.js';

const INTERVAL_MS = 10_000;

type Fields = { readonly [key: string]: unknown };

/** Shows the panel while what the router runs and what its config says differ. */
export async function showDiff(): Promise<void> {
  const description = await ask('/v1/openapi.json')
    .then((response) => response.text())
    .catch(() => '');
  if (!description.includes('"/v1/diff"')) return; // a router that cannot tell
  for (;;) {
    const response = await ask('/v1/diff', { method: 'POST' }).catch(() => undefined);
    // 401: not without the token; 409: the file is wrong, and grebe check says how.
    show(response?.ok === true ? linesOf(await response.json()) : []);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

/** What happens, to whom, and how: `change`, `gre1`, `ttl: 64 → 32`. */
type DiffLine = readonly [kind: string, name: string, how: string];

function show(lines: readonly DiffLine[]): void {
  byId('diff', HTMLElement).hidden = lines.length === 0;
  const rows = lines.map(([kind, name, how]) =>
    element(
      'tr',
      {},
      element('td', {}, element('strong', {}, kind)),
      element('th', { scope: 'row' }, name),
      element('td', {}, how),
    ),
  );
  const heads = ['what', 'of', 'how'].map((title) => element('th', { scope: 'col' }, title));
  const head = element('thead', {}, element('tr', {}, ...heads));
  const table = element('table', {}, head, element('tbody', {}, ...rows));
  byId('changes', HTMLElement).replaceChildren(table);
}

/** The lines of a `grebe.diff/1`. */
function linesOf(answer: unknown): DiffLine[] {
  if (!isFields(answer)) return [];
  const lines = fieldsOf(answer.tunnels).map(
    ({ kind, name, to, keys, why }): DiffLine => [
      String(kind),
      String(name),
      [
        ...(typeof to === 'string' ? [`to ${to}`] : []),
        ...fieldsOf(keys).map(keyText),
        ...(typeof why === 'string' ? [why] : []),
      ].join(', '),
    ],
  );
  for (const one of fieldsOf(answer.router)) lines.push(['change', '[router]', keyText(one)]);
  for (const one of fieldsOf(answer.restart)) {
    lines.push(['with a restart', '[router]', keyText(one)]);
  }
  return lines;
}

function keyText({ key, before, after }: Fields): string {
  return `${key}: ${before ?? 'default'} → ${after ?? 'default'}`;
}

function fieldsOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
