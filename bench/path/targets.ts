// The ratios that matter, each beside what grebe aims for. A target whose figures were not measured is named
// with no value: it is not met.
import type { Figure, Spread } from './figures.js';
import type { PathRow } from './path-bench.js';

export interface Verdict {
  /** What is compared with what. */
  readonly name: string;
  /** Medians; null when a figure is missing. */
  readonly value: number | null;
  readonly unit: 'ratio' | 'percent' | 'count';
  readonly atLeast?: number;
  readonly atMost?: number;
  /** null when there is no value. */
  readonly met: boolean | null;
}

type Bound = Pick<Verdict, 'unit' | 'atLeast' | 'atMost'>;

interface Target extends Bound {
  readonly name: string;
  value(rows: Rows): number | undefined;
}

/** grebe with one lane and the codec that a user gets. */
const PLAIN = ['raw-simd', 'xdp-simd'];
const GREBE = [
  ...PLAIN,
  'raw-gso',
  'raw-scalar',
  'raw-2-lanes',
  'xdp-2-lanes',
  'gre-udp',
  'gre-udp-gso',
  'raw-socket',
];

const atLeast = (bound: number): Bound => ({ unit: 'ratio', atLeast: bound });
const atMost = (bound: number): Bound => ({ unit: 'ratio', atMost: bound });

const TARGETS: readonly Target[] = [
  {
    name: 'TCP 1 flow, xdp-simd / vxlan',
    value: (rows) => ratio(rows.median('xdp-simd', 'tcpGbits'), rows.median('vxlan', 'tcpGbits')),
    ...atLeast(0.9),
  },
  {
    name: 'TCP 1 flow, raw-simd / c',
    value: (rows) => ratio(rows.median('raw-simd', 'tcpGbits'), rows.median('c', 'tcpGbits')),
    ...atLeast(2.2),
  },
  {
    name: 'TCP 1 flow, raw-gso / c',
    value: (rows) => ratio(rows.median('raw-gso', 'tcpGbits'), rows.median('c', 'tcpGbits')),
    ...atLeast(2.2),
  },
  {
    name: 'TCP 1 flow, offloads on, gre-udp / vxlan',
    value: (rows) =>
      ratio(rows.offloaded('gre-udp', 'tcpGbits'), rows.offloaded('vxlan', 'tcpGbits')),
    ...atLeast(0.6),
  },
  {
    name: 'TCP 1 flow, offloads on, gre-udp-gso / vxlan',
    value: (rows) =>
      ratio(rows.offloaded('gre-udp-gso', 'tcpGbits'), rows.offloaded('vxlan', 'tcpGbits')),
    ...atLeast(0.6),
  },
  {
    name: 'UDP 64 B delivered, better underlay / c',
    value: (rows) => ratio(rows.best(PLAIN, 'udp64Kpps'), rows.median('c', 'udp64Kpps')),
    ...atLeast(1.5),
  },
  {
    name: 'TCP 1 flow, best grebe / ovs',
    value: (rows) => ratio(rows.best(GREBE, 'tcpGbits'), rows.median('ovs', 'tcpGbits')),
    ...atLeast(4),
  },
  ...PLAIN.flatMap((name): Target[] => [
    {
      name: `round trip p50, 300 pings/s, ${name} / c`,
      value: (rows) => ratio(rows.median(name, 'pingP50Ms'), rows.median('c', 'pingP50Ms')),
      ...atMost(1),
    },
    {
      name: `round trip p50, ping -f, ${name} / c`,
      value: (rows) => ratio(rows.median(name, 'floodP50Ms'), rows.median('c', 'floodP50Ms')),
      ...atMost(1),
    },
    {
      name: `round trip p99 / p50, 300 pings/s, ${name}`,
      value: (rows) => ratio(rows.median(name, 'pingP99Ms'), rows.median(name, 'pingP50Ms')),
      ...atMost(4),
    },
    {
      name: `round trip p99 / p50, ping -f, ${name}`,
      value: (rows) => ratio(rows.median(name, 'floodP99Ms'), rows.median(name, 'floodP50Ms')),
      ...atMost(4),
    },
    {
      name: `lost under ping -f, ${name}`,
      value: (rows) => rows.of(name, 'floodLost')?.high,
      unit: 'count',
      atMost: 0,
    },
    {
      name: `router CPU a packet, UDP 64 B, 10,000 tunnels / 1, ${name}`,
      value: (rows) =>
        ratio(
          rows.of(name, 'udp64RouterMicroseconds', 10_000)?.median,
          rows.median(name, 'udp64RouterMicroseconds'),
        ),
      ...atMost(1.3),
    },
    {
      name: `TCP 1,000 flows / 1 flow, ${name}`,
      value: (rows) => ratio(rows.median(name, 'flow1000Gbits'), rows.median(name, 'flow1Gbits')),
      ...atLeast(0.85),
    },
    {
      name: `TCP 1 flow, segments sent again, ${name}`,
      value: (rows) => rows.median(name, 'tcpRetransmitPercent'),
      unit: 'percent',
      atMost: 0.1,
    },
    {
      name: `reordered within a flow, UDP, ${name}`,
      value: (rows) => rows.of(name, 'udp64Reordered')?.high,
      unit: 'count',
      atMost: 0,
    },
  ]),
];

/** Every target with its value and whether it is met. */
export function judge(rows: readonly PathRow[]): Verdict[] {
  const figures = new Rows(rows);
  return TARGETS.map(({ value: compute, ...target }) => {
    const value = compute(figures);
    if (value === undefined) return { ...target, value: null, met: null };
    const { atLeast: least = -Infinity, atMost: most = Infinity } = target;
    return { ...target, value: Number(value.toPrecision(6)), met: value >= least && value <= most };
  });
}

/** Figures by path and setting. */
class Rows {
  readonly #rows: readonly PathRow[];

  constructor(rows: readonly PathRow[]) {
    this.#rows = rows;
  }

  of(name: string, figure: Figure, tunnels = 1): Spread | undefined {
    return this.#find(name, 'off', tunnels)?.figures[figure];
  }

  median(name: string, figure: Figure): number | undefined {
    return this.of(name, figure)?.median;
  }

  offloaded(name: string, figure: Figure): number | undefined {
    return this.#find(name, 'on', 1)?.figures[figure]?.median;
  }

  best(names: readonly string[], figure: Figure): number | undefined {
    const medians = names.flatMap((name) => this.median(name, figure) ?? []);
    return medians.length > 0 ? Math.max(...medians) : undefined;
  }

  #find(name: string, offloads: string, tunnels: number): PathRow | undefined {
    return this.#rows.find(
      (row) => row.name === name && row.offloads === offloads && row.tunnels === tunnels,
    );
  }
}

function ratio(value: number | undefined, base: number | undefined): number | undefined {
  if (value === undefined || base === undefined || base === 0) return undefined;
  return value / base;
}
