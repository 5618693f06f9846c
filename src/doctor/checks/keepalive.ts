import type { Keepalive } from '../../config/config.js';
import type { TunnelStatus } from '../../router/contract.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { statusLater } from '../later.js';
import { readSetting } from '../machine.js';
import type { Subject, Target } from '../subject.js';

/** A late answer is waited for: two intervals, within these limits. */
const WATCH_MIN_MS = 500;
const WATCH_MAX_MS = 3000;

/**
 * Whether keepalives keep time: an answer that takes longer than the peer is given (interval times count) counts as
 * none, however many come; and a flow that connection tracking has forgotten between two of them looks new to a
 * firewall.
 */
export const keepalive: Check = {
  looks: 'interval and count of keepalives and probes, with the answers and the way they take',
  fine: 'answers come well within the time that the peer is given',
  examine: async (subject: Subject) => {
    const late = await lateAnswers(subject);
    const timed = subject.targets.flatMap((target) => timing(subject, target));
    return [...late, ...timed];
  },
};

function asked({
  config,
}: Target): readonly (readonly [means: 'keepalive' | 'probe', Keepalive])[] {
  const every = [['keepalive', config?.keepalive] as const, ['probe', config?.probe] as const];
  return every.flatMap(([means, one]) => (one === undefined ? [] : [[means, one] as const]));
}

/** Tunnels that are down for unanswered questions while answers keep coming. */
async function lateAnswers({ router, targets }: Subject): Promise<Outcome[]> {
  const down = targets.flatMap((target) => {
    const found = asked(target).find(([means]) => means === target.status?.downReason);
    return found === undefined ? [] : [{ target, means: found[0], every: found[1] }];
  });
  if (router.kind !== 'running' || down.length === 0) return [];
  const longest = Math.max(...down.map(({ every }) => every.intervalMs * 2));
  const watchMs = Math.min(WATCH_MAX_MS, Math.max(WATCH_MIN_MS, longest));
  const later = await statusLater(router, watchMs);
  return down.flatMap(({ target, means, every }): Outcome[] => {
    const now = later.get(target.name);
    if (now?.downReason !== means || answers(now) === answers(target.status)) return [];
    const limit = `${every.intervalMs} ms times ${every.count}`;
    const found = `answers to its ${means}s come, but too late: the peer is given ${limit}`;
    const longer = `{ interval = "${Math.max(1000, every.intervalMs * 10)}ms", count = ${Math.max(3, every.count)} }`;
    const next = `in [tunnel.${target.name}]: ${means} = ${longer}; how long the way takes: grebe doctor ${target.name} --probe`;
    return [{ severity: 'error', tunnel: target.name, found, next }];
  });
}

function answers(status: TunnelStatus | undefined): number {
  return status?.localPackets ?? 0;
}

/** What the numbers alone say. */
function timing({ echoes }: Subject, target: Target): Outcome[] {
  const trips = target.remotes.flatMap((remote) => echoes?.get(remote)?.roundTripMs ?? []);
  const slowest = Math.max(0, ...trips);
  const forgotten = readSetting('net/netfilter/nf_conntrack_gre_timeout');
  return asked(target).flatMap(([means, { intervalMs, count }]): Outcome[] => {
    const tunnel = target.name;
    const change = `in [tunnel.${tunnel}]: ${means} with a longer interval`;
    if (slowest > intervalMs * count) {
      const found = `the way there and back takes ${Math.round(slowest)} ms, and its ${means}s are given ${intervalMs} ms times ${count}`;
      return [{ severity: 'error', tunnel, found, next: change }];
    }
    if (slowest * 2 > intervalMs * count) {
      const found = `the way there and back takes ${Math.round(slowest)} ms of the ${intervalMs} ms times ${count} that its ${means}s are given`;
      return [{ severity: 'warning', tunnel, found, next: change }];
    }
    if (means !== 'keepalive' || forgotten === undefined || intervalMs < forgotten * 1000)
      return [];
    const found = `connection tracking forgets GRE flows after ${forgotten} s, and keepalives go out every ${intervalMs / 1000} s: a firewall that lets answers in by state blocks the next packets of the peer`;
    const next = `in [tunnel.${tunnel}]: keepalive = { interval = "${Math.max(1, forgotten >> 1)}s" }`;
    return [{ severity: 'note', tunnel, found, next }];
  });
}
