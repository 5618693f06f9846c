// The result for people: machine and versions, one small table a question, the targets.
import { QUIET_LOAD } from './cpu.js';
import type { Figure, Spread } from './figures.js';
import type { PathBenchResult, PathRow } from './path-bench.js';
import type { Verdict } from './targets.js';

interface Column {
  readonly title: string;
  cell(row: PathRow): string;
}

interface Table {
  readonly title: string;
  /** Which rows are in it. */
  has(row: PathRow, rows: readonly PathRow[]): boolean;
  readonly columns: readonly Column[];
}

const TUNNELS: Column = { title: 'tunnels', cell: (row) => `${row.tunnels}` };

const isPlain = (row: PathRow) => row.offloads === 'off' && row.tunnels === 1;

const TCP: readonly Column[] = [
  ranged('1 flow Gbit/s', 'tcpGbits', 2),
  middle('again %', 'tcpRetransmitPercent', 3),
  middle('again', 'tcpRetransmits', 0),
  ranged('back', 'tcpReverseGbits', 2),
  middle('again %', 'tcpReverseRetransmitPercent', 3),
  ranged('8 flows', 'tcp8Gbits', 2),
  middle('again %', 'tcp8RetransmitPercent', 3),
  ranged('back', 'tcp8ReverseGbits', 2),
  middle('again %', 'tcp8ReverseRetransmitPercent', 3),
];

const TABLES: readonly Table[] = [
  { title: 'TCP', has: isPlain, columns: TCP },
  {
    title: 'UDP, thousands of datagrams a second',
    has: isPlain,
    columns: [
      ranged('64 B delivered', 'udp64Kpps', 0),
      ranged('< 0.1 % lost', 'udp64LosslessKpps', 0),
      highest('reordered', 'udp64Reordered'),
      ranged('1400 B delivered', 'udp1400Kpps', 0),
      ranged('< 0.1 % lost', 'udp1400LosslessKpps', 0),
      highest('reordered', 'udp1400Reordered'),
      middle('router us, 64 B', 'udp64RouterMicroseconds', 1),
      middle('1400 B', 'udp1400RouterMicroseconds', 1),
    ],
  },
  {
    title: 'Round trip, microseconds',
    has: isPlain,
    columns: [
      ranged('ping -f p50', 'floodP50Ms', 0, 1000),
      ranged('p99', 'floodP99Ms', 0, 1000),
      highest('lost', 'floodLost'),
      ranged('300/s p50', 'pingP50Ms', 0, 1000),
      ranged('p99', 'pingP99Ms', 0, 1000),
      highest('lost', 'pingLost'),
    ],
  },
  {
    title: 'Cost',
    has: isPlain,
    columns: [
      ranged('CPU s/GB, machine', 'machineCpuPerGigabyte', 2),
      ranged('routers', 'routerCpuPerGigabyte', 2),
      middle('idle %', 'idlePercent', 1),
      middle('ready ms', 'readyMs', 0),
      middle('RSS MB', 'rssMegabytes', 0),
      middle('status ms', 'statusMs', 0),
    ],
  },
  {
    title: 'Many TCP flows, Gbit/s',
    has: isPlain,
    columns: [
      ranged('1 flow', 'flow1Gbits', 2),
      ranged('1000 flows', 'flow1000Gbits', 2),
      middle('again %', 'flow1000RetransmitPercent', 3),
      middle('carried', 'flow1000Carrying', 0),
    ],
  },
  {
    title: 'Every offload of the cable on',
    has: (row) => row.offloads === 'on',
    columns: [...TCP, ranged('UDP 64 B k/s', 'udp64Kpps', 0)],
  },
  {
    title: 'Many tunnels',
    has: (row, rows) =>
      row.offloads === 'off' && rows.some(({ name, tunnels }) => name === row.name && tunnels > 1),
    columns: [
      TUNNELS,
      ranged('TCP Gbit/s', 'tcpGbits', 2),
      ranged('UDP 64 B k/s', 'udp64Kpps', 0),
      middle('router us', 'udp64RouterMicroseconds', 1),
      ranged('spread k/s', 'spreadKpps', 0),
      middle('router us', 'spreadRouterMicroseconds', 1),
      middle('ready ms', 'readyMs', 0),
      middle('RSS MB', 'rssMegabytes', 0),
      middle('status ms', 'statusMs', 0),
    ],
  },
];

/** Machine and versions, tables (medians, with lowest and highest in brackets), what was left out, targets. */
export function formatPathBench(result: PathBenchResult): string {
  const { machine, rounds, seconds, traffic, rows } = result;
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, grebe ${machine.commit}`,
    `two namespaces, one veth, MTU 1500; TCP ${seconds.tcp} s (${traffic.tcp}, ${result.congestion}), UDP ${seconds.udp} s (${traffic.load})`,
    `median [low-high] of ${rounds} round${rounds === 1 ? '' : 's'}; took ${result.tookSeconds} s`,
  ];
  if (result.otherLoad > QUIET_LOAD) {
    const load = result.otherLoad.toFixed(1);
    lines.push(`before it began, other work kept ${load} of ${machine.cores} CPUs busy`);
  }
  const versions = new Set(rows.flatMap((row) => row.version ?? []));
  if (versions.size > 0) lines.push([...versions].join('; '));
  for (const { title, has, columns } of TABLES) {
    const table = tableOf(
      rows.filter((row) => has(row, rows)),
      columns,
    );
    if (table.length > 0) lines.push('', title, ...table);
  }
  const left = leftOut(rows);
  if (left.length > 0) lines.push('', 'Left out or failed', ...left);
  lines.push('', 'Targets', ...formatTargets(result.targets));
  return lines.join('\n');
}

/** One line a path and reason, whatever settings it concerns: paths that did not run, measures that failed. */
function leftOut(rows: readonly PathRow[]): string[] {
  const lines = new Map<string, string[]>();
  for (const { name, offloads, tunnels, skipped, failures = [] } of rows) {
    const setting = tunnels > 1 ? `${tunnels} tunnels` : `offloads ${offloads}`;
    for (const reason of skipped === undefined ? failures : [skipped]) {
      const key = `${name}: ${reason}`;
      lines.set(key, [...(lines.get(key) ?? []), setting]);
    }
  }
  return [...lines].map(([line, settings]) => `${line} (${settings.join(', ')})`);
}

function formatTargets(targets: readonly Verdict[]): string[] {
  const missing = targets.filter(({ met }) => met === null);
  const lines = targets.filter(({ met }) => met !== null).map(formatVerdict);
  if (missing.length === 0) return lines;
  return [...lines, `not measured: ${missing.length} of ${targets.length}, which the JSON names`];
}

function formatVerdict({ name, value, unit, atLeast, atMost, met }: Verdict): string {
  const mark = met ? 'met   ' : 'MISSED';
  const [sign, bound] = atLeast === undefined ? ['<=', atMost] : ['>=', atLeast];
  const suffix = unit === 'percent' ? ' %' : '';
  const digits = unit === 'count' ? 0 : unit === 'percent' ? 3 : 2;
  const shown = value?.toFixed(digits);
  return `${mark}  ${name}: ${shown}${suffix}, target ${sign} ${bound}${suffix}`;
}

/** Lines under their titles. Rows and columns without any figure are left out. */
function tableOf(rows: readonly PathRow[], columns: readonly Column[]): string[] {
  const name: Column = { title: 'path', cell: (row) => row.name };
  const figures = columns.filter((column) => column !== TUNNELS);
  const measured = rows.filter((row) => figures.some((column) => column.cell(row) !== ''));
  if (measured.length === 0) return [];
  const filled = columns.filter((column) => measured.some((row) => column.cell(row) !== ''));
  const all = [name, ...filled];
  const lines = [
    all.map((column) => column.title),
    ...measured.map((row) => all.map((column) => column.cell(row))),
  ];
  const widths = all.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)));
  const pad = (cell: string, index: number) =>
    index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0);
  return lines.map((line) => line.map(pad).join('  ').trimEnd());
}

function middle(title: string, figure: Figure, digits: number): Column {
  return { title, cell: ({ figures }) => figures[figure]?.median.toFixed(digits) ?? '' };
}

/** Of what is to be 0: one bad round is enough. */
function highest(title: string, figure: Figure): Column {
  return { title, cell: ({ figures }) => figures[figure]?.high.toFixed(0) ?? '' };
}

function ranged(title: string, figure: Figure, digits: number, factor = 1): Column {
  const format = ({ median, low, high }: Spread) => {
    const [middle, from, to] = [median, low, high].map((each) => (each * factor).toFixed(digits));
    return from === to ? `${middle}` : `${middle} [${from}-${to}]`;
  };
  return {
    title,
    cell: ({ figures }) => {
      const spread = figures[figure];
      return spread ? format(spread) : '';
    },
  };
}
