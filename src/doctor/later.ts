import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus } from '../control/client.js';
import type { TunnelStatus } from '../router/contract.js';

/** Watches a running router for `ms`. Returns how its tunnels do then, by name. */
export async function statusLater(
  { socket }: { readonly socket: string },
  ms: number,
): Promise<ReadonlyMap<string, TunnelStatus>> {
  await sleep(ms);
  const { tunnels } = await fetchStatus(socket);
  return new Map(tunnels.map((tunnel) => [tunnel.name, tunnel]));
}
