import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import type { Subject } from '../subject.js';

/** Whether there is a config to judge by, and whether the router that runs has it. */
export const config: Check = {
  looks: 'the config, and the router that runs',
  fine: 'the config is good, and the router runs with its tunnels',
  isOfMachine: true,
  examine: (subject) => [...configOutcomes(subject), ...routerOutcomes(subject)],
};

function configOutcomes({ configFault, file, unresolved, router }: Subject): Outcome[] {
  const names = unresolved.map(({ tunnel, cause }): Outcome => {
    const [host = ''] = cause.split(':');
    const next = `getent ahosts ${host}`;
    return { severity: 'error', tunnel, found: `cannot resolve ${cause}`, next };
  });
  if (configFault === undefined) return names;
  const found = configFault.message;
  // A router may run with a config in another place.
  const isMissing = configFault.exitCode === 66 && router.kind !== 'absent';
  const severity = isMissing ? 'unknown' : 'error';
  const next = configFault.hint ?? `grebe check ${file}`;
  return [{ severity, found, next }, ...names];
}

function routerOutcomes({ router, targets, file, configFault }: Subject): Outcome[] {
  switch (router.kind) {
    case 'absent':
      return [{ severity: 'note', found: router.fault, next: `grebe run --config ${file}` }];
    case 'unknown': {
      const next = router.hint === undefined ? {} : { next: router.hint };
      return [{ severity: 'unknown', found: router.fault, ...next }];
    }
    case 'running':
      break;
  }
  if (configFault !== undefined) return [];
  return targets.flatMap(({ name, config, status }): Outcome[] => {
    if ((config === undefined) === (status === undefined)) return [];
    const found =
      config === undefined
        ? `the router has ${name}, the config ${file} has not`
        : `the config ${file} has ${name}, the router has not`;
    return [{ severity: 'warning', tunnel: name, found, next: `grebe diff ${file}` }];
  });
}
