// Any program with one TUN device a side: the C daemon of this folder, and what a user names.
import { writeFileSync } from 'node:fs';
import { hasProgram } from '../path/lab.js';
import type { Running } from '../path/processes.js';
import { compiled } from './compiled.js';
import type { Path } from './contract.js';
import { type End, endsOf, setUpDevice } from './ends.js';
import { grebeConfig } from './grebe.js';

const DEVICE = 'gre1';
const GRE_MTU = 1476;

/** per-packet.c on both sides: how such a daemon is usually written. */
export function perPacketC(): Path {
  const words = ['{device}', '{local}', '{remote}'];
  return {
    name: 'c',
    missing: () => (hasProgram('gcc') ? undefined : 'gcc is not installed'),
    open: (lab) => {
      const program = compiled('bench/peers/per-packet.c');
      return commandPath('c', [program, ...words]).open(lab, 1);
    },
  };
}

/**
 * A path through any program. In `words`, {device} {local} {remote} {inner} {mtu} stand for this end of
 * the tunnel and {config} for a grebe config that says the same; without {config} the bench gives the
 * device its address.
 */
export function commandPath(name: string, words: readonly string[]): Path {
  return {
    name,
    missing: () => undefined,
    open: async (lab) => {
      const ends = endsOf(lab);
      const routers: Running[] = [];
      const setsAddress = words.some((word) => word.includes('{config}'));
      for (const end of ends) {
        if (setsAddress) writeFileSync(configOf(end), grebeConfig(end, {}, 1));
        const filled = words.map((word) => fillIn(word, end));
        routers.push(await lab.start(end.side, filled));
        if (!setsAddress) setUpDevice(end, DEVICE, GRE_MTU);
      }
      return { left: ends[0].inner, right: ends[1].inner, routers };
    },
  };
}

function configOf(end: End): string {
  return end.file('grebe.toml');
}

function fillIn(word: string, end: End): string {
  return word
    .replaceAll('{device}', DEVICE)
    .replaceAll('{local}', end.side.address)
    .replaceAll('{remote}', end.remote)
    .replaceAll('{inner}', end.innerPrefix)
    .replaceAll('{mtu}', `${GRE_MTU}`)
    .replaceAll('{config}', configOf(end));
}
