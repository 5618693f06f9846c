import { passOnCapabilities } from '../sys/ambient.js';
import { type Capability, hasCapabilities } from '../sys/capability.js';
import { EXIT, Failure } from '../sys/failure.js';
import { CAPABILITY_HINT } from '../sys/socket.js';

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW'];

/**
 * Throws a Failure that names what is missing when this process may not make devices and raw sockets. Otherwise the
 * programs that it starts may, too.
 */
export function requireCapabilities(): void {
  const missing = NEEDED.filter((name) => !hasCapabilities([name]));
  if (missing.length === 0) {
    passOnCapabilities(NEEDED);
    return;
  }
  throw new Failure(
    EXIT.noPermission,
    `a router needs ${missing.join(' and ')}, which this process does not have`,
    CAPABILITY_HINT,
  );
}
