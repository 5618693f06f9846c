// What reloads cost the packets of an untouched tunnel, in namespaces of its own. As root.
//
//   node dist/bench/control/reload.js [--tunnels 1000] [--changed 500] [--reloads 100] [--come] [--router 'lanes = 2']
//
// Pings pass one tunnel every millisecond while others are changed, and with --come added and removed. A pause is the longest round trip
// that began during a reload; beside it the same of times without one.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs, promisify } from 'node:util';
import { reload } from '../../src/control/reload-client.js';
import { Namespaces } from '../../src/demo/namespaces.js';
import { readStatus, startRouter } from '../../src/demo/router-process.js';
import { percentile } from '../traffic/ping.js';

const { values } = parseArgs({
  options: {
    tunnels: { type: 'string', default: '1000' },
    changed: { type: 'string', default: '500' },
    reloads: { type: 'string', default: '100' },
    come: { type: 'boolean', default: false },
    router: { type: 'string', default: '' },
  },
});
const tunnels = Number(values.tunnels);
const changed = Number(values.changed);
const reloads = Number(values.reloads);
const { come } = values;
/** Pings every millisecond: more than all reloads take. */
const PINGS = 10_000;
const OUTER = ['192.0.2.1', '192.0.2.2'] as const;

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Trip {
  /** When it began, ms since 1970. */
  readonly atMs: number;
  readonly tookMs: number;
}

const namespaces = new Namespaces('reload');
try {
  const routers = ['a', 'b'].map((name) => namespaces.add(name, { ipv6: false }));
  const [left = '', right = ''] = routers;
  namespaces.link(
    { namespace: left, device: 'u0', addresses: [`${OUTER[0]}/24`] },
    { namespace: right, device: 'u0', addresses: [`${OUTER[1]}/24`] },
  );
  const a = await startRouter(namespaces, left, tables(0, 0, 0), values.router);
  await startRouter(namespaces, right, tables(1, 0, 0), values.router);
  const head = readFileSync(a.config, 'utf8').split('\n[tunnel.')[0];
  const ping = async (): Promise<string> => {
    const words = ['netns', 'exec', left, 'ping', '-D', '-n', '-i', '0.001', '-c', String(PINGS)];
    const options = { maxBuffer: 64 << 20 };
    return (await promisify(execFile)('ip', [...words, '10.255.0.2'], options)).stdout;
  };
  const quiet = readTrips(await ping());
  const output = ping();
  const spans: Span[] = [];
  for (let round = 1; round <= reloads; round++) {
    writeFileSync(a.config, `${head}\n${tables(0, round, come ? round % 3 : 0)}`);
    const fromMs = Date.now();
    await reload(a.socket);
    spans.push({ fromMs, toMs: Date.now() });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const stdout = await output;
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
  const took = spans.map(({ fromMs, toMs }) => toMs - fromMs);
  const show = (list: readonly number[]): string =>
    [0.5, 0.99, 1].map((part) => percentile(list, part).toFixed(2)).join(' / ');
  console.log(`${tunnels} tunnels, ${changed} changed by each of ${reloads} reloads`);
  console.log(`pings: ${received} of ${sent} answered`);
  console.log(`a reload takes, ms (p50 / p99 / most): ${show(took)}`);
  console.log(`longest round trip of each reload, ms: ${show(longest(readTrips(stdout), spans))}`);
  const sameLong = spansOf(quiet, percentile(took, 0.5));
  console.log(`of times as long without one, ms:      ${show(longest(quiet, sameLong))}`);
  const status = await readStatus(a);
  const still = status.tunnels.find(({ name }) => name === 'still');
  console.log(
    `still: ${JSON.stringify({ rx: still?.rx.packets, tx: still?.tx.packets, drops: still?.drops })}`,
  );
} finally {
  await namespaces.close();
}

/** The tunnels of a side: one that is always the same, others that differ from round to round, and some that come and go. */
function tables(side: 0 | 1, round: number, extra: number): string {
  const ends = `mode = "gre"\nlocal = "${OUTER[side]}"\nremote = "${OUTER[1 - side]}"\nmtu = 1400\n`;
  const still = `[tunnel.still]\n${ends}key = 100000\nseq = true\naddress = ["10.255.0.${side + 1}/24"]\n`;
  const own = Array.from({ length: tunnels + extra - 1 }, (_, n) => {
    const ttl = n < changed ? (round % 200) + 1 : 64;
    return `[tunnel.t${n}]\n${ends}key = ${n}\nttl = ${ttl}\nallow = ["any"]\n`;
  });
  return still + own.join('');
}

/** The longest of the trips that began in each span. */
function longest(trips: readonly Trip[], spans: readonly Span[]): number[] {
  return spans
    .map(({ fromMs, toMs }) => trips.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs))
    .filter((own) => own.length > 0)
    .map((own) => Math.max(...own.map(({ tookMs }) => tookMs)));
}

/** The time of `trips` in spans of `lengthMs`. */
function spansOf(trips: readonly Trip[], lengthMs: number): Span[] {
  const from = trips[0]?.atMs ?? 0;
  const count = Math.floor(((trips.at(-1)?.atMs ?? 0) - from) / lengthMs);
  return Array.from({ length: count }, (_, n) => {
    return { fromMs: from + n * lengthMs, toMs: from + (n + 1) * lengthMs };
  });
}

function readTrips(text: string): Trip[] {
  const lines = text.matchAll(/^\[([\d.]+)\] \d+ bytes from .* time[=<]([\d.]+) ms/gm);
  return [...lines].map(([, at, took]) => {
    return { atMs: Number(at) * 1000 - Number(took), tookMs: Number(took) };
  });
}
