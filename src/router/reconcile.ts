// The tunnels as they are and as they are to be -> steps, each of which can be undone.
//
//   1. codec      another build
//   2. switch     lanes and table without the tunnels that are rebuilt
//   3. unmake     whose devices go
//   4. make       devices of those and of new ones
//   5. network    addresses, routes and MTUs of all devices
//   6. switch     lanes and table with all tunnels as they are to be: the moment that it takes effect
//   7. unmake     devices of tunnels that are gone; nothing is left that could fail
//
// A step that fails leaves things as it found them. Those before it are then undone, the last one first.
import type { Fleet, Member } from './fleet.js';
import { type NetworkChange, type NetworkPlan, planNetwork, routeOwners } from './network.js';

export type Step =
  | { readonly kind: 'codec'; readonly before: string; readonly after: string }
  | { readonly kind: 'switch'; readonly before: Fleet; readonly after: Fleet }
  | { readonly kind: 'make'; readonly members: Fleet }
  | { readonly kind: 'unmake'; readonly members: Fleet }
  | { readonly kind: 'network'; readonly change: NetworkChange };

/** What carries out the parts of steps. Each throws a Failure when it cannot, and has changed nothing then. */
export interface Actuator {
  useCodec(name: string): Promise<unknown>;
  switchTo(fleet: Fleet): Promise<void>;
  makeDevices(members: Fleet): Promise<void>;
  unmakeDevices(members: Fleet): Promise<void>;
  /** Returns what undoes it. */
  changeNetwork(change: NetworkChange): Promise<() => Promise<void>>;
}

export interface PlanOptions {
  readonly before: Fleet;
  /** A member that is the same object as before is untouched. */
  readonly after: Fleet;
  /** Names of tunnels that get a new device. */
  readonly rebuilt: ReadonlySet<string>;
  /** What devices lack: as for `planNetwork`. */
  readonly absent?: NetworkPlan['absent'] | undefined;
  /** The codec of the config, where that is another. */
  readonly codec?: { readonly before: string; readonly after: string };
}

export function planSteps({ before, after, rebuilt, absent, codec }: PlanOptions): Step[] {
  const old = new Map(before.map((member) => [member.config.name, member]));
  const names = new Set(after.map(({ config }) => config.name));
  const isRebuilt = ({ config }: Member): boolean => rebuilt.has(config.name);
  const fresh = after.filter((member) => isRebuilt(member) || !old.has(member.config.name));
  const kept = after.flatMap((member): [Member, Member][] => {
    const was = old.get(member.config.name);
    return was === undefined || was === member || isRebuilt(member) ? [] : [[was, member]];
  });
  const removed = before.filter(({ config }) => !names.has(config.name));
  const released = before.filter((member) => !isRebuilt(member));
  const outgoing = before.filter(isRebuilt);
  const network = planNetwork({
    ...{ fresh, kept, routeOwners: routeOwners(before) },
    ...(absent && { absent }),
  });
  const steps: (Step | undefined)[] = [
    codec && { kind: 'codec', ...codec },
    outgoing.length > 0 ? { kind: 'switch', before, after: released } : undefined,
    outgoing.length > 0 ? { kind: 'unmake', members: outgoing } : undefined,
    fresh.length > 0 ? { kind: 'make', members: fresh } : undefined,
    isEmpty(network) ? undefined : { kind: 'network', change: network },
    fresh.length + kept.length + removed.length > 0
      ? { kind: 'switch', before: released, after }
      : undefined,
    removed.length > 0 ? { kind: 'unmake', members: removed } : undefined,
  ];
  return steps.filter((step) => step !== undefined);
}

function isEmpty({ first, strict, last }: NetworkChange): boolean {
  return first.length + strict.length + last.length === 0;
}

/**
 * Carries out the steps, or none of them: rejects with what kept one from being done once all before it are undone.
 * `onLost`: told of what could not be undone.
 */
export async function carryOut(
  steps: readonly Step[],
  actuator: Actuator,
  onLost: (step: Step, error: unknown) => void,
): Promise<void> {
  const done: { readonly step: Step; readonly undo: () => Promise<unknown> }[] = [];
  try {
    for (const step of steps) done.push({ step, undo: await perform(step, actuator) });
  } catch (error) {
    for (const { step, undo } of done.reverse()) {
      await undo().catch((lost: unknown) => onLost(step, lost));
    }
    throw error;
  }
}

/** Returns what undoes the step. */
async function perform(step: Step, actuator: Actuator): Promise<() => Promise<unknown>> {
  switch (step.kind) {
    case 'codec':
      await actuator.useCodec(step.after);
      return () => actuator.useCodec(step.before);
    case 'switch':
      await actuator.switchTo(step.after);
      return () => actuator.switchTo(step.before);
    case 'make':
      await actuator.makeDevices(step.members);
      return () => actuator.unmakeDevices(step.members);
    case 'unmake':
      await actuator.unmakeDevices(step.members);
      return async () => {
        const fresh = step.members;
        await actuator.makeDevices(fresh);
        const kept = { kept: [], routeOwners: new Map<string, string>() };
        await actuator.changeNetwork(planNetwork({ fresh, ...kept }));
      };
    case 'network':
      return actuator.changeNetwork(step.change);
  }
}
