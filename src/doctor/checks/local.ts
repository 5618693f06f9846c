import { isGroupAddress } from '../addresses.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import type { Subject, Target } from '../subject.js';

/** Whether the outer addresses that tunnels send from are this machine's. */
export const local: Check = {
  looks: 'local of each tunnel, and the addresses of this machine (ip -j address)',
  fine: 'the machine has every local address',
  examine: (subject: Subject) => subject.targets.flatMap((target) => examineOne(subject, target)),
};

function examineOne({ machine }: Subject, { name, local: own, dev }: Target): Outcome[] {
  if (own === 'any' || isGroupAddress(own)) return [];
  const found = machine.addresses.filter(({ address }) => address === own);
  const [first] = found;
  if (first === undefined) {
    const place = dev ?? machine.routes.values().next().value?.dev ?? 'DEVICE';
    const bits = own.includes(':') ? 128 : 32;
    return [
      {
        severity: 'error',
        tunnel: name,
        found: `local ${own} is no address of this machine`,
        next: `sudo ip address add ${own}/${bits} dev ${place}; which it has: ip -brief address`,
      },
    ];
  }
  const flags = machine.links.get(first.device)?.flags ?? [];
  if (found.every(({ isTentative }) => isTentative)) {
    const text = `local ${own} on ${first.device} is not usable yet, or another machine has it`;
    const next = `ip -6 address show dev ${first.device} (tentative, dadfailed)`;
    return [{ severity: 'warning', tunnel: name, found: text, next }];
  }
  if (flags.includes('UP')) return [];
  const text = `local ${own} is on ${first.device}, which is down`;
  const next = `sudo ip link set dev ${first.device} up`;
  return [{ severity: 'error', tunnel: name, found: text, next }];
}
