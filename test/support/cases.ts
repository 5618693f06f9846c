import { readFileSync } from 'node:fs';
import { hex } from './packets.js';

/** One packet of test/cases/hostile-packets.jsonl with the verdict we want. */
export interface HostileCase {
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Mode of the tunnel it is meant for. */
  readonly mode: string;
  readonly direction: string;
  /** Drop reason, or null for a packet that is to be forwarded. */
  readonly reason: string | null;
  /** TOS byte of the inner packet after decap, where the case says one. */
  readonly innerTos: number | undefined;
  /** Of an ICMP error: no path is believed to take less, in bytes of the outer packet. */
  readonly minMtu: number | undefined;
}

/** The file lies beside the sources; tests run from dist/. */
const FILE = new URL('../../../test/cases/hostile-packets.jsonl', import.meta.url);

export function readHostileCases(): HostileCase[] {
  return readFileSync(FILE, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { id, hex: text, expect } = JSON.parse(line);
      return {
        id,
        bytes: hex(text),
        mode: expect.mode ?? 'gre',
        direction: expect.direction ?? 'rx',
        reason: expect.drop ? expect.counter : null,
        innerTos: expect.inner_tos_out,
        minMtu: expect.min_mtu,
      };
    });
}
