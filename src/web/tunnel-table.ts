// The tunnels as a table: a row each, kept and changed in place, so that focus and selection stay where they are.

import type { LiveView } from '../view/live.js';
import { total } from '../view/live-counts.js';
import type { LiveTunnel } from '../view/live-tunnel.js';
import { LINES_MAX, type Line } from './chart.js';
import { byId, element, setText } from './element.js';
import { PeerList } from './peer-list.js';
import { heardText, remoteText, trafficText } from './words.js';

/** Rows at a time: a browser takes more, a reader does not. */
const ROWS_MAX = 100;
/** From so many tunnels on there is a field to find one. */
const FILTER_FROM = 8;

const COLUMNS = [
  ['line', 'chart'],
  ['name', 'tunnel'],
  ['ends', 'local → remote'],
  ['state', 'state'],
  ['rx', 'received'],
  ['tx', 'sent'],
  ['heard', 'last heard'],
  ['mtu', 'MTU'],
  ['drops', 'drops'],
] as const;

type Column = Exclude<(typeof COLUMNS)[number][0], 'line'>;

/** A row, and the cells in it that change. */
interface Row {
  readonly root: HTMLTableRowElement;
  readonly cells: Readonly<Record<Column, HTMLElement>>;
  readonly box: HTMLInputElement;
  readonly mode: HTMLElement;
  /** Below it, while the tunnel has several. */
  readonly peers: PeerList;
}

export class TunnelTable {
  readonly #place = byId('tunnel-table', HTMLElement);
  readonly #filter = byId('filter', HTMLInputElement);
  readonly #body = element('tbody');
  readonly #more = element('p', { class: 'soft' });
  readonly #rows = new Map<string, Row>();
  readonly #onLines: () => void;
  /** Names of the tunnels in the chart, by the number of their color; null: free. */
  #lines: (string | null)[] = new Array<string | null>(LINES_MAX).fill(null);
  #isChosen = false;
  /** The color that is to make room. */
  #next = 0;

  /** `onLines` is called when somebody puts a tunnel into the chart, or takes it out. */
  constructor(view: LiveView, onLines: () => void) {
    this.#onLines = onLines;
    const heads = COLUMNS.map(([, title]) => element('th', { scope: 'col' }, title));
    const head = element('thead', {}, element('tr', {}, ...heads));
    this.#place.append(element('table', { class: 'cards' }, head, this.#body), this.#more);
    this.#filter.addEventListener('input', () => this.show(view));
  }

  /** The tunnels in the chart. */
  get lines(): Line[] {
    return this.#lines.flatMap((name, color) => (name === null ? [] : [{ name, color }]));
  }

  /** Shows the tunnels as they are by now. */
  show(view: LiveView): void {
    const names = [...view.tunnels.keys()];
    if (!this.#isChosen) this.#choose(view);
    byId('filter-label', HTMLElement).hidden = names.length < FILTER_FROM;
    const found = names.filter((name) => this.#isWanted(view.tunnels.get(name)));
    const shown = found.slice(0, ROWS_MAX);
    const rows = shown.flatMap((name) => {
      const tunnel = view.tunnels.get(name);
      return tunnel === undefined ? [] : this.#fill(this.#rowOf(name), tunnel, view.timeMs);
    });
    for (const row of [...this.#body.children]) if (!rows.includes(row)) row.remove();
    rows.forEach((row, index) => {
      const there = this.#body.children[index];
      if (there !== row) this.#body.insertBefore(row, there ?? null);
    });
    for (const name of this.#rows.keys()) if (!view.tunnels.has(name)) this.#rows.delete(name);
    const more = moreText(names.length, found.length, shown.length);
    setText(this.#more, more);
    this.#more.hidden = more === '';
  }

  #isWanted(tunnel: LiveTunnel | undefined): boolean {
    const word = this.#filter.value.trim().toLowerCase();
    if (word === '' || tunnel === undefined) return true;
    const { name, mode, local, remote, state } = tunnel.status;
    return [name, mode, local, remote, state].some((one) => one.toLowerCase().includes(word));
  }

  /** Until somebody chooses, the chart has the tunnels with most traffic so far. */
  #choose(view: LiveView): void {
    const busy = [...view.tunnels.values()].sort((a, b) => bytesOf(b) - bytesOf(a));
    const names = busy.slice(0, LINES_MAX).map(({ status }) => status.name);
    const kept = this.#lines.map((name) => (name !== null && names.includes(name) ? name : null));
    for (const name of names) if (!kept.includes(name)) kept[kept.indexOf(null)] = name;
    this.#lines = kept;
  }

  #toggle(name: string, isOn: boolean): void {
    this.#isChosen = true;
    if (isOn && !this.#lines.includes(null)) {
      // Where all colors are taken, the next one makes room.
      this.#lines[this.#next] = null;
      this.#next = (this.#next + 1) % LINES_MAX;
    }
    const place = this.#lines.indexOf(isOn ? null : name);
    if (place >= 0) this.#lines[place] = isOn ? name : null;
    this.#onLines();
  }

  #rowOf(name: string): Row {
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const box = element('input', { type: 'checkbox', 'aria-label': `${name} in the chart` });
    box.addEventListener('change', () => this.#toggle(name, box.checked));
    const mode = element('span', { class: 'mode' });
    const title = element('span', {}, name, ' ', mode);
    const cells = {
      name: element('th', { scope: 'row', 'data-label': 'tunnel' }, title),
      ends: cell('ends'),
      state: cell('state'),
      rx: cell('rx'),
      tx: cell('tx'),
      heard: cell('heard'),
      mtu: cell('mtu'),
      drops: cell('drops'),
    };
    const line = element('td', { class: 'line' }, box);
    const root = element('tr', {}, line, ...Object.values(cells));
    const row = { root, cells, box, mode, peers: new PeerList(name, COLUMNS.length) };
    this.#rows.set(name, row);
    return row;
  }

  /** Brings a row up to date. Returns what is to be seen of it. */
  #fill({ root, cells, box, mode, peers }: Row, tunnel: LiveTunnel, nowMs: number): Element[] {
    const { name, local, state, downReason, mtu, pathMtu } = tunnel.status;
    const color = this.#lines.indexOf(name);
    box.checked = color >= 0;
    box.dataset.color = color < 0 ? '' : String(color);
    root.className = state;
    setText(mode, tunnel.status.mode);
    setText(cells.ends, `${local} → ${remoteText(tunnel.status)}`);
    setText(cells.state, downReason === undefined ? state : `${state}: ${downReason}`);
    setText(cells.rx, trafficText(tunnel.rxRate, tunnel.rx));
    setText(cells.tx, trafficText(tunnel.txRate, tunnel.tx));
    setText(cells.heard, heardText(tunnel.status.lastReceivedMs, nowMs));
    setText(cells.mtu, pathMtu === undefined ? String(mtu) : `${mtu} (path ${pathMtu})`);
    setText(cells.drops, String(total(tunnel.drops)));
    cells.drops.className = tunnel.newDrops > 0 ? 'fresh' : '';
    if (tunnel.peers.length === 0) return [root];
    peers.show(tunnel.peers, nowMs);
    return [root, peers.root];
  }
}

function cell(column: Column): HTMLTableCellElement {
  const label = COLUMNS.find(([name]) => name === column)?.[1] ?? column;
  return element('td', { 'data-label': label });
}

function bytesOf({ rx, tx }: LiveTunnel): number {
  return rx.bytes + tx.bytes;
}

function moreText(all: number, found: number, shown: number): string {
  if (all === 0) return 'The router has no tunnels.';
  if (found === 0) return 'No tunnel is like that.';
  return shown < found ? `${found - shown} more: find them by name, mode or address.` : '';
}
