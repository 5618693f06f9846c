// The hardware address of a tunnel's TAP device: the same after a restart, so that what neighbours have learned of it
// stays true.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** machine-id(5), and its place before systemd. */
const MACHINE_ID = ['/etc/machine-id', '/var/lib/dbus/machine-id'];

/**
 * The address of the device of tunnel `name`, as ip(8) takes it: 46 bits of a hash over the machine, the name and the
 * outer address of our side, behind the two that make it a locally administered unicast address (IEEE 802, 8.2).
 * Undefined on a machine that has no identity: it is for the kernel to choose then, another each time.
 *
 * With the outer address two ends on one machine, or on clones that share their identity, have different ones.
 */
export function hardwareAddress(
  { name, local }: { readonly name: string; readonly local: string },
  machine: string | undefined,
): string | undefined {
  if (machine === undefined) return undefined;
  // machine-id(5): not to be shown, nor anything that it could be read from.
  const hash = createHash('sha256').update(`grebe tap ${machine} ${name} ${local}`).digest();
  hash[0] = ((hash[0] ?? 0) & 0xfc) | 0x02;
  return hash
    .subarray(0, 6)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:');
}

/** What tells this machine from others, or undefined. */
export function readMachineId(places: readonly string[] = MACHINE_ID): string | undefined {
  for (const place of places) {
    try {
      const text = readFileSync(place, 'utf8').trim();
      if (/^[0-9a-f]{32}$/.test(text)) return text;
    } catch {
      // The next place, or none.
    }
  }
  return undefined;
}
