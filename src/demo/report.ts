// What the demo prints for people.
import {
  type DropTable,
  hasPassed,
  type LevelResult,
  type ModeResult,
  type PingResult,
} from './result.js';

export type Level = 'a' | 'b';

const KERNEL_DRAWING = `
  host hA            router rA                         router rB            host hB
  +---------+      +-------------+  outer packets:   +-------------+      +---------+
  |  no     |      | grebe run   |  IP protocol      | grebe run   |      |  no     |
  |  tunnel |------| gre1  ipip1 |===================| gre1  ipip1 |------|  tunnel |
  |  here   |      | sit1        |  47, 4 and 41     | sit1        |      |  here   |
  +---------+      +-------------+                   +-------------+      +---------+
   10.1.1.2         192.0.2.1           u0            192.0.2.2            10.2.1.2
`;

const MEMORY_DRAWING = `
  +-------------------- this process: no device, no socket, no rights ---------------------+
  |  host hA            router rA      outer packets:      router rB            host hB     |
  |  sends      ------  gre1 ipip1  =====================  gre1 ipip1  ------   answers     |
  |  and counts         sit1         in a queue            sit1                 and checks  |
  +----------------------------------------------------------------------------------------+
`;

/** What is about to be shown, and why it is this level. */
export function formatOpening(level: Level, obstacles: readonly string[]): string {
  if (level === 'a') {
    return (
      'grebe demo, level A: real TUN devices and raw sockets in four network namespaces\n' +
      KERNEL_DRAWING
    );
  }
  const why = obstacles.length === 0 ? 'as asked' : obstacles.join('; ');
  return (
    'grebe demo, level B: both routers in memory, with the same WebAssembly packet path\n' +
    `why not level A, with real devices: ${why}\n` +
    MEMORY_DRAWING
  );
}

/** One mode's lines. */
export function formatMode(level: Level, result: ModeResult): string {
  const { mode, pings, bulk, drops } = result;
  const gigabits = ((bulk.bytes * 8) / bulk.seconds / 1e9).toFixed(2);
  const megabytes = (bulk.bytes / 1e6).toFixed(0);
  const sent = level === 'a' ? 'TCP' : 'numbered packets';
  const state = bulk.intact ? 'every byte right' : 'NOT what was sent';
  return [
    `  ${mode.padEnd(5)} ${hasPassed(result) ? 'ok  ' : 'FAIL'}  ${pings.map(formatPing).join('; ')}`,
    `              ${sent}: ${megabytes} MB in ${bulk.seconds.toFixed(2)} s, ${gigabits} Gbit/s, ${state}; ${formatDrops(drops)}`,
  ].join('\n');
}

function formatDrops(drops: DropTable): string {
  const reasons = Object.entries(drops).map(([reason, count]) => `${count} ${reason}`);
  return reasons.length === 0 ? 'no drops' : `DROPPED ${reasons.join(', ')}`;
}

function formatPing({ size, sent, received, minMs, avgMs, maxMs }: PingResult): string {
  const times = [minMs, avgMs, maxMs].map((ms) => ms.toFixed(2)).join('/');
  return `${received} of ${sent} pings of ${size} bytes, ${times} ms`;
}

/** How it ended, and what to do next. */
export function formatClosing(result: LevelResult, seconds: number, capture: string): string {
  const passed = result.modes.every(hasPassed);
  const outcome = passed ? 'everything passed' : 'something FAILED: see above';
  return [
    '',
    `${outcome} in ${seconds.toFixed(1)} s (codec ${result.codec}, underlay ${result.underlay}); nothing was left running`,
    '',
    'next:',
    `  see what was on the wire      npx grebe decode ${capture}     (or open it in Wireshark)`,
    '  make a tunnel of your own     README.md, "A first tunnel"; judge its config: npx grebe check FILE',
    '  all commands                  npx grebe --help',
    '',
  ].join('\n');
}

/** `grebe.demo/1`. */
export function formatJson(
  level: Level,
  obstacles: readonly string[],
  result: LevelResult,
  seconds: number,
  capture: string,
): string {
  const { codec, underlay, modes } = result;
  return JSON.stringify({
    schema: 'grebe.demo/1',
    level,
    obstacles,
    codec,
    underlay,
    modes: modes.map((mode) => ({ ...mode, passed: hasPassed(mode) })),
    capture,
    seconds: Math.round(seconds * 1000) / 1000,
    passed: modes.every(hasPassed),
  });
}
