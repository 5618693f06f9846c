import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import type { Subject, Target } from '../subject.js';

/** More than one packet in so many is worth a warning. */
const SHARE = 100;
/** Fewer of them are no sign of anything: a trace route, a first packet that was too long, a device set up anew. */
const FEW = 10;

/** Whether tunnels drop packets that are theirs. */
export const drops: Check = {
  looks: 'the drops of each tunnel, by reason (grebe status)',
  fine: 'no tunnel drops packets',
  examine: ({ targets }: Subject) => targets.flatMap(examineOne),
};

function examineOne({ name, status }: Target): Outcome[] {
  if (status === undefined) return [];
  const counts = Object.entries(status.drops).sort(([, a], [, b]) => b - a);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return [];
  const passed = status.rx.packets + status.tx.packets + status.localPackets;
  const isMuch = total >= FEW && total * SHARE > passed;
  const severity = passed === 0 ? 'error' : isMuch ? 'warning' : 'note';
  const reasons = counts.slice(0, 3).map(([reason, count]) => `${count} ${reason}`);
  const more = counts.length > reasons.length ? ', and others' : '';
  const found = `${total} packets dropped beside ${passed} that passed: ${reasons.join(', ')}${more}`;
  return [{ severity, tunnel: name, found, next: `grebe trace ${name} --drops -n 3` }];
}
