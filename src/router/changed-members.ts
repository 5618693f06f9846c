// Which records are to be told of when the tunnels change: those where one part of what the tunnel is differs.
import { deviceMtu } from './device-mtu.js';
import type { Fleet, Member } from './fleet.js';

export interface ChangedMembers {
  /** Whose peer is asked something else, or somebody else is asked; with the members there are now. */
  readonly asked: { readonly records: readonly number[]; readonly members: Fleet };
  /** Whose path is another, so that its learned MTU is not. */
  readonly paths: readonly number[];
}

export function changedMembers(before: Fleet, after: Fleet): ChangedMembers {
  const old = new Map(before.map((member) => [member.record, member]));
  const now = new Map(after.map((member) => [member.record, member]));
  const changed = [...new Set([...old.keys(), ...now.keys()])].filter(
    (record) => old.get(record) !== now.get(record),
  );
  const differing = (part: (member: Member | undefined) => unknown): number[] =>
    changed.filter(
      (record) => JSON.stringify(part(old.get(record))) !== JSON.stringify(part(now.get(record))),
    );
  const records = differing(questionOf);
  return {
    asked: { records, members: records.flatMap((record) => now.get(record) ?? []) },
    paths: differing(pathOf),
  };
}

/** What is asked of the peer, and of whom. */
function questionOf(member: Member | undefined): unknown {
  if (member === undefined) return null;
  const { mode, local, remote, keepalive, probe } = member.config;
  if (keepalive === undefined && probe === undefined) return null;
  return [mode, local, remote, keepalive, probe];
}

/** What the learned MTU of a path was learned of. */
function pathOf(member: Member | undefined): unknown {
  if (member === undefined) return null;
  const { mode, local, remote, link, mtu } = member.tunnel;
  return [mode, local, remote, link, mtu, deviceMtu(member.config, member.tunnel)];
}
