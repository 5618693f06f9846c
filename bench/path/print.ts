// The table of the path bench for people.
import type { PathBenchResult, PathRow, Spread } from './path-bench.js';

interface Column {
  readonly title: string;
  cell(row: PathRow): string;
}

const COLUMNS: readonly Column[] = [
  { title: 'path', cell: (row) => row.name },
  { title: 'TCP Gbit/s', cell: (row) => ranged(row.tcpGbits, 2) },
  { title: 'to C', cell: (row) => (row.tcpToC === undefined ? '' : row.tcpToC.toFixed(2)) },
  { title: 'UDP 64 B k/s', cell: (row) => ranged(row.udpSmallKpps, 0) },
  { title: 'UDP 1400 B k/s', cell: (row) => ranged(row.udpLargeKpps, 0) },
  { title: 'CPU s/s', cell: (row) => median(row.cpuPerSecond, 2) },
  { title: 'idle %', cell: (row) => median(row.idlePercent, 1) },
  { title: 'ready ms', cell: (row) => median(row.readyMs, 0) },
  { title: 'RSS MB', cell: (row) => median(row.rssMegabytes, 0) },
  { title: 'status ms', cell: (row) => median(row.statusMs, 0) },
];

/** Machine and versions on top, then one line a path: medians, with lowest and highest in brackets. */
export function formatPathBench(result: PathBenchResult): string {
  const { machine, rounds, tcpSeconds, udpSeconds } = result;
  const measured = result.rows.filter((row) => row.skipped === undefined);
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, grebe ${machine.commit}`,
    `two namespaces, one veth, MTU 1500; ${result.traffic}: 1 TCP flow for ${tcpSeconds} s, UDP for ${udpSeconds} s; median [low-high] of ${rounds} rounds`,
    '',
    ...table(measured),
    '',
    'CPU s/s and idle %: both routers together. ready, RSS: the worse of the two.',
  ];
  for (const row of result.rows) {
    if (row.skipped !== undefined) lines.push(`${row.name}: left out, ${row.skipped}`);
  }
  if (!result.offloadsOff)
    lines.push('ethtool is not installed: the offloads of the veth were on.');
  return lines.join('\n');
}

/** One line a row under the titles; a column that nobody has a figure for is left out. */
function table(rows: readonly PathRow[]): string[] {
  const columns = COLUMNS.filter((column) => rows.some((row) => column.cell(row) !== ''));
  const lines = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => column.cell(row))),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((line) => line[index]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return index === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

function median(spread: Spread | undefined, digits: number): string {
  return spread ? spread.median.toFixed(digits) : '';
}

function ranged(spread: Spread | undefined, digits: number): string {
  if (!spread) return '';
  const { low, high } = spread;
  return `${spread.median.toFixed(digits)} [${low.toFixed(digits)}-${high.toFixed(digits)}]`;
}
