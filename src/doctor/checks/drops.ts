import type { TunnelStatus } from '../../router/contract.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { statusLater } from '../later.js';
import type { Subject } from '../subject.js';

/** More than one packet in so many is worth a warning. */
const SHARE = 100;
/** Fewer of them are no sign of anything: a trace route, a first packet that was too long, a device set up anew. */
const FEW = 10;
/** How long a tunnel is watched that dropped more: packets that pass, and none dropped, are the end of it. */
const WATCH_MS = 1500;

/** Whether tunnels drop packets that are theirs. */
export const drops: Check = {
  looks: 'the drops of each tunnel, by reason (grebe status)',
  fine: 'no tunnel drops packets',
  examine: async ({ router, targets }: Subject) => {
    const tunnels = targets.flatMap(({ status }) => (status === undefined ? [] : [status]));
    if (router.kind !== 'running' || !tunnels.some(isMuch)) return tunnels.flatMap(outcomeOf);
    const later = await statusLater(router, WATCH_MS);
    return tunnels.flatMap((one) => {
      const now = later.get(one.name);
      const isOver = now !== undefined && sum(now) === sum(one) && passed(now) > passed(one);
      return outcomeOf(one).map((outcome) => (isOver ? past(outcome) : outcome));
    });
  },
};

function outcomeOf(status: TunnelStatus): Outcome[] {
  const counts = Object.entries(status.drops).sort(([, a], [, b]) => b - a);
  const total = sum(status);
  if (total === 0) return [];
  const severity = passed(status) === 0 ? 'error' : isMuch(status) ? 'warning' : 'note';
  const reasons = counts.slice(0, 3).map(([reason, count]) => `${count} ${reason}`);
  const more = counts.length > reasons.length ? ', and others' : '';
  const found = `${total} packets dropped beside ${passed(status)} that passed: ${reasons.join(', ')}${more}`;
  const next = `grebe trace ${status.name} --drops -n 3`;
  return [{ severity, tunnel: status.name, found, next }];
}

/** Of drops that came to an end. */
function past(outcome: Outcome): Outcome {
  const found = `${outcome.found}; none within ${WATCH_MS} ms, while others passed`;
  return outcome.severity === 'warning' ? { ...outcome, severity: 'note', found } : outcome;
}

function isMuch(status: TunnelStatus): boolean {
  const total = sum(status);
  return passed(status) > 0 && total >= FEW && total * SHARE > passed(status);
}

function sum({ drops: counts }: TunnelStatus): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function passed({ rx, tx, localPackets }: TunnelStatus): number {
  return rx.packets + tx.packets + localPackets;
}
