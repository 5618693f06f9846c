import { formatPrefix } from '../../packet/address.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { pathKey } from '../machine.js';
import { pathsOf, type Subject, type Target } from '../subject.js';

/** Whether there is a way to each remote outside of the tunnels, and into each tunnel for what is behind it. */
export const route: Check = {
  looks: 'the way to each remote (ip route get), and the routes into each tunnel (ip route)',
  fine: 'there is a way to every remote, and one into every tunnel',
  examine: (subject: Subject) =>
    subject.targets.flatMap((target) => [
      ...outerWays(subject, target),
      ...innerRoutes(subject, target),
    ]),
};

function outerWays({ machine, targets }: Subject, target: Target): Outcome[] {
  const { name: tunnel } = target;
  return pathsOf(target).flatMap((path): Outcome[] => {
    const { remote, dev } = path;
    const way = machine.routes.get(pathKey(path));
    const bits = remote.includes(':') ? 128 : 32;
    const through = dev === undefined ? '' : ` dev ${dev}`;
    const next = `sudo ip route replace ${remote}/${bits} via GATEWAY${through}`;
    if (way?.dev === undefined) {
      const found = `there is no route to the remote ${remote}${through}`;
      return [{ severity: 'error', tunnel, found, next }];
    }
    if (way.type !== undefined && way.type !== 'unicast') {
      const what = way.type === 'local' ? 'an address of this machine' : `of type ${way.type}`;
      const found = `the remote ${remote} is ${what}`;
      return [{ severity: 'error', tunnel, found, next: `ip route get ${remote}` }];
    }
    if (way.dev === tunnel) {
      const found = `the route to the remote ${remote} leads into the tunnel itself`;
      return [{ severity: 'error', tunnel, found, next }];
    }
    const circle = circleOf(way.dev, tunnel, targets, machine);
    if (circle === undefined) return [];
    const found = `the route to the remote ${remote} leads through ${circle}, whose own remote is reached through ${tunnel}`;
    return [{ severity: 'error', tunnel, found, next }];
  });
}

/** The tunnel that the way of `tunnel` goes through, where that one's way comes back. */
function circleOf(
  device: string,
  tunnel: string,
  targets: readonly Target[],
  machine: Subject['machine'],
): string | undefined {
  const through = targets.find((target) => target.name === device);
  const isBack =
    through && pathsOf(through).some((path) => machine.routes.get(pathKey(path))?.dev === tunnel);
  return isBack ? device : undefined;
}

/** Routes of the config that a running router's device has lost. */
function innerRoutes({ machine, router }: Subject, { name, config }: Target): Outcome[] {
  if (router.kind !== 'running' || config === undefined || !machine.links.has(name)) return [];
  const wanted = [...config.routes, ...config.peers.flatMap((peer) => peer.routes)];
  const lost = wanted
    .map(formatPrefix)
    .filter((prefix) => !machine.installed.has(`${name} ${installedAs(prefix)}`));
  const [first] = lost;
  if (first === undefined) return [];
  const others = lost.length === 1 ? '' : ` and ${lost.length - 1} more`;
  const family = first.includes(':') ? ' -6' : '';
  const found = `no route leads ${first}${others} into ${name}`;
  const next = `sudo ip${family} route add ${first} dev ${name}`;
  return [{ severity: 'error', tunnel: name, found, next }];
}

function installedAs(prefix: string): string {
  return prefix.endsWith('/0') ? 'default' : prefix;
}
