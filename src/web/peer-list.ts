// The peers of a tunnel that has several, below its row: folded away until somebody wants them, then a row each.

import { total } from '../view/live-counts.js';
import type { LivePeer } from '../view/live-tunnel.js';
import { element, setText } from './element.js';
import { heardText, remoteText, trafficText } from './words.js';

const ROWS_MAX = 100;
/** From so many peers on there is a field to find one. */
const FILTER_FROM = 8;

const COLUMNS = ['peer', 'received', 'sent', 'last heard', 'drops', 'state'] as const;

export class PeerList {
  readonly root: HTMLTableRowElement;
  readonly #details = element('details');
  readonly #title = element('summary');
  readonly #filter = element('input', { type: 'search', placeholder: 'name or address' });
  readonly #find = element('label', {}, 'find a peer ', this.#filter);
  readonly #body = element('tbody');
  readonly #more = element('p', { class: 'soft' });
  readonly #rows: (readonly HTMLElement[])[] = [];
  #show = (): void => {};

  /** Beside `columns` others of the table that it is in. */
  constructor(tunnel: string, columns: number) {
    const heads = COLUMNS.map((title) => element('th', { scope: 'col' }, title));
    const table = element('table', { 'aria-label': `Peers of ${tunnel}` });
    table.append(element('thead', {}, element('tr', {}, ...heads)), this.#body);
    this.#details.append(this.#title, this.#find, table, this.#more);
    const cell = element('td', { colspan: String(columns) }, this.#details);
    this.root = element('tr', { class: 'peers' }, cell);
    this.#details.addEventListener('toggle', () => this.#show());
    this.#filter.addEventListener('input', () => this.#show());
  }

  /** Shows the peers as they are by now. */
  show(peers: readonly LivePeer[], nowMs: number): void {
    const down = peers.filter(({ status }) => status.downReason !== undefined).length;
    setText(this.#title, `${peers.length} peers${down === 0 ? '' : `, ${down} down`}`);
    this.#title.className = down === 0 ? '' : 'bad';
    this.#find.hidden = peers.length < FILTER_FROM;
    this.#show = () => this.#fill(peers, nowMs);
    this.#show();
  }

  #fill(peers: readonly LivePeer[], nowMs: number): void {
    if (!this.#details.open) return;
    const word = this.#filter.value.trim().toLowerCase();
    const found = peers.filter((peer) => remoteText(peer.status).toLowerCase().includes(word));
    const shown = found.slice(0, ROWS_MAX);
    while (this.#rows.length > shown.length) this.#rows.pop()?.[0]?.parentElement?.remove();
    shown.forEach((peer, place) => {
      fill(this.#rows[place] ?? this.#addRow(), peer, nowMs);
    });
    const left = found.length - shown.length;
    const more = left > 0 ? `${left} more: find them by name or address.` : '';
    setText(this.#more, found.length === 0 ? 'No peer is like that.' : more);
    this.#more.hidden = this.#more.textContent === '';
  }

  #addRow(): readonly HTMLElement[] {
    const cells = COLUMNS.map((title, column) =>
      column === 0
        ? element('th', { scope: 'row', 'data-label': title })
        : element('td', { 'data-label': title }),
    );
    this.#body.append(element('tr', {}, ...cells));
    this.#rows.push(cells);
    return cells;
  }
}

function fill(cells: readonly HTMLElement[], peer: LivePeer, nowMs: number): void {
  const { status, rxRate, txRate, rx, tx, drops, newDrops } = peer;
  const { downReason } = status;
  const texts = [
    remoteText(status),
    trafficText(rxRate, rx),
    trafficText(txRate, tx),
    heardText(status.lastReceivedMs, nowMs),
    String(total(drops)),
    downReason === undefined ? '' : `down: ${downReason}`,
  ];
  texts.forEach((text, column) => {
    const cell = cells[column];
    if (cell !== undefined) setText(cell, text);
  });
  cells[4]?.classList.toggle('fresh', newDrops > 0);
  cells[5]?.classList.toggle('fresh', downReason !== undefined);
}
