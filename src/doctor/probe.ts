import { type Echo, type EchoTarget, echo } from './echo.js';
import { pathKey } from './machine.js';
import { pathsOf, type Subject } from './subject.js';

/** Remotes that are asked at most: beyond, one tunnel at a time is the better question. */
const REMOTES_MAX = 256;
/** Remotes that are asked side by side. */
const AT_ONCE = 32;

/** Asks the remotes of all targets by ICMP echo. Throws a Failure where that is not permitted. */
export async function probeRemotes(subject: Subject): Promise<ReadonlyMap<string, Echo>> {
  const waiting = echoTargets(subject).slice(0, REMOTES_MAX);
  const echoes = new Map<string, Echo>();
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      echoes.set(next.remote, await echo(next));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return echoes;
}

/** Remotes that there is a way to, each once. */
function echoTargets({ targets, machine }: Subject): EchoTarget[] {
  const found = new Map<string, EchoTarget>();
  for (const target of targets) {
    const { dev } = target;
    const isOurs = machine.addresses.some(({ address }) => address === target.local);
    for (const path of pathsOf(target)) {
      const way = machine.routes.get(pathKey(path));
      const mtu = way?.metrics?.[0]?.mtu ?? machine.links.get(way?.dev ?? '')?.mtu;
      // Into a tunnel, or to ourselves: that is what the check of routes tells.
      const isOutside = way?.type === undefined || way.type === 'unicast';
      if (mtu === undefined || !isOutside || targets.some(({ name }) => name === way?.dev))
        continue;
      const local = isOurs ? target.local : undefined;
      found.set(path.remote, { remote: path.remote, local, dev, mtu });
    }
  }
  return [...found.values()];
}
