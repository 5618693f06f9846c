import { resolveAdjacencies } from '../../sys/adjacency.js';
import { type Capability, hasCapabilities } from '../../sys/capability.js';
import { hasIpsecPolicies } from '../../sys/ip.js';
import { isKernelAtLeast } from '../../sys/kernel.js';
import { close, errno, errnoName, getrlimit, NativeBlock, socket } from '../../sys/libc.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { pathsOf, type Subject } from '../subject.js';

/** With one of these the limit does not count, or can be raised. */
const MAY_LOCK: readonly Capability[] = ['CAP_IPC_LOCK', 'CAP_SYS_RESOURCE'];

const AF_XDP = 44;
const SOCK_RAW_CLOEXEC = 0o2000003;
const RLIMIT_MEMLOCK = 8;
/** What sockets of a queue lock at least: their frames and rings. Kernels from 5.11 on count only those. */
const LOCKED_MIN = 8 * 1024 * 1024;

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
    const next = 'what it said at its start: journalctl -u grebe | grep -i xdp';
    const why =
      obstacles.length === 0 ? `${fallen}; nothing in the way is to be seen from here` : fallen;
    return [{ severity: 'warning', found: why, next }, ...obstacles];
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
  // What this user may not, the router may: it was started otherwise.
  if (router.kind === 'absent') outcomes.push(...rightsOutcomes());
  if (await hasIpsecPolicies()) {
    const found = 'there are IPsec policies, which frames would pass';
    outcomes.push({ severity: 'warning', found, next: 'sudo ip xfrm policy; or underlay = "raw"' });
  }
  for (const [index, adjacency] of (await resolveAdjacencies(targets.flatMap(pathsOf))).entries()) {
    const tunnel = targets.flatMap((one) => pathsOf(one).map(() => one.name))[index];
    const { remote } = adjacency.path;
    const cause = CAUSES[adjacency.kind];
    if (cause === undefined || tunnel === undefined) continue;
    const next = `ip route get ${remote}; ip neigh get ${remote} dev DEVICE`;
    outcomes.push({ severity: 'note', tunnel, found: `no frames to ${remote}: ${cause}`, next });
  }
  for (const { ifname = '', xdp: attached } of machine.links.values()) {
    if (attached === undefined || router.kind !== 'absent') continue;
    const found = `another program has XDP on ${ifname}`;
    const next = `sudo ip link set dev ${ifname} xdp off`;
    outcomes.push({ severity: 'warning', found, next });
  }
  return outcomes;
}

/** Why no frames go to a remote; raw sockets serve it meanwhile. */
const CAUSES: Readonly<Partial<Record<string, string>>> = {
  'no-route': 'there is no route',
  'not-ethernet': 'the device is no Ethernet',
  'not-unicast': 'it is not the address of one other machine',
  'link-down': 'the device is down',
  'no-neighbour': 'its hardware address is not known yet',
};

function rightsOutcomes(): Outcome[] {
  const outcomes: Outcome[] = [];
  const isAllowed =
    hasCapabilities(['CAP_NET_ADMIN', 'CAP_NET_RAW']) &&
    (hasCapabilities(['CAP_BPF']) || hasCapabilities(['CAP_SYS_ADMIN']));
  if (!isAllowed) {
    const found =
      'CAP_BPF (or CAP_SYS_ADMIN), CAP_NET_ADMIN and CAP_NET_RAW are needed, and not all are there';
    const next =
      'systemd: AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_NET_RAW; or underlay = "raw"';
    outcomes.push({ severity: 'warning', found, next });
  }
  const locked = lockedLimit();
  if (locked < BigInt(LOCKED_MIN)) {
    const found = `only ${locked / 1024n} KiB of memory may be locked (RLIMIT_MEMLOCK), which AF_XDP does with its frames`;
    const next = 'ulimit -l unlimited; systemd: LimitMEMLOCK=infinity';
    outcomes.push({ severity: 'warning', found, next });
  }
  return outcomes;
}

/** The most that a router could lock: its hard limit, which it takes. */
function lockedLimit(): bigint {
  const limit = new NativeBlock(16);
  if (
    getrlimit(RLIMIT_MEMLOCK, limit.address) !== 0 ||
    MAY_LOCK.some((name) => hasCapabilities([name]))
  ) {
    return 1n << 62n;
  }
  return limit.view.getBigUint64(8, true);
}
