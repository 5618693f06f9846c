import { followTrace } from '../../control/client.js';
import type { TraceLine } from '../../control/message.js';
import { adviceOn } from '../../inspect/advice.js';
import { explainTraced } from '../../inspect/traced.js';
import type { Explanation } from '../../packet/explain.js';
import { createTable, type Table } from '../../packet/table.js';
import type { TunnelStatus } from '../../router/contract.js';
import { EXIT, Failure } from '../../sys/failure.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { isQuiet, type Subject } from '../subject.js';

/** How long the router is watched for packets that no tunnel takes, and how many are enough. */
const WATCH_MS = 1500;
const ENOUGH = 20;

/** Whether packets come that no tunnel takes, but one nearly would: another key, mode or address. */
export const key: Check = {
  looks: 'packets that no tunnel takes: their count (no-tunnel), and a trace of some',
  fine: 'no packet came that no tunnel takes',
  examine: async ({ router, targets }: Subject) => {
    if (router.kind !== 'running') {
      throw new Failure(EXIT.failed, 'only a router that runs can tell', 'grebe run');
    }
    const count = router.status.drops['no-tunnel'] ?? 0;
    if (count === 0) return [];
    const heard = router.status.tunnels.filter(isHeard).map(({ name }) => name);
    const { silent, all } = await watchStrays(router.socket, new Set(heard));
    const names = new Set(targets.map(({ name }) => name));
    const outcomes = [...outcomesOf(silent, names, 'error'), ...outcomesOf(all, names, 'note')];
    if (outcomes.length > 0) return distinct(outcomes);
    const found = `${count} packets came that no tunnel takes; none that nearly belongs to a tunnel within ${WATCH_MS} ms`;
    return [{ severity: 'note', found, next: 'grebe trace --drops' }];
  },
};

function isHeard(status: TunnelStatus): boolean {
  return status.state === 'up' && !isQuiet(status);
}

/** Packets that no tunnel took, explained. */
interface Strays {
  /** By the tunnels that hear nothing: a packet that is near to several is that of one of those. */
  readonly silent: Explanation[];
  /** By all, of packets that are near to none of those. */
  readonly all: Explanation[];
}

/** What passed while this watched. The router copies headers; nothing waits for it. */
async function watchStrays(socket: string, heard: ReadonlySet<string>): Promise<Strays> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), WATCH_MS);
  const seen: Strays = { silent: [], all: [] };
  let table: Table = createTable([]);
  let silent: Table = createTable([]);
  let links: ReadonlyMap<number, string> = new Map();
  const take = (line: TraceLine): void => {
    if (line.kind === 'start') {
      const tunnels = line.tunnels.map((one) => one ?? undefined);
      table = createTable(tunnels);
      silent = createTable(tunnels.map((one) => (one && heard.has(one.name) ? undefined : one)));
      links = new Map(line.links);
    }
    if (line.kind !== 'packet' || line.reason !== 'no-tunnel') return;
    const bytes = Uint8Array.from(Buffer.from(line.bytes, 'hex'));
    const first = explainTraced({ ...line, bytes }, silent, links);
    if (first.nearest !== null) seen.silent.push(first);
    else seen.all.push(explainTraced({ ...line, bytes }, table, links));
    if (seen.silent.length + seen.all.length >= ENOUGH) ending.abort();
  };
  try {
    await followTrace(socket, { dropsOnly: true, rate: '100' }, ending.signal, take);
  } finally {
    clearTimeout(timer);
  }
  return seen;
}

function outcomesOf(
  explanations: readonly Explanation[],
  names: ReadonlySet<string>,
  severity: Outcome['severity'],
): Outcome[] {
  return explanations.flatMap((explanation): Outcome[] => {
    const { nearest } = explanation;
    if (nearest === null || !names.has(nearest.tunnel)) return [];
    const differs = nearest.differs.map(
      ({ field, packet, expected }) =>
        `${field} ${packet ?? 'none'} instead of ${expected ?? 'none'}`,
    );
    const found = `packets come that ${nearest.tunnel} would take but for ${differs.join(' and ')}`;
    const next = adviceOn(explanation);
    return [{ severity, tunnel: nearest.tunnel, found, ...(next === null ? {} : { next }) }];
  });
}

function distinct(outcomes: readonly Outcome[]): Outcome[] {
  return [...new Map(outcomes.map((outcome) => [outcome.found, outcome])).values()];
}
