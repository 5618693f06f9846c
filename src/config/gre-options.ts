// What the GRE header holds: key, csum, seq, and reorder, which needs seq.

import type { Mode, Reorder } from '../packet/tunnel.js';
import type { TunnelConfig } from './config.js';
import { CODE } from './diagnostic.js';
import { keyPlace, type Subject } from './subject.js';
import { isGreMode } from './tunnel.js';

type GreOptions = Pick<
  TunnelConfig,
  'keyIn' | 'keyOut' | 'checksumIn' | 'checksumOut' | 'sequenceIn' | 'sequenceOut' | 'reorder'
>;

/** As many packets as a lane receives at once, and as long as a way of many hops may be longer than another. */
const DEFAULT_REORDER: Reorder = { packets: 32, timeMs: 20 };

export function checkGreOptions(subject: Subject): GreOptions {
  const { values, mode } = subject;
  const hasGre = mode === undefined || isGreMode(mode);
  if (!hasGre) checkGreOnly(subject, mode);
  const key = pair(values.key);
  const keyIn = keyNumber(key.in);
  const keyOut = keyNumber(key.out);
  const checksum = pair(values.csum);
  if (mode === 'gre-udp' && checksum.out) {
    const message = 'csum adds nothing to mode = "gre-udp": its UDP checksum covers the same bytes';
    const hint = 'drop it, unless the peer asks for GRE checksums (RFC 8086, 3.2.2)';
    subject.report.add(CODE.redundant, keyPlace(subject, 'csum'), message, hint);
  }
  const sequence = pair(values.seq);
  const reorder = hasGre ? checkReorder(subject, sequence.in ?? false) : undefined;
  return {
    ...(keyIn === undefined ? {} : { keyIn }),
    ...(keyOut === undefined ? {} : { keyOut }),
    checksumIn: checksum.in ?? false,
    checksumOut: checksum.out ?? false,
    sequenceIn: sequence.in ?? false,
    sequenceOut: sequence.out ?? false,
    ...(reorder === undefined ? {} : { reorder }),
  };
}

function checkGreOnly(subject: Subject, mode: Mode): void {
  const { values, report } = subject;
  const other = mode === 'ipip' || mode === 'sit' ? 'gre' : 'ip6gre';
  for (const key of ['key', 'csum', 'seq', 'reorder'] as const) {
    if (values[key] === undefined || values[key] === false) continue;
    const message = `${key} belongs to GRE: mode = "${mode}" has no room for it`;
    report.add(CODE.greOnly, keyPlace(subject, key), message, `drop it, or use mode = "${other}"`);
  }
}

function checkReorder(subject: Subject, sequenceIn: boolean): Reorder | undefined {
  const { values, wrong, partial, report } = subject;
  if (values.reorder === undefined) return undefined;
  if (!sequenceIn && !wrong.has('seq') && !partial) {
    const message =
      'reorder goes by the sequence numbers of received packets, and seq is off for them';
    report.add(
      CODE.reorder,
      keyPlace(subject, 'reorder'),
      message,
      'seq = true, or seq = { in = true }',
    );
  }
  const { packets = DEFAULT_REORDER.packets, time = DEFAULT_REORDER.timeMs } = values.reorder;
  return { packets, timeMs: time };
}

/** `X` and `{ in = X, out = X }` say the same. */
function pair<T extends number | string | boolean>(
  value: T | { readonly in?: T | undefined; readonly out?: T | undefined } | undefined,
): { readonly in?: T | undefined; readonly out?: T | undefined } {
  return typeof value === 'object' ? value : { in: value, out: value };
}

/** A key as a number: `"0.0.0.42"` is 42. */
function keyNumber(key: number | string | undefined): number | undefined {
  if (typeof key !== 'string') return key;
  return key.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}
