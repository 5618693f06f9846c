// What a reload would change, where the router can tell: POST /v1/diff without a config asks about its own file.

import { ask } from './connection.js';
import { byId, element } from './element.js';

const INTERVAL_MS = 10_000;
/** EXIT.config of sys/failure.ts, which browsers do not get. */
const EXIT_CONFIG = 78;

type Fields = { readonly [key: string]: unknown };

/** Shows the panel while what the router runs and what its config says differ, or the config cannot be taken. */
export async function showDiff(): Promise<void> {
  const description = await ask('/v1/openapi.json')
    .then((response) => response.text())
    .catch(() => '');
  if (!description.includes('"/v1/diff"')) return; // a router that cannot tell
  for (let shown = ''; ; ) {
    const response = await ask('/v1/diff', { method: 'POST' }).catch(() => undefined);
    const answer: unknown = await response?.json().catch(() => undefined);
    const text = JSON.stringify(answer) ?? '';
    if (text !== shown) show(answer); // what stays the same can be read, and selected, in peace
    shown = text;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

/** Shows a `grebe.diff/1`, or what is wrong with the file. Nothing without the token. */
function show(answer: unknown): void {
  const made = isFields(answer) ? (faultOf(answer) ?? tableOf(linesOf(answer))) : [];
  byId('diff', HTMLElement).hidden = made.length === 0;
  byId('changes', HTMLElement).replaceChildren(...made);
}

/** Where the file is wrong, and why; undefined where it is not. */
function faultOf({ exitCode, error, hint }: Fields): HTMLElement[] | undefined {
  if (exitCode !== EXIT_CONFIG) return undefined;
  return [
    element('p', {}, 'Nothing: the config file cannot be taken as it is.'),
    element('pre', {}, String(error)),
    element('p', { class: 'soft' }, String(hint ?? '')),
  ];
}

/** What happens, to whom, and how: `change`, `gre1`, `ttl: 64 → 32`. */
type DiffLine = readonly [kind: string, name: string, how: string];

function tableOf(lines: readonly DiffLine[]): HTMLElement[] {
  if (lines.length === 0) return [];
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
  return [element('table', {}, head, element('tbody', {}, ...rows))];
}

/** What is to be known of a change beside its keys. */
const MEANING: { readonly [kind: string]: string } = {
  add: 'a new tunnel, with its device',
  remove: 'the tunnel goes, with its device',
  rename: 'a new device, as a device has one name',
  move: 'another peer: packets under way may be lost',
  rebuild: 'a new device: packets under way are lost',
};

/** The lines of a `grebe.diff/1`; none of anything else. */
function linesOf(answer: Fields): DiffLine[] {
  const lines = fieldsOf(answer.tunnels).map(
    ({ kind, name, to, keys, why }): DiffLine => [
      String(kind),
      typeof to === 'string' ? `${name} → ${to}` : String(name),
      [
        ...fieldsOf(keys).map(keyText),
        ...[MEANING[String(kind)], why].filter((text) => typeof text === 'string'),
      ].join('; '),
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
