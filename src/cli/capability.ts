import { readFileSync } from 'node:fs';
import { EXIT, Failure } from '../sys/failure.js';
import { CAPABILITY_HINT } from '../sys/socket.js';

/** Bits of linux/capability.h. */
const CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;

/** Throws a Failure that names what is missing when this process may not make devices and raw sockets. */
export function requireCapabilities(): void {
  const effective = effectiveCapabilities();
  const missing = Object.entries(CAPABILITIES)
    .filter(([, bit]) => ((effective >> bit) & 1n) === 0n)
    .map(([name]) => name);
  if (missing.length === 0) return;
  throw new Failure(
    EXIT.noPermission,
    `a router needs ${missing.join(' and ')}, which this process does not have`,
    CAPABILITY_HINT,
  );
}

/** The capability set that the kernel checks. All bits where it cannot be read: then the kernel will say. */
function effectiveCapabilities(): bigint {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    return hex === undefined ? ~0n : BigInt(`0x${hex}`);
  } catch {
    return ~0n;
  }
}
