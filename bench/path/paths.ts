// The paths a packet can take from left to right, each opened in a lab of its own.
//
//   veth         no tunnel: what the machine can do at all
//   c            peers/per-packet.c on both sides: the comparison
//   raw-simd     grebe on raw sockets, one row a codec build
//   raw-scalar
//   raw-socket   grebe on the npm package raw-socket
//   any other    a command line of the caller's
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command, hasProgram, type Lab, type Running, type Side, startIn } from './lab.js';

export interface OpenPath {
  /** Where left sends to reach right over this path. */
  readonly target: string;
  readonly routers: readonly Running[];
  /** Milliseconds that `grebe status` takes; absent for what is not grebe. */
  readonly measureStatus?: () => number;
  close(): Promise<void>;
}

export interface Path {
  readonly name: string;
  /** Why it cannot run here, or undefined. */
  missing(): string | undefined;
  /** `folder` is the caller's, for files of this path. */
  open(lab: Lab, folder: string): Promise<OpenPath>;
}

/** One end of the tunnel, as a command line sees it. */
interface End {
  readonly side: Side;
  readonly remote: string;
  readonly inner: string;
  readonly device: string;
  readonly config: string;
  readonly socket: string;
}

const TUNNEL_MTU = 1476;
/** Linux gives a TUN device 500, which drops under load. */
const TRANSMIT_QUEUE = 1000;
/** From dist/bench/path/ to the root of the tree. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const GREBE = [process.execPath, join(ROOT, 'dist/src/cli/main.js')];

/** The paths of the table, in its order. */
export function builtinPaths(): Path[] {
  return [
    plainVeth(),
    perPacketC(),
    grebe('raw-simd', 'raw', 'simd'),
    grebe('raw-scalar', 'raw', 'scalar'),
    grebe('raw-socket', 'raw-socket', 'simd'),
  ];
}

/**
 * A path through any program. In `words`, {device} {local} {remote} {inner} {mtu} stand for this end of
 * the tunnel and {config} for a grebe config that says the same; without {config} the bench gives the
 * device its address.
 */
export function commandPath(name: string, words: readonly string[]): Path {
  const open = (lab: Lab, folder: string) =>
    openEnds(lab, folder, {
      words: (end) => words.map((word) => fillIn(word, end)),
      addressed: words.some((word) => word.includes('{config}')),
      config: grebeConfig('auto', 'auto'),
    });
  return { name, missing: () => undefined, open };
}

function plainVeth(): Path {
  const open = async (lab: Lab): Promise<OpenPath> => ({
    target: lab.right.address,
    routers: [],
    close: async () => {},
  });
  return { name: 'veth', missing: () => undefined, open };
}

function perPacketC(): Path {
  return {
    name: 'c',
    missing: () => (hasProgram('gcc') ? undefined : 'gcc is not installed'),
    open: async (lab, folder) => {
      const program = join(folder, 'per-packet');
      const source = join(ROOT, 'bench/peers/per-packet.c');
      command('gcc', ['-O2', '-Wall', '-pthread', '-o', program, source]);
      return openEnds(lab, folder, {
        words: (end) => [program, end.device, end.side.address, end.remote],
        addressed: false,
      });
    },
  };
}

function grebe(name: string, underlay: string, codec: string): Path {
  return {
    name,
    missing: () =>
      underlay === 'raw-socket' && !hasPackage('raw-socket')
        ? 'the npm package raw-socket is not installed'
        : undefined,
    open: async (lab, folder) => {
      const path = await openEnds(lab, folder, {
        words: (end) => [...GREBE, 'run', '--config', end.config],
        addressed: true,
        config: grebeConfig(underlay, codec),
      });
      return { ...path, measureStatus: () => measureStatus(lab.left, path.socket) };
    },
  };
}

interface Recipe {
  words(end: End): readonly string[];
  /** Whether the program sets the address of its device. */
  readonly addressed: boolean;
  config?(end: End): string;
}

/** Host numbers of both ends in the tunnel's network. */
const LEFT = 1;
const RIGHT = 2;

interface OpenEnds extends OpenPath {
  /** Control socket that the config of the left end names. */
  readonly socket: string;
}

/** Starts one router a side; when the second does not start, the first is stopped. */
async function openEnds(lab: Lab, folder: string, recipe: Recipe): Promise<OpenEnds> {
  const own = mkdtempSync(join(folder, 'ends-'));
  const ends = [endOf(own, lab.left, lab.right, LEFT), endOf(own, lab.right, lab.left, RIGHT)];
  const routers: Running[] = [];
  const close = async () => {
    await Promise.all(routers.map((router) => router.stop()));
    rmSync(own, { recursive: true, force: true });
  };
  try {
    for (const end of ends) {
      if (recipe.config) writeFileSync(end.config, recipe.config(end));
      routers.push(await startIn(end.side, recipe.words(end)));
      if (!recipe.addressed) setAddress(end);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { target: '10.9.0.2', routers, close, socket: socketPath(own, LEFT) };
}

function endOf(folder: string, side: Side, other: Side, host: number): End {
  return {
    side,
    remote: other.address,
    inner: `10.9.0.${host}/24`,
    device: 'gre1',
    config: join(folder, `${host}.toml`),
    socket: socketPath(folder, host),
  };
}

function socketPath(folder: string, host: number): string {
  return join(folder, `${host}.sock`);
}

function setAddress(end: End): void {
  const ip = ['-n', end.side.namespace];
  command('ip', [...ip, 'address', 'add', end.inner, 'dev', end.device]);
  const link = ['mtu', `${TUNNEL_MTU}`, 'txqueuelen', `${TRANSMIT_QUEUE}`, 'up'];
  command('ip', [...ip, 'link', 'set', end.device, ...link]);
}

function fillIn(word: string, end: End): string {
  return word
    .replaceAll('{device}', end.device)
    .replaceAll('{local}', end.side.address)
    .replaceAll('{remote}', end.remote)
    .replaceAll('{inner}', end.inner)
    .replaceAll('{mtu}', `${TUNNEL_MTU}`)
    .replaceAll('{config}', end.config);
}

function grebeConfig(underlay: string, codec: string) {
  return (end: End) => `[router]
codec = "${codec}"
underlay = "${underlay}"
socket = "${end.socket}"

[tunnel.${end.device}]
mode = "gre"
local = "${end.side.address}"
remote = "${end.remote}"
address = ["${end.inner}"]
`;
}

function measureStatus(side: Side, socket: string): number {
  const startedAt = performance.now();
  const words = ['status', '-j', '--socket', socket];
  command('ip', ['netns', 'exec', side.namespace, ...GREBE, ...words]);
  return performance.now() - startedAt;
}

function hasPackage(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** A folder for the files of one bench. */
export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'grebe-path-'));
}
