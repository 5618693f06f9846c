import type { Paint } from '../config/diagnostic.js';
import type { Explanation } from '../packet/explain.js';
import { adviceOn } from './advice.js';
import { formatNearest } from './format-packet.js';

const NAME_WIDTH = 16;

/**
 * An explanation for a person: a line a check, the verdict, and what to do.
 *
 *     ✓ outer header     IPv4, 198.51.100.2 -> 192.0.2.1, protocol 47, whole
 *     ✓ GRE header       key 8, no checksum, type 0x0800
 *     ✗ tunnel           none for GRE, 198.51.100.2 -> 192.0.2.1, key 8
 *     dropped: no-tunnel
 *     nearest: gre1: key 8, expected 7
 *     next: in [tunnel.gre1]: key = 8; or at the peer: key 7
 */
export function formatExplanation(explanation: Explanation, paint: Paint): string {
  const { stages, reason, nearest } = explanation;
  const lines = stages.map(({ name, passed, detail }) => {
    const line = `${passed ? '✓' : '✗'} ${name.padEnd(NAME_WIDTH)} ${detail}`;
    return passed ? line : paint('red', line);
  });
  if (reason === null) lines.push(paint('green', passedText(explanation)));
  else lines.push(paint('bold', `dropped: ${reason}`));
  if (nearest !== null) lines.push(`nearest: ${formatNearest(nearest)}`);
  const advice = adviceOn(explanation);
  if (advice !== null) lines.push(`next: ${advice}`);
  return lines.join('\n');
}

function passedText({ direction, tunnel, verdict }: Explanation): string {
  if (verdict === 'early') return `early: ${tunnel} keeps it until its turn has come`;
  if (verdict === 'local')
    return `local: it ends at the router itself, which asks or answers by ${tunnel}`;
  return direction === 'decap'
    ? `forwarded: it comes out of ${tunnel}`
    : `forwarded: sent by ${tunnel}`;
}
