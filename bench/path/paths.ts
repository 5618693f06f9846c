// The paths a packet can take from left to right, each opened in a lab of its own.
//
//   veth         no tunnel: what the machine can do at all
//   c            peers/per-packet.c on both sides: the comparison
//   raw-simd     grebe on raw sockets, one row a codec build
//   raw-scalar
//   raw-socket   grebe on the npm package raw-socket
//   any other    a command line of the caller's
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { hasProgram, ipOf, type Lab, type Running, type Side } from './lab.js';

export interface OpenPath {
  /** Where left sends to reach right over this path. */
  readonly target: string;
  readonly routers: readonly Running[];
  /** Milliseconds that `grebe status` takes; absent for what is not grebe. */
  measureStatus?(): Promise<number>;
}

export interface Path {
  readonly name: string;
  /** Why it cannot run here, or undefined. */
  missing(): string | undefined;
  /** Starts the routers of both sides. */
  open(lab: Lab): Promise<OpenPath>;
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
const STATUS_LIMIT_MS = 5_000;
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
  const open = (lab: Lab) =>
    openEnds(lab, {
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
  });
  return { name: 'veth', missing: () => undefined, open };
}

function perPacketC(): Path {
  return {
    name: 'c',
    missing: () => (hasProgram('gcc') ? undefined : 'gcc is not installed'),
    open: async (lab) => {
      const program = join(lab.folder, 'per-packet');
      compile(join(ROOT, 'bench/peers/per-packet.c'), program);
      return openEnds(lab, {
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
    open: async (lab) => {
      const path = await openEnds(lab, {
        words: (end) => [...GREBE, 'run', '--config', end.config],
        addressed: true,
        config: grebeConfig(underlay, codec),
      });
      return { ...path, measureStatus: () => measureStatus(lab, path.socket) };
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

/** Starts one router a side; whatever happens, they end with the lab. */
async function openEnds(lab: Lab, recipe: Recipe): Promise<OpenEnds> {
  const ends = [endOf(lab, lab.left, lab.right, LEFT), endOf(lab, lab.right, lab.left, RIGHT)];
  const routers: Running[] = [];
  for (const end of ends) {
    if (recipe.config) writeFileSync(end.config, recipe.config(end));
    routers.push(await lab.start(end.side, recipe.words(end)));
    if (!recipe.addressed) setAddress(end);
  }
  return { target: `10.9.0.${RIGHT}`, routers, socket: socketPath(lab, LEFT) };
}

function endOf(lab: Lab, side: Side, other: Side, host: number): End {
  return {
    side,
    remote: other.address,
    inner: `10.9.0.${host}/24`,
    device: 'gre1',
    config: join(lab.folder, `${host}.toml`),
    socket: socketPath(lab, host),
  };
}

function socketPath(lab: Lab, host: number): string {
  return join(lab.folder, `${host}.sock`);
}

function setAddress(end: End): void {
  ipOf(end.side, 'address', 'add', end.inner, 'dev', end.device);
  const link = ['mtu', `${TUNNEL_MTU}`, 'txqueuelen', `${TRANSMIT_QUEUE}`, 'up'];
  ipOf(end.side, 'link', 'set', end.device, ...link);
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

async function measureStatus(lab: Lab, socket: string): Promise<number> {
  const startedAt = performance.now();
  await lab.run(lab.left, [...GREBE, 'status', '-j', '--socket', socket], STATUS_LIMIT_MS);
  return performance.now() - startedAt;
}

function compile(source: string, program: string): void {
  const words = ['-O2', '-Wall', '-pthread', '-o', program, source];
  const result = spawnSync('gcc', words, { encoding: 'utf8' });
  if (result.status !== 0) throw new Failure(EXIT.failed, `gcc ${source}: ${result.stderr.trim()}`);
}

function hasPackage(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
