// Drops by reason: a row each with a bar, the most frequent first.

import type { LiveView } from '../view/live.js';
import { type Counts, total } from '../view/live-counts.js';
import { byId, element, setText } from './element.js';

/** Names of the kernel's counters, as people know them. */
const KERNEL: { readonly [name: string]: string } = {
  rawSocket: 'raw socket full',
  udpSocket: 'UDP socket full',
  xdpRingFull: 'AF_XDP ring full',
  xdpNoFrame: 'AF_XDP without a frame',
  xdpInvalid: 'AF_XDP descriptor invalid',
};

export class DropTable {
  readonly #place = byId('drops', HTMLElement);
  #shown = '';

  /** Shows the drops as they are by now. */
  show(view: LiveView): void {
    const rows = [...sorted(view.dropsByReason()), ...sorted(kernelOf(view))];
    const text = JSON.stringify(rows);
    if (text === this.#shown) return;
    this.#shown = text;
    if (rows.length === 0) {
      setText(this.#place, 'Nothing was dropped since the start.');
      return;
    }
    const most = Math.max(...rows.map(([, count]) => count));
    const heads = ['reason', 'packets', 'of'].map((title) =>
      element('th', { scope: 'col' }, title),
    );
    this.#place.replaceChildren(
      element(
        'table',
        {},
        element('thead', {}, element('tr', {}, ...heads)),
        element('tbody', {}, ...rows.map(([reason, count]) => row(reason, count, most, view))),
      ),
    );
  }
}

function row(reason: string, count: number, most: number, view: LiveView): HTMLElement {
  const bar = element('meter', { max: String(most), value: String(count), 'aria-hidden': 'true' });
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, reason),
    element('td', { class: 'number' }, bar, count.toLocaleString('en-US')),
    element('td', { class: 'soft' }, whose(reason, view)),
  );
}

/** The tunnels that dropped for a reason, those with most of them first. */
function whose(reason: string, view: LiveView): string {
  if (view.kernel.has(reason) || Object.values(KERNEL).includes(reason)) return 'the kernel';
  const names = [...view.tunnels]
    .map(([name, { drops }]): [string, number] => [name, drops.get(reason) ?? 0])
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([name]) => name);
  if ((view.none.get(reason) ?? 0) > 0) names.push('no tunnel');
  return names.length > 3
    ? `${names.slice(0, 3).join(', ')}, ${names.length - 3} more`
    : names.join(', ');
}

function sorted(counts: Counts): [string, number][] {
  return [...counts].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
}

function kernelOf({ kernel }: LiveView): Counts {
  if (total(kernel) === 0) return new Map();
  return new Map([...kernel].map(([name, count]) => [KERNEL[name] ?? name, count]));
}
