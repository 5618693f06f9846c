import { isGre, type Mode } from '../../packet/tunnel.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { type Link, readText } from '../machine.js';
import { asTunnel, type Subject, type Target } from '../subject.js';

/** The kernel's module that takes the packets of a mode, too, and the device that comes with it. */
const MODULES: Readonly<
  Partial<Record<Mode, { readonly module: string; readonly fallback: string }>>
> = {
  gre: { module: 'ip_gre', fallback: 'gre0' },
  gretap: { module: 'ip_gre', fallback: 'gre0' },
  ipip: { module: 'ipip', fallback: 'tunl0' },
  sit: { module: 'sit', fallback: 'sit0' },
  ip6gre: { module: 'ip6_gre', fallback: 'ip6gre0' },
  ip6gretap: { module: 'ip6_gre', fallback: 'ip6gre0' },
  ip4ip6: { module: 'ip6_tunnel', fallback: 'ip6tnl0' },
  ip6ip6: { module: 'ip6_tunnel', fallback: 'ip6tnl0' },
};

/** `info_kind` of `ip -d link` by mode. */
const KINDS: Readonly<Partial<Record<Mode, string>>> = { ip4ip6: 'ip6tnl', ip6ip6: 'ip6tnl' };

/**
 * Whether the kernel's own tunnels take the same packets. A raw socket gets a copy of each, and the module its own:
 * where a device of it matches, the packet comes in twice; where none does, the module answers the peer with ICMP port
 * unreachable.
 */
export const kernelTunnel: Check = {
  looks: "the kernel's tunnel modules (/proc/modules) and their devices (ip -d link)",
  fine: 'no module of the kernel takes these packets, too',
  examine: ({ targets, machine }: Subject) => {
    const loaded = new Set(
      readText('/proc/modules')
        .split('\n')
        .map((line) => line.split(' ')[0] ?? ''),
    );
    return judgeKernelTunnels(targets, machine.links, loaded);
  },
};

export function judgeKernelTunnels(
  targets: readonly Target[],
  links: ReadonlyMap<string, Link>,
  loaded: ReadonlySet<string>,
): Outcome[] {
  const answering = new Set<string>();
  const outcomes: Outcome[] = [];
  for (const target of targets) {
    const twin = [...links.values()].find((link) => isTwin(link, target));
    if (twin?.ifname !== undefined) outcomes.push(twinOutcome(target, twin.ifname));
    const known = MODULES[target.mode];
    if (known === undefined) continue;
    const isThere = loaded.has(known.module) || links.has(known.fallback);
    if (isThere && twin === undefined) answering.add(known.module);
  }
  return [...outcomes, ...[...answering].map(moduleOutcome)];
}

function twinOutcome({ name }: Target, device: string): Outcome {
  const found = `the kernel's device ${device} takes the packets of ${name}, too: they come in twice`;
  return { severity: 'error', tunnel: name, found, next: `sudo ip link del dev ${device}` };
}

function moduleOutcome(module: string): Outcome {
  const found = `${module} is loaded, and answers each packet that it has no device for with ICMP port unreachable`;
  const next = `sudo rmmod ${module}; or let the answers not out: sudo nft ${silencing(module)}`;
  return { severity: 'warning', found, next };
}

/**
 * What nft(8) is told to keep back unreachable messages that quote a tunnel's packet: its protocol is byte 9 of an IPv4
 * header, byte 6 of an IPv6 header, behind 8 bytes of ICMP. Works with any ruleset, and twice.
 */
function silencing(module: string): string {
  const chain = 'chain inet grebe out {type filter hook output priority 0;}';
  const match = isOverIpv6(module)
    ? 'icmpv6 type destination-unreachable @th,112,8 {4,41,47}'
    : 'icmp type destination-unreachable @th,136,8 {4,41,47}';
  return `'add table inet grebe;add ${chain};add rule inet grebe out ${match} drop'`;
}

function isOverIpv6(module: string): boolean {
  return module.startsWith('ip6');
}

function isTwin({ linkinfo }: Link, target: Target): boolean {
  const kind = linkinfo?.info_kind;
  const data = linkinfo?.info_data;
  if (data === undefined || kind !== (KINDS[target.mode] ?? target.mode)) return false;
  const isEnd = (end: string | undefined, ours: readonly string[]): boolean =>
    end === undefined || end === 'any' || ours.includes(end);
  if (!isEnd(data.local, [target.local]) || !isEnd(data.remote, target.remotes)) return false;
  const isOpen = (data.local ?? 'any') === 'any' && (data.remote ?? 'any') === 'any';
  // gre0 and its like take what no other device does, but only while they are up, and for no key.
  if (isOpen && data.ikey === undefined) return false;
  const tunnel = asTunnel(target);
  if (tunnel === undefined || !isGre(tunnel)) return true;
  return keyOf(data.ikey) === tunnel.keyIn;
}

/** ip(8) writes keys as addresses: 0.0.0.42. */
function keyOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}
