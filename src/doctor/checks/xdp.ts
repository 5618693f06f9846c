import { isName } from '../../config/host-name.js';
import { resolveAdjacencies } from '../../sys/adjacency.js';
import { type Capability, hasCapabilities } from '../../sys/capability.js';
import { hasIpsecPolicies } from '../../sys/ip.js';
import { isKernelAtLeast } from '../../sys/kernel.js';
import { close, errno, errnoName, socket } from '../../sys/libc.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { readText } from '../machine.js';
import { listenerOf } from '../processes.js';
import { pathsOf, type Subject, type Target } from '../subject.js';

/** With one of these the limit does not count, or can be raised. */
const MAY_LOCK: readonly Capability[] = ['CAP_IPC_LOCK', 'CAP_SYS_RESOURCE'];

const AF_XDP = 44;
const SOCK_RAW_CLOEXEC = 0o2000003;
/** What the socket of a device with one queue locks: its frames. */
const LOCKED_MIN = 20 * 1024 * 1024;

const SAID = 'what it said at its start: journalctl -u grebe | grep -i xdp';
/** Of the router's program, as `ip -d link` has it. */
const PROGRAM_NAME = 'grebe_redirect';

/** Whether AF_XDP is to be had where the config asks for it, and why not. */
export const xdp: Check = {
  looks: 'what AF_XDP needs: kernel, capabilities, locked memory, devices and next hops',
  fine: 'AF_XDP is to be had',
  examine: async (subject: Subject) => {
    const { routerConfig, router } = subject;
    const isWanted = routerConfig?.underlay === 'xdp';
    if (!isWanted) return [{ severity: 'ok', found: 'not asked for: underlay is not "xdp"' }];
    const obstacles = await obstaclesOf(subject);
    const isUsed = router.kind === 'running' && router.status.underlay === 'xdp';
    if (router.kind !== 'running') return obstacles;
    if (isUsed) return obstacles.filter(({ tunnel }) => tunnel !== undefined);
    const fallen = 'the config asks for AF_XDP, and the router uses raw sockets';
    const why =
      obstacles.length === 0 ? `${fallen}; nothing in the way is to be seen from here` : fallen;
    return [{ severity: 'warning', found: why, next: SAID }, ...obstacles];
  },
};

async function obstaclesOf({ targets, machine, router }: Subject): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const fd = socket(AF_XDP, SOCK_RAW_CLOEXEC, 0);
  const error = fd < 0 ? errnoName(errno()) : '';
  if (fd >= 0) close(fd);
  if (error === 'EAFNOSUPPORT' || !isKernelAtLeast(5, 4)) {
    const next = 'a kernel with CONFIG_XDP_SOCKETS=y; or underlay = "raw"';
    outcomes.push({ severity: 'warning', found: 'this kernel has no AF_XDP sockets', next });
  }
  // What this user may not, the router may: its own rights count, where they can be looked at.
  const process = router.kind === 'running' ? listenerOf(router.socket) : 'self';
  if (router.kind !== 'unknown' && process !== undefined) outcomes.push(...rightsOutcomes(process));
  if (await hasIpsecPolicies()) {
    const found = 'there are IPsec policies, which frames would pass';
    outcomes.push({ severity: 'warning', found, next: 'sudo ip xfrm policy; or underlay = "raw"' });
  }
  const ways = targets.flatMap((target) => pathsOf(target).map((path) => ({ target, path })));
  const devices = new Map<string, Target>();
  for (const [index, adjacency] of (
    await resolveAdjacencies(ways.map(({ path }) => path))
  ).entries()) {
    const target = ways[index]?.target;
    if (target === undefined) continue;
    if ('link' in adjacency && !isByName(target)) devices.set(adjacency.device, target);
    const cause = CAUSES[adjacency.kind];
    if (cause === undefined) continue;
    const { remote } = adjacency.path;
    const neighbour = 'link' in adjacency ? `; ip neigh show dev ${adjacency.device}` : '';
    const next = `ip route get ${remote}${neighbour}`;
    const found = `no frames to ${remote}: ${cause}`;
    outcomes.push({ severity: 'note', tunnel: target.name, found, next });
  }
  for (const [device, target] of devices) {
    outcomes.push(...programOutcomes(device, target, router, machine.links));
  }
  return outcomes;
}

/** The router attaches to the devices of peers with an address of their own alone. */
function isByName({ config }: Target): boolean {
  const ends = [config?.remote, ...(config?.peers ?? []).map((peer) => peer.remote)];
  return ends.some((end) => end !== undefined && end !== 'any' && isName(end));
}

/** Whether the device has the router's program, or could have it; else what is in the way. */
function programOutcomes(
  device: string,
  { name: tunnel }: Target,
  router: Subject['router'],
  links: Subject['machine']['links'],
): Outcome[] {
  if (router.kind === 'unknown') return [];
  const own = links.get(device);
  const isUsed = router.kind === 'running' && router.status.underlay === 'xdp';
  const isOurs = isUsed && (own?.xdp?.prog?.name ?? PROGRAM_NAME) === PROGRAM_NAME;
  if (own?.xdp !== undefined && isOurs) return [];
  const upper = [...links.values()].find(
    ({ ifname, link, xdp: attached }) =>
      attached !== undefined && (link === device || ifname === own?.master),
  );
  const place = own?.xdp === undefined ? upper?.ifname : device;
  if (place !== undefined) {
    const above = place === device ? '' : `, above ${device}: the kernel then takes none there`;
    const found = `another program has XDP on ${place}${above}`;
    const next = `sudo ip link set dev ${place} xdp off; where that is refused, end the process that holds it: sudo bpftool link`;
    return [{ severity: 'warning', tunnel, found, next }];
  }
  if (!isUsed) return [];
  const found = `the router has no XDP program on ${device}: raw sockets serve it`;
  return [{ severity: 'warning', tunnel, found, next: SAID }];
}

/** Why no frames go to a remote; raw sockets serve it meanwhile. */
const CAUSES: Readonly<Partial<Record<string, string>>> = {
  'no-route': 'there is no route',
  'not-ethernet': 'the device is no Ethernet',
  'not-unicast': 'it is not the address of one other machine',
  'link-down': 'the device is down',
  'no-neighbour': 'its hardware address is not known yet',
};

function rightsOutcomes(process: number | 'self'): Outcome[] {
  const outcomes: Outcome[] = [];
  const has = (...names: Capability[]): boolean => hasCapabilities(names, process);
  const isAllowed = has('CAP_NET_ADMIN', 'CAP_NET_RAW') && (has('CAP_BPF') || has('CAP_SYS_ADMIN'));
  if (!isAllowed) {
    const found =
      'CAP_BPF (or CAP_SYS_ADMIN), CAP_NET_ADMIN and CAP_NET_RAW are needed, and not all are there';
    const next =
      'systemd: AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_NET_RAW; or underlay = "raw"';
    outcomes.push({ severity: 'warning', found, next });
  }
  const locked = lockedLimit(process);
  const isUnlimited = MAY_LOCK.some((name) => has(name)) || locked === undefined;
  if (!isUnlimited && locked < LOCKED_MIN) {
    const found = `only ${locked >>> 10} KiB of memory may be locked (RLIMIT_MEMLOCK), and AF_XDP locks its frames: ${LOCKED_MIN >>> 10} KiB and more`;
    const next = 'ulimit -l unlimited; systemd: LimitMEMLOCK=infinity';
    outcomes.push({ severity: 'warning', found, next });
  }
  return outcomes;
}

/** Bytes that a process could lock at most: its hard limit, which a router takes. Undefined: no limit is known. */
function lockedLimit(process: number | 'self'): number | undefined {
  const limits = readText(`/proc/${process}/limits`);
  const hard = /^Max locked memory +\S+ +(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? undefined : Number(hard);
}
