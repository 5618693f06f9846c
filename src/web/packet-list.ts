// Packets that were just dropped, the last one open: every check that it passed, the one where it ended, what to do.

import type { PacketEvent } from '../control/event.js';
import { clock } from './chart.js';
import { byId, element, setText } from './element.js';

const PACKETS_MAX = 20;

export class PacketList {
  readonly #place = byId('packets', HTMLElement);
  readonly #list = element('div', { class: 'packets' });
  readonly #note = element('p', { class: 'soft' });
  /** Somebody opened or closed one: new packets do not move what is being read. */
  #isRead = false;

  constructor() {
    this.#place.append(this.#note, this.#list);
    setText(this.#note, 'None yet.');
    this.#list.addEventListener('click', () => {
      this.#isRead = true;
    });
  }

  /** Says whether packets will come: their contents are for those with the token, and of one trace at a time. */
  explain(state: 'open' | 'no-token' | 'elsewhere'): void {
    const text = {
      open: this.#list.childElementCount === 0 ? 'None yet.' : '',
      'no-token': 'Contents of packets need the token: open the address that “grebe web” prints.',
      elsewhere: 'A grebe trace is running: packets come here again when it ends.',
    }[state];
    setText(this.#note, text);
    this.#note.hidden = text === '';
  }

  /** Puts a packet on top. */
  add(packet: PacketEvent): void {
    this.explain('open');
    const made = entry(packet);
    if (!this.#isRead) {
      for (const open of this.#list.querySelectorAll('details[open]')) open.removeAttribute('open');
      made.open = true;
    }
    this.#list.prepend(made);
    // What somebody reads stays until it is closed.
    const old = [...this.#list.children].slice(PACKETS_MAX);
    for (const one of old) if (!one.hasAttribute('open')) one.remove();
    this.#note.hidden = true;
  }
}

function entry(packet: PacketEvent): HTMLDetailsElement {
  const { timeMs, direction, length, reason, tunnel, nearest, next, stages } = packet;
  const way = direction === 'decap' ? 'received' : 'to be sent';
  const head = element(
    'summary',
    {},
    element('time', { datetime: new Date(timeMs).toISOString() }, clock(timeMs)),
    ' ',
    element('strong', {}, reason ?? 'forwarded'),
    ` ${way}, ${length} bytes, ${tunnel ?? 'no tunnel'}`,
  );
  const checks = stages.map(({ name, passed, detail }) =>
    element(
      'li',
      { class: passed ? 'passed' : 'failed' },
      element(
        'span',
        { class: 'mark', 'aria-label': passed ? 'passed' : 'failed', role: 'img' },
        passed ? '✓' : '✗',
      ),
      element('span', { class: 'check' }, name),
      element('span', {}, detail),
    ),
  );
  const facts: [string, string][] = [];
  if (nearest !== null) {
    const differs = nearest.differs.map(
      ({ field, packet: is, expected }) =>
        `${field} ${is ?? 'none'}, expected ${expected ?? 'none'}`,
    );
    facts.push(['nearest', `${nearest.tunnel}: ${differs.join('; ')}`]);
  }
  if (next !== null) facts.push(['next', next]);
  const list = facts.flatMap(([name, text]) => [element('dt', {}, name), element('dd', {}, text)]);
  return element('details', {}, head, element('ol', {}, ...checks), element('dl', {}, ...list));
}
