import { formatPrefix, network } from '../../packet/address.js';
import { carries } from '../../packet/tunnel.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { deviceSetting, pathKey, readCounter, readSetting } from '../machine.js';
import { outerVersionOf, pathsOf, type Subject, type Target } from '../subject.js';

const STRICT = 1;

/**
 * Whether strict reverse path filtering (rp_filter 1; RFC 3704, 2.2) can take packets from a tunnel: those of the peer
 * that come by another device than the way back leaves by, and inner ones whose senders are not routed to the tunnel.
 */
export const reversePath: Check = {
  looks: 'net.ipv4.conf.*.rp_filter, with the devices that packets come and go by',
  fine: 'no packet of a tunnel comes by another device than its way back',
  examine: (subject: Subject) =>
    subject.targets.flatMap((target) => [...outer(subject, target), ...inner(subject, target)]),
};

/** The kernel takes the stricter of the two. */
function isStrict(device: string): boolean {
  const own = readSetting(`net/ipv4/conf/${device}/rp_filter`) ?? 0;
  const all = readSetting('net/ipv4/conf/all/rp_filter') ?? 0;
  return Math.max(own, all) === STRICT;
}

function outer({ machine }: Subject, target: Target): Outcome[] {
  if (outerVersionOf(target) === 6) return [];
  const { name, local, dev } = target;
  const arrival = dev ?? machine.addresses.find(({ address }) => address === local)?.device;
  if (arrival === undefined || arrival === 'lo' || !isStrict(arrival)) return [];
  return pathsOf(target).flatMap((path): Outcome[] => {
    const leaving = machine.routes.get(pathKey(path))?.dev;
    if (leaving === undefined || leaving === arrival) return [];
    const dropped = readCounter('TcpExt', 'IPReversePathFilter') ?? 0;
    const found = `rp_filter is strict on ${arrival}, where packets for ${local} come in, and the way back to ${path.remote} leaves by ${leaving}: the kernel drops them (${dropped} dropped so far)`;
    const next = `${loosen(arrival)}; or a route back: sudo ip route replace ${path.remote} dev ${arrival}`;
    return [{ severity: dropped > 0 ? 'error' : 'warning', tunnel: name, found, next }];
  });
}

/** 2 on one device is enough: the kernel takes the larger number of device and `all`. */
function loosen(device: string): string {
  return `sudo sysctl -w ${deviceSetting('ipv4', device, 'rp_filter')}=2`;
}

function inner({ machine }: Subject, { name, mode, config }: Target): Outcome[] {
  if (config === undefined || carries(mode) === 'ethernet' || carries(mode) === 6) return [];
  if (!machine.links.has(name) || !isStrict(name)) return [];
  if (config.allow === 'any') {
    const found = `rp_filter is strict on ${name}: the kernel drops what comes from senders that are not routed to it, though allow = ["any"]`;
    return [{ severity: 'warning', tunnel: name, found, next: loosen(name) }];
  }
  const unrouted = config.allow
    .filter(({ address }) => !address.includes(':'))
    .map((prefix) => formatPrefix(network(prefix) ?? prefix))
    .filter((prefix) => !machine.installed.has(`${name} ${prefix.replace(/^0.*\/0$/, 'default')}`));
  const [first] = unrouted;
  if (first === undefined) return [];
  const found = `rp_filter is strict on ${name}, and ${first} is in allow but not routed to it: the kernel drops what comes from there`;
  const next = `${loosen(name)}; or a route: sudo ip route add ${first} dev ${name}`;
  return [{ severity: 'warning', tunnel: name, found, next }];
}
