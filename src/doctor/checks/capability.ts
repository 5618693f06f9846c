import { type Capability, hasCapabilities } from '../../sys/capability.js';
import { CAPABILITY_HINT } from '../../sys/socket.js';
import type { Check } from '../check.js';
import type { Subject } from '../subject.js';

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW'];

/** Whether a router that this user starts may make devices and raw sockets. One that runs may. */
export const capability: Check = {
  looks: 'the capabilities of this process, which a router it starts would have',
  fine: 'CAP_NET_ADMIN and CAP_NET_RAW are there',
  isOfMachine: true,
  examine: ({ router, routerConfig }: Subject) => {
    if (router.kind === 'running') return [{ severity: 'ok', found: 'the router runs' }];
    if (routerConfig?.underlay === 'memory') return [];
    const missing = NEEDED.filter((name) => !hasCapabilities([name]));
    if (missing.length === 0) return [];
    const found = `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`;
    // A router may run with rights that this user has not.
    if (router.kind === 'unknown') return [{ severity: 'note', found }];
    return [{ severity: 'error', found, next: CAPABILITY_HINT }];
  },
};
