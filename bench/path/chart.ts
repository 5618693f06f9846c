// The chart: TCP of one flow and small UDP datagrams, one bar a path, with a whisker from the lowest round to the
// highest. Plain SVG without scripts or fonts of its own; colours follow the reader's light or dark mode.
import type { Figure, Spread } from './figures.js';
import type { PathBenchResult } from './path-bench.js';

interface Panel {
  readonly title: string;
  readonly figure: Figure;
  readonly digits: number;
}

interface Bar {
  readonly name: string;
  readonly kind: Kind;
  readonly spread: Spread;
}

/** How a bar is coloured: grebe, or what it is compared with. */
type Kind = 'grebe' | 'other';

const PANELS: readonly Panel[] = [
  { title: 'TCP, 1 flow: Gbit/s', figure: 'tcpGbits', digits: 2 },
  {
    title: 'UDP, 64 bytes, delivered: thousands a second',
    figure: 'udp64Kpps',
    digits: 0,
  },
];

/** Paths of the table that are not grebe. What a caller adds is coloured as grebe is. */
const OTHERS = ['veth', 'vxlan', 'c', 'ovs', 'fastd', 'wireguard-go'];

const WIDTH = 760;
const MARGIN = 24;
const NAMES_WIDTH = 116;
/** Room right of the longest bar for its figure. */
const VALUES_WIDTH = 64;
const BAR_HEIGHT = 16;
const BAR_PITCH = 26;
const TITLE_HEIGHT = 30;
const HEAD_HEIGHT = 84;
/** Below the bars, for the marks of the scale and the space to the next panel. */
const SCALE_HEIGHT = 44;
/** Half of the line across the end of a whisker. */
const WHISKER = 4;

const STYLE = `
  svg { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; font-size: 13px; }
  .paper { fill: #ffffff; } .text { fill: #1c2430; } .quiet { fill: #5b6675; }
  .grid { stroke: #e2e6eb; } .whisker { stroke: #1c2430; } .grebe { fill: #1f77b4; } .other { fill: #a9b4c0; }
  .title { font-size: 15px; font-weight: 600; } .small { font-size: 11px; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0f141a; } .text { fill: #e6eaef; } .quiet { fill: #98a4b3; }
    .grid { stroke: #28313c; } .whisker { stroke: #e6eaef; } .grebe { fill: #4aa3df; } .other { fill: #5c6977; }
  }
`;

/** Draws the figures with the cable's offloads off. */
export function drawChart(result: PathBenchResult): string {
  const { machine, rounds } = result;
  const parts: string[] = [];
  let top = HEAD_HEIGHT;
  for (const panel of PANELS) {
    const bars = barsOf(result, panel.figure);
    if (bars.length === 0) continue;
    parts.push(drawPanel(panel, bars, top));
    top += TITLE_HEIGHT + bars.length * BAR_PITCH + SCALE_HEIGHT;
  }
  const about = `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, grebe ${machine.commit}`;
  const how = `two namespaces, one veth without offloads, MTU 1500; medians of ${rounds} round${rounds === 1 ? '' : 's'}, lines from lowest to highest`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img">`,
    '<title>Throughput through tunnels</title>',
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${WIDTH}" height="${top}"/>`,
    text(MARGIN, 28, 'quiet small', about),
    text(MARGIN, 44, 'quiet small', how),
    ...legend(),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function legend(): string[] {
  const entry = (kind: Kind, x: number, words: string) => [
    `<rect class="${kind}" x="${x}" y="56" width="12" height="12" rx="2"/>`,
    text(x + 18, 66, 'quiet small', words),
  ];
  return [
    ...entry('grebe', MARGIN, 'grebe'),
    ...entry('other', MARGIN + 80, 'what it is compared with'),
  ];
}

function barsOf({ rows }: PathBenchResult, figure: Figure): Bar[] {
  return rows
    .filter((row) => row.offloads === 'off' && row.tunnels === 1)
    .flatMap(({ name, figures }) => {
      const spread = figures[figure];
      const kind: Kind = OTHERS.includes(name) ? 'other' : 'grebe';
      return spread ? [{ name, kind, spread }] : [];
    });
}

function drawPanel({ title, digits }: Panel, bars: readonly Bar[], top: number): string {
  const left = MARGIN + NAMES_WIDTH;
  const room = WIDTH - left - MARGIN - VALUES_WIDTH;
  const step = niceStep(Math.max(...bars.map((bar) => bar.spread.high)));
  const ceiling = step * Math.ceil(Math.max(...bars.map((bar) => bar.spread.high)) / step);
  const x = (value: number) => round(left + (value / ceiling) * room);
  const first = top + TITLE_HEIGHT;
  const bottom = first + bars.length * BAR_PITCH - (BAR_PITCH - BAR_HEIGHT);
  const lines: string[] = [text(MARGIN, top + 16, 'text title', title)];
  for (let mark = 0; mark <= ceiling + step / 2; mark += step) {
    lines.push(line('grid', x(mark), first - 6, x(mark), bottom + 6));
    lines.push(text(x(mark), bottom + 20, 'quiet small', format(mark), 'middle'));
  }
  bars.forEach((bar, index) => {
    lines.push(...drawBar(bar, first + index * BAR_PITCH, left, x, digits));
  });
  return lines.join('\n');
}

function drawBar(
  { name, kind, spread }: Bar,
  top: number,
  left: number,
  x: (value: number) => number,
  digits: number,
): string[] {
  const middle = top + BAR_HEIGHT / 2;
  const [low, high] = [x(spread.low), x(spread.high)];
  const width = round(x(spread.median) - left);
  return [
    text(left - 8, middle + 4, 'text', name, 'end'),
    `<rect class="${kind}" x="${left}" y="${top}" width="${width}" height="${BAR_HEIGHT}" rx="2"/>`,
    line('whisker', low, middle, high, middle),
    ...[low, high].map((end) => line('whisker', end, middle - WHISKER, end, middle + WHISKER)),
    text(Math.max(high, x(spread.median)) + 8, middle + 4, 'text', spread.median.toFixed(digits)),
  ];
}

/** 1, 2 or 5 times a power of ten, so that about five marks stand below `highest`. */
function niceStep(highest: number): number {
  if (!(highest > 0)) return 1;
  const rough = highest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
}

function format(mark: number): string {
  return `${Number(mark.toPrecision(6))}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function line(kind: string, x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="${kind}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
}

function text(x: number, y: number, kind: string, words: string, anchor = 'start'): string {
  return `<text class="${kind}" x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
