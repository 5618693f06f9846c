// What a reload does, for people: a line for each tunnel, and one for each key that differs.

import type { Style } from '../config/diagnostic.js';
import type { ConfigDiff, KeyChange, TunnelChange } from '../router/diff.js';

type PaintText = (style: Style, text: string) => string;

/** Lines, without an end; none where nothing differs. */
export function formatDiff({ tunnels, router, restart }: ConfigDiff, paint: PaintText): string[] {
  return [
    ...tunnels.flatMap((change) => formatTunnel(change, paint)),
    ...router.map((key) => `router ${formatKey(key)}`),
    ...restart.map((key) => `router ${formatKey(key)}  ${paint('yellow', 'needs a restart')}`),
  ];
}

function formatTunnel(change: TunnelChange, paint: PaintText): string[] {
  const { kind, name } = change;
  switch (kind) {
    case 'add':
      return [paint('green', `+ ${name}`)];
    case 'remove':
      return [paint('red', `- ${name}`)];
    case 'rename':
      return [`${paint('yellow', `! ${name} is rebuilt`)} as ${change.to}: a device has one name`];
    case 'change':
      return [
        `~ ${name}${change.why === undefined ? '' : `: ${change.why}`}`,
        ...change.keys.map((key) => `    ${formatKey(key)}`),
      ];
    case 'move':
      return [
        `~ ${name} gets another peer: packets under way may be lost`,
        ...change.keys.map((key) => `    ${formatKey(key)}`),
      ];
    case 'rebuild':
      return [
        `${paint('yellow', `! ${name} is rebuilt`)}${change.why === undefined ? '' : `: ${change.why}`}`,
        ...change.keys.map((key) => `    ${formatKey(key)}`),
      ];
  }
}

function formatKey({ key, before, after }: KeyChange): string {
  if (before === null) return `${key} = ${after}`;
  if (after === null) return `${key} = ${before} is dropped`;
  return `${key} = ${before} -> ${after}`;
}
