// Throughput of some tunnels over the last minutes: a chart by uPlot, and the same as a table.

import type UPlot from 'uplot';
import { formatBitRate } from '../view/format.js';
import type { LiveView } from '../view/live.js';
import type { LiveTunnel } from '../view/live-tunnel.js';
import { byId, element } from './element.js';

export type Way = 'rx' | 'tx';

/** A line of the chart. */
export interface Line {
  readonly name: string;
  /** Number of its color, from 0. */
  readonly color: number;
}

declare global {
  interface Window {
    /** Of the script beside this one: uPlot as it is published. */
    readonly uPlot: typeof UPlot;
  }
}

/** Lines at a time: more colors are not told apart. */
export const LINES_MAX = 6;
const HEIGHT = 240;
/** The time axis is so long from the start, and grows with what is known. */
const SECONDS_MIN = 60;
/** Rows of the table: seconds. */
const ROWS = 15;
/** Lines differ in more than color. */
const DASHES: readonly number[][] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4]];

export class Chart {
  readonly #place = byId('chart', HTMLElement);
  readonly #figures = byId('figures', HTMLElement);
  readonly #asTable = byId('as-table', HTMLButtonElement);
  #plot: UPlot | undefined;
  #lines: readonly Line[] = [];
  #way: Way = 'rx';
  #isTable = false;
  #view: LiveView | undefined;

  constructor() {
    byId('way', HTMLFieldSetElement).addEventListener('change', (event) => {
      if (event.target instanceof HTMLInputElement) {
        this.#way = event.target.value === 'tx' ? 'tx' : 'rx';
        this.#draw();
      }
    });
    this.#asTable.addEventListener('click', () => {
      this.#isTable = !this.#isTable;
      this.#asTable.setAttribute('aria-pressed', String(this.#isTable));
      this.#place.hidden = this.#isTable;
      this.#figures.hidden = !this.#isTable;
      this.#draw();
    });
    new ResizeObserver(() => this.#fit()).observe(this.#place);
  }

  /** Shows the lines as they are by now. */
  show(view: LiveView, lines: readonly Line[]): void {
    this.#view = view;
    const isOther =
      lines.length !== this.#lines.length ||
      lines.some(({ name, color }, index) => {
        const old = this.#lines[index];
        return old?.name !== name || old.color !== color;
      });
    this.#lines = lines;
    if (isOther || this.#plot === undefined) this.restyle();
    else this.#draw();
  }

  /** Makes the chart anew, with the colors of the style sheet. */
  restyle(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    if (this.#view === undefined) return;
    this.#plot = new window.uPlot(optionsOf(this.#lines, this.#width()), this.#data(), this.#place);
    // Its numbers are those of the table of tunnels.
    this.#plot.root.querySelector('.u-legend')?.setAttribute('aria-hidden', 'true');
    // uPlot finishes a new chart in a microtask of its own, legend included.
    queueMicrotask(() => this.#draw());
  }

  #draw(): void {
    if (this.#view === undefined) return;
    if (this.#isTable) this.#figures.replaceChildren(this.#table());
    else this.#setData();
  }

  #setData(): void {
    const plot = this.#plot;
    if (plot === undefined) return;
    const data = this.#data();
    plot.setData(data);
    // The legend tells the values under the pointer, without one the last.
    if (plot.cursor.left === undefined || plot.cursor.left < 0) {
      plot.setLegend({ idx: data[0].length - 1 });
    }
  }

  #fit(): void {
    const width = this.#width();
    if (width > 0) this.#plot?.setSize({ width, height: HEIGHT });
  }

  #width(): number {
    return this.#place.clientWidth;
  }

  /** Times in seconds, then bits a second of each line. The time axis has its whole length from the start. */
  #data(): UPlot.AlignedData {
    const view = this.#view;
    if (view === undefined) return [[]];
    const count = view.known;
    const times = view.times(count).map((timeMs) => timeMs / 1000);
    return [times, ...this.#lines.map(({ name }) => this.#bits(view.tunnels.get(name), count))];
  }

  #bits(tunnel: LiveTunnel | undefined, count: number): number[] {
    const history = this.#way === 'rx' ? tunnel?.rxHistory : tunnel?.txHistory;
    return history?.last(this.#view?.at ?? 0, count).map((bytes) => bytes * 8) ?? [];
  }

  #table(): HTMLTableElement {
    const [times = [], ...columns] = this.#data();
    const rows = [...times].slice(-ROWS).map((time, row) => {
      const at = Math.max(0, times.length - ROWS) + row;
      const cells = columns.map((column) =>
        element('td', {}, formatBitRate((column[at] ?? 0) / 8)),
      );
      return element('tr', {}, element('th', { scope: 'row' }, clock(time * 1000)), ...cells);
    });
    const heads = this.#lines.map(({ name }) => element('th', { scope: 'col' }, name));
    return element(
      'table',
      {},
      element('caption', {}, this.#way === 'rx' ? 'received' : 'sent'),
      element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'time'), ...heads)),
      element('tbody', {}, ...rows.reverse()),
    );
  }
}

/** `14:02:11`, of this browser's time zone. */
export function clock(timeMs: number): string {
  return new Date(timeMs).toLocaleTimeString('en-GB');
}

function optionsOf(lines: readonly Line[], width: number): UPlot.Options {
  const axis = { stroke: color('--soft'), grid: { stroke: color('--line'), width: 1 } };
  return {
    width,
    height: HEIGHT,
    scales: {
      x: { range: (_, min, max) => [Math.min(min, max - SECONDS_MIN), max] },
      y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1000)] },
    },
    axes: [
      {
        ...axis,
        ticks: { show: false },
        space: 90,
        values: (_, seconds) => seconds.map(axisClock),
      },
      {
        ...axis,
        ticks: { show: false },
        size: 86,
        values: (_, values) => values.map((bits) => formatBitRate(bits / 8)),
      },
    ],
    series: [
      { value: (_, time) => (time === null ? '' : clock(time * 1000)) },
      ...lines.map(seriesOf),
    ],
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true },
  };
}

function axisClock(seconds: number): string {
  return clock(seconds * 1000);
}

function seriesOf({ name, color: number }: Line): UPlot.Series {
  return {
    label: name,
    stroke: color(`--line-${number}`),
    width: 2,
    dash: DASHES[number] ?? [],
    points: { show: false },
    value: (_, bits) => (bits === null ? '' : formatBitRate(bits / 8)),
  };
}

/** A color of the style sheet as the canvas takes it: the property itself still has that for light and that for dark. */
function color(name: string): string {
  const { style } = document.documentElement;
  style.setProperty('caret-color', `var(${name})`);
  const made = getComputedStyle(document.documentElement).caretColor;
  style.removeProperty('caret-color');
  return made;
}
