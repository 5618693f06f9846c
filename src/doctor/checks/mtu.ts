import { outerLength, overhead } from '../../packet/tunnel.js';
import type { Check } from '../check.js';
import type { Echo } from '../echo.js';
import type { Outcome } from '../finding.js';
import { pathKey } from '../machine.js';
import { asTunnel, pathsOf, type Subject, type Target } from '../subject.js';

/** Whether the largest packets of each tunnel get through. */
export const mtu: Check = {
  looks: 'the MTU of each tunnel, of the way to its remote, and of what was learned of it',
  fine: 'the way to every remote takes the largest packets of its tunnel, as far as the kernel knows',
  examine: (subject: Subject) => {
    const outcomes = subject.targets.flatMap((target) => examineOne(subject, target));
    const isUnasked = subject.echoes === undefined && outcomes.length === 0;
    return isUnasked ? [{ severity: 'ok', found: `${mtu.fine}; to try it: --probe` }] : outcomes;
  },
};

function examineOne({ machine, echoes }: Subject, target: Target): Outcome[] {
  const tunnel = asTunnel(target);
  const { name, status } = target;
  const learned = learnedOutcome(target);
  if (tunnel === undefined) return learned;
  // A router that runs has its MTU from the way; without one only a written one may be wrong.
  const inner = status?.mtu ?? target.config?.mtu;
  const wanted = inner === undefined ? undefined : inner + overhead(tunnel);
  const outcomes = pathsOf(target).flatMap((path): Outcome[] => {
    const way = machine.routes.get(pathKey(path));
    const known = way?.metrics?.[0]?.mtu ?? machine.links.get(way?.dev ?? '')?.mtu;
    const tried = echoes?.get(path.remote);
    const size = wanted ?? known;
    if (tried !== undefined && size !== undefined) {
      const hole = holeOutcome(name, path.remote, tried, size, outerLength(tunnel));
      if (hole !== undefined) return [hole];
    }
    if (wanted === undefined || known === undefined || wanted <= known) return [];
    const found = `its largest packets are ${wanted} bytes outside, and the way to ${path.remote} takes ${known}`;
    const next = `in [tunnel.${name}]: mtu = ${known - overhead(tunnel)}, or leave mtu out`;
    return [{ severity: status === undefined ? 'warning' : 'note', tunnel: name, found, next }];
  });
  return [...learned, ...outcomes];
}

function learnedOutcome({ name, status, remotes }: Target): Outcome[] {
  if (status?.pathMtu === undefined || status.pathMtu >= status.mtu) return [];
  const found = `its path was found to take ${status.pathMtu} bytes inside, less than its MTU of ${status.mtu}`;
  return [
    { severity: 'note', tunnel: name, found, next: `ip route get ${remotes[0] ?? 'REMOTE'}` },
  ];
}

/** Small packets are answered, those of full size are not, and no router says why. */
function holeOutcome(
  name: string,
  remote: string,
  { roundTripMs, largest, fullSize }: Echo,
  size: number,
  outer: number,
): Outcome | undefined {
  if (roundTripMs === undefined || largest >= Math.min(size, fullSize)) return undefined;
  const found = `packets of up to ${largest} bytes to ${remote} are answered, those of ${Math.min(size, fullSize)} vanish and no router says so: a black hole`;
  const next = `in [tunnel.${name}]: mtu = ${largest - outer}; and let ICMP "fragmentation needed" pass on the way`;
  return { severity: 'error', tunnel: name, found, next };
}
