// What is different between two statuses of a router: the events of the second between them.

import type { Drops, RouterStatus, TunnelStatus } from '../router/contract.js';
import type { LiveEvent, Traffic } from './event.js';
import { statusMessage } from './message.js';

/** A status, and when it was asked for. */
export interface Sample {
  readonly timeMs: number;
  /** By a clock that nobody sets. */
  readonly steadyMs: number;
  readonly status: RouterStatus;
}

/** The events that lead from `before` to `after`. */
export function eventsBetween(before: Sample, after: Sample): LiveEvent[] {
  if (isOther(before.status, after.status)) return [statusEvent(after)];
  const { timeMs, status } = after;
  const earlier = new Map(before.status.tunnels.map((tunnel) => [tunnel.name, tunnel]));
  // A tunnel may be called __proto__: the names are keys of no object until all are there.
  const traffic = new Map<string, { rx: Traffic; tx: Traffic }>();
  const dropped = new Map<string, Drops>();
  const states: LiveEvent[] = [];
  for (const tunnel of status.tunnels) {
    const old = earlier.get(tunnel.name);
    if (old === undefined) continue;
    const rx = difference(old.rx, tunnel.rx);
    const tx = difference(old.tx, tunnel.tx);
    if (rx.packets + tx.packets > 0) traffic.set(tunnel.name, { rx, tx });
    const drops = newCounts(old.drops, tunnel.drops);
    if (drops !== undefined) dropped.set(tunnel.name, drops);
    if (old.state !== tunnel.state || old.downReason !== tunnel.downReason) {
      states.push(stateEvent(timeMs, tunnel));
    }
  }
  const none = newCounts(before.status.drops, status.drops);
  const kernel = newCounts<string>({ ...before.status.kernelDrops }, { ...status.kernelDrops });
  const seconds = (after.steadyMs - before.steadyMs) / 1000;
  const passed = Object.fromEntries(traffic);
  const events: LiveEvent[] = [{ kind: 'traffic', data: { timeMs, seconds, tunnels: passed } }];
  if (none !== undefined || kernel !== undefined || dropped.size > 0) {
    const tunnels = Object.fromEntries(dropped);
    const data = { timeMs, tunnels, none: none ?? {}, kernel: kernel ?? {} };
    events.push({ kind: 'drops', data });
  }
  return [...events, ...states];
}

/** A sample as a whole. */
export function statusEvent({ timeMs, status }: Sample): LiveEvent {
  return { kind: 'status', data: { timeMs, status: statusMessage(status) } };
}

function stateEvent(timeMs: number, { name, state, downReason }: TunnelStatus): LiveEvent {
  const data = { timeMs, tunnel: name, state, ...(downReason === undefined ? {} : { downReason }) };
  return { kind: 'state', data };
}

/** Whether the differences of counters do not tell all: other tunnels, other settings, counters that began anew. */
function isOther(before: RouterStatus, after: RouterStatus): boolean {
  if (before.codec !== after.codec || before.underlay !== after.underlay) return true;
  if (before.tunnels.length !== after.tunnels.length) return true;
  return after.tunnels.some((tunnel, index) => {
    const old = before.tunnels[index];
    return (
      old === undefined ||
      settingsOf(old) !== settingsOf(tunnel) ||
      old.rx.packets > tunnel.rx.packets ||
      old.tx.packets > tunnel.tx.packets ||
      newCounts(tunnel.drops, old.drops) !== undefined
    );
  });
}

function settingsOf({ name, mode, local, remote, remoteAddress, mtu, pathMtu }: TunnelStatus) {
  return `${name} ${mode} ${local} ${remote} ${remoteAddress} ${mtu} ${pathMtu}`;
}

function difference(old: Traffic, now: Traffic): Traffic {
  return { packets: now.packets - old.packets, bytes: now.bytes - old.bytes };
}

/** What was counted since, or undefined where nothing was. */
function newCounts<K extends string>(
  old: Partial<Record<K, number>>,
  now: Partial<Record<K, number>>,
): Partial<Record<K, number>> | undefined {
  let found: Partial<Record<K, number>> | undefined;
  for (const key in now) {
    const count = (now[key] ?? 0) - (old[key] ?? 0);
    if (count <= 0) continue;
    found ??= {};
    found[key] = count;
  }
  return found;
}
