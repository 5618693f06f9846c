import { isGroupAddress } from '../addresses.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { pathKey } from '../machine.js';
import { pathsOf, type Subject, type Target } from '../subject.js';

/** Whether the outer addresses that tunnels send from are this machine's. */
export const local: Check = {
  looks: 'local of each tunnel, and the addresses of this machine (ip -j address)',
  fine: 'the machine has every local address',
  examine: (subject: Subject) => subject.targets.flatMap((target) => examineOne(subject, target)),
};

function examineOne({ machine }: Subject, target: Target): Outcome[] {
  const { name, local: own } = target;
  if (own === 'any' || isGroupAddress(own)) return [];
  const found = machine.addresses.filter(({ address }) => address === own);
  const [first] = found;
  if (first === undefined) {
    const place = placeFor(machine, target) ?? 'DEVICE';
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
    const next = `ip -6 address show dev ${first.device}; see tentative, dadfailed`;
    return [{ severity: 'warning', tunnel: name, found: text, next }];
  }
  if (flags.includes('UP')) return [];
  const text = `local ${own} is on ${first.device}, which is down`;
  const next = `sudo ip link set dev ${first.device} up`;
  return [{ severity: 'error', tunnel: name, found: text, next }];
}

/** The device that an address for a tunnel belongs on: where its packets leave, or the only one that there is. */
function placeFor(machine: Subject['machine'], target: Target): string | undefined {
  const ways = pathsOf(target).map((path) => machine.routes.get(pathKey(path))?.dev);
  const others = [...machine.links.values()].filter(
    ({ link_type, linkinfo }) => link_type === 'ether' && linkinfo?.info_kind !== 'tun',
  );
  const only = others.length === 1 ? others[0]?.ifname : undefined;
  return target.dev ?? ways.find((device) => device !== undefined) ?? only;
}
