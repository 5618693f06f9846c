import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import type { Subject, Target } from '../subject.js';

/** Fewer are those of a moment: the device drops what comes while it has no carrier, too. */
const FEW = 10;

/** Whether the devices of a router that runs are there, up, and where this command looks. */
export const device: Check = {
  looks: 'the device of each tunnel (ip -j -d link)',
  fine: 'every device is as it has to be',
  examine: (subject: Subject) => {
    if (subject.router.kind === 'running') return runningDevices(subject);
    return subject.router.kind === 'absent' ? takenNames(subject) : [];
  },
};

function runningDevices({ targets, machine }: Subject): Outcome[] {
  const running = targets.filter(({ status }) => status !== undefined);
  const isElsewhere =
    running.length > 0 &&
    running.every(({ name, status }) => !machine.links.has(name) && !isLost(status));
  if (isElsewhere) {
    const found = `none of the router's devices is here: it runs in another network namespace`;
    const next = 'sudo ip netns exec NAME grebe doctor; which there are: ip netns list';
    return [{ severity: 'error', found, next }];
  }
  return running.flatMap((target) => examineOne(target, machine));
}

function isLost(status: Target['status']): boolean {
  return status?.downReason === 'device';
}

function examineOne({ name, status }: Target, { links }: Subject['machine']): Outcome[] {
  const link = links.get(name);
  if (link === undefined) {
    const found = `the device ${name} is gone: something removed it`;
    return [{ severity: 'error', tunnel: name, found, next: 'grebe reload' }];
  }
  if (!link.flags?.includes('UP')) {
    const next = `sudo ip link set dev ${name} up`;
    return [{ severity: 'error', tunnel: name, found: `the device ${name} is set down`, next }];
  }
  const lost = status?.queueDrops ?? 0;
  const sent = status?.tx.packets ?? 0;
  if (lost === 0) return [];
  const severity = lost >= FEW && lost * 100 > sent ? 'warning' : 'note';
  const found = `the kernel dropped ${lost} packets before the router read them: the queue of ${name} was full`;
  const next = `sudo ip link set dev ${name} txqueuelen 10000`;
  return [{ severity, tunnel: name, found, next }];
}

/** Names that a router which is to be started could not have. */
function takenNames({ targets, machine }: Subject): Outcome[] {
  return targets.flatMap(({ name }): Outcome[] => {
    const link = machine.links.get(name);
    if (link === undefined) return [];
    const kind = link.linkinfo?.info_kind ?? 'network';
    const found = `there is a ${kind} device ${name} already: a router cannot make its own`;
    const next = `what it is: ip -d link show dev ${name}; gone with: sudo ip link del dev ${name}`;
    return [{ severity: 'error', tunnel: name, found, next }];
  });
}
