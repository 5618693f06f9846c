import { carries } from '../../packet/tunnel.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { deviceSetting, readSetting } from '../machine.js';
import type { Subject, Target } from '../subject.js';

/** Kernel settings that a router would change, had it been let: under the service's unit they are read-only. */
export const settings: Check = {
  looks: 'kernel settings of forwarding and of the tunnel devices (/proc/sys/net)',
  fine: 'the settings are as tunnels want them',
  examine: (subject: Subject) => [
    ...forwarding(subject),
    ...subject.targets.flatMap((target) => deviceSettings(subject, target)),
  ],
};

/** A router for others has to forward; one that only its own programs use has not. */
function forwarding({ targets }: Subject): Outcome[] {
  const routed = targets.flatMap(({ config }) => config?.routes ?? []);
  const families = [
    { isUsed: routed.some(({ address }) => !address.includes(':')), name: 'net.ipv4.ip_forward' },
    {
      isUsed: routed.some(({ address }) => address.includes(':')),
      name: 'net.ipv6.conf.all.forwarding',
    },
  ];
  return families.flatMap(({ isUsed, name }): Outcome[] => {
    if (!isUsed || readSetting(name.replaceAll('.', '/')) !== 0) return [];
    const found = `${name} is 0: hosts behind this machine do not reach the tunnels`;
    return [{ severity: 'note', found, next: `sudo sysctl -w ${name}=1` }];
  });
}

function deviceSettings({ machine }: Subject, { name, mode, status }: Target): Outcome[] {
  if (status === undefined || !machine.links.has(name)) return [];
  const outcomes: Outcome[] = [];
  const ownSources = readSetting(`net/ipv4/conf/${name}/accept_local`);
  if (carries(mode) !== 'ethernet' && ownSources === 0) {
    const found = `accept_local of ${name} is 0: ICMP errors for what this machine sends into it do not arrive, so that its programs do not learn of too large packets`;
    const next = `sudo sysctl -w ${deviceSetting('ipv4', name, 'accept_local')}=1`;
    outcomes.push({ severity: 'note', tunnel: name, found, next });
  }
  if (carries(mode) === 4 && readSetting(`net/ipv6/conf/${name}/disable_ipv6`) === 0) {
    const found = `IPv6 is on at ${name}, which carries IPv4 alone: what the kernel says there is dropped and counted`;
    const next = `sudo sysctl -w ${deviceSetting('ipv6', name, 'disable_ipv6')}=1`;
    outcomes.push({ severity: 'note', tunnel: name, found, next });
  }
  return outcomes;
}
