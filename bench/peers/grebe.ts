// grebe on both sides, one path a setting worth comparing.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, Failure } from '../../src/sys/failure.js';
import type { Lab } from '../path/lab.js';
import { ROOT } from './compiled.js';
import type { OpenPath, Path, Spread } from './contract.js';
import { type End, endsOf } from './ends.js';

/** What differs from a plain config. */
export interface GrebeSettings {
  readonly underlay?: 'raw' | 'xdp' | 'raw-socket';
  readonly codec?: 'simd' | 'scalar';
  readonly mode?: 'gre-udp';
  readonly lanes?: number;
  /** Superpackets leave whole, also with raw sockets. */
  readonly gso?: boolean;
  /** false: no packets are recorded. */
  readonly recorder?: false;
}

const GREBE = [process.execPath, join(ROOT, 'dist/src/cli/main.js')];
const STATUS_LIMIT_MS = 10_000;
/** 10,000 TUN devices take a kernel half a minute, and two routers make theirs at once. */
const READY_LIMIT_MS = 120_000;
/** Tunnels before the last have networks of four addresses from here on. */
const FIRST_NETWORK = '10.128.0.0';
const NETWORK_SIZE = 4;

/** A path through grebe. Left out when `grebe check` has anything to say against its config. */
export function grebePath(name: string, settings: GrebeSettings): Path {
  return {
    name,
    missing: () => {
      if (settings.underlay === 'raw-socket' && !hasPackage('raw-socket')) {
        return 'the npm package raw-socket is not installed (npm run setup:raw-socket)';
      }
      return objection(settings);
    },
    open: (lab, tunnels) => openGrebe(lab, settings, tunnels),
  };
}

/**
 * The config of one end. Of several tunnels the last is as the only one would be; those before it have keys, and
 * networks of their own.
 */
export function grebeConfig(end: End, settings: GrebeSettings, tunnels: number): string {
  const lines = ['[router]', `socket = "${socketOf(end)}"`];
  for (const key of ['codec', 'underlay'] as const)
    lines.push(`${key} = "${settings[key] ?? 'auto'}"`);
  if (settings.lanes !== undefined) lines.push(`lanes = ${settings.lanes}`);
  if (settings.gso !== undefined) lines.push(`offload = { gso = ${settings.gso} }`);
  lines.push(`recorder = { dumps = "off"${settings.recorder === false ? ', keep = 0' : ''} }`);
  for (let index = 0; index < tunnels - 1; index++) {
    lines.push(...table(end, settings, `gre${index + 2}`, networkAddress(index, end.host)));
    lines.push(`key = ${index}`);
  }
  lines.push(...table(end, settings, 'gre1', end.innerPrefix));
  return `${lines.join('\n')}\n`;
}

function table(end: End, settings: GrebeSettings, device: string, address: string): string[] {
  return [
    '',
    `[tunnel.${device}]`,
    `mode = "${settings.mode ?? 'gre'}"`,
    `local = "${end.side.address}"`,
    `remote = "${end.remote}"`,
    `address = ["${address}"]`,
  ];
}

function networkAddress(index: number, host: number): string {
  const number = toNumber(FIRST_NETWORK) + index * NETWORK_SIZE + host;
  const bytes = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
  return `${bytes.join('.')}/30`;
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

function socketOf(end: End): string {
  return end.file('grebe.sock');
}

async function openGrebe(lab: Lab, settings: GrebeSettings, tunnels: number): Promise<OpenPath> {
  const [left, right] = endsOf(lab);
  const start = (end: End) => {
    const file = end.file('grebe.toml');
    writeFileSync(file, grebeConfig(end, settings, tunnels));
    return lab.start(end.side, [...GREBE, 'run', '--config', file], { limitMs: READY_LIMIT_MS });
  };
  // One after the other, so that neither waits for the CPU; thousands of devices would take too long.
  const routers =
    tunnels === 1
      ? [await start(left), await start(right)]
      : await Promise.all([start(left), start(right)]);
  await requireUnderlay(lab, left, settings);
  return {
    left: left.inner,
    right: right.inner,
    routers,
    ...(tunnels > 1 ? { spread: spreadOf(tunnels - 1, right.host) } : {}),
    measureStatus: async () => {
      const startedAt = performance.now();
      await readStatus(lab, left);
      return performance.now() - startedAt;
    },
  };
}

function spreadOf(count: number, host: number): Spread {
  const [first = ''] = networkAddress(0, host).split('/');
  return { first, stride: NETWORK_SIZE, count };
}

/** A router that fell back to another underlay would be measured under the wrong name. */
async function requireUnderlay(lab: Lab, end: End, { underlay }: GrebeSettings): Promise<void> {
  if (underlay === undefined) return;
  const status: unknown = JSON.parse(await readStatus(lab, end));
  const actual = typeof status === 'object' && status && 'underlay' in status && status.underlay;
  if (actual === underlay) return;
  throw new Failure(EXIT.failed, `underlay = "${underlay}" was asked for, grebe runs on ${actual}`);
}

function readStatus(lab: Lab, end: End): Promise<string> {
  return lab.run(end.side, [...GREBE, 'status', '-j', '--socket', socketOf(end)], STATUS_LIMIT_MS);
}

/** What `grebe check` says against these settings, or undefined. */
function objection(settings: GrebeSettings): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'grebe-path-check-'));
  try {
    const end: End = {
      side: { namespace: '', address: '192.0.2.1' },
      remote: '192.0.2.2',
      inner: '10.9.0.1',
      innerPrefix: '10.9.0.1/24',
      host: 1,
      file: (name) => join(folder, name),
    };
    const file = end.file('grebe.toml');
    writeFileSync(file, grebeConfig(end, settings, 1));
    const [program = '', ...words] = [...GREBE, 'check', '-j', file];
    return firstDiagnostic(spawnSync(program, words, { encoding: 'utf8' }).stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first message of `grebe check -j`, with its code. Warnings count: a key without effect measures nothing. */
export function firstDiagnostic(text: string): string | undefined {
  const report: unknown = JSON.parse(text);
  const diagnostics =
    typeof report === 'object' && report && 'diagnostics' in report ? report.diagnostics : [];
  if (!Array.isArray(diagnostics)) return undefined;
  const [first]: { code?: unknown; message?: unknown }[] = diagnostics;
  return first && `grebe check: [${first.code}] ${first.message}`;
}

function hasPackage(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
