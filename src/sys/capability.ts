import { readFileSync } from 'node:fs';

/** Bits of linux/capability.h that a router may want. */
export const CAPABILITIES = {
  CAP_NET_ADMIN: 12n,
  CAP_NET_RAW: 13n,
  CAP_IPC_LOCK: 14n,
  CAP_SYS_ADMIN: 21n,
  CAP_SYS_RESOURCE: 24n,
  CAP_BPF: 39n,
} as const;

export type Capability = keyof typeof CAPABILITIES;

/** Whether the process `pid` has each of these in force. True where it cannot be read: then the kernel will say. */
export function hasCapabilities(
  names: readonly Capability[],
  pid: number | 'self' = 'self',
): boolean {
  const effective = effectiveCapabilities(pid);
  return names.every((name) => ((effective >> CAPABILITIES[name]) & 1n) === 1n);
}

/** The capability set that the kernel checks; all bits where it cannot be read. */
function effectiveCapabilities(pid: number | 'self'): bigint {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    return hex === undefined ? ~0n : BigInt(`0x${hex}`);
  } catch {
    return ~0n;
  }
}
