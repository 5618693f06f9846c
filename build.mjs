// Builds grebe: installs the locked packages if they are missing, compiles asm/ twice (scalar and
// simd), asm/xdp.ts and the TypeScript once, each only when a source is newer than its result.
//
//   node build.mjs            build what is out of date
//   node build.mjs --quiet    the same, silent when there is nothing to do
//
// Plain JavaScript without packages, because it is the first thing that runs in a fresh clone.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const quiet = process.argv.includes('--quiet');
process.chdir(root);
/** The code that runs in browsers, with a tsconfig.json of its own. */
const PAGE = join('src', 'web');

/**
 * What few packets need stays out of the way of all others: connections that open, frames, options, peers, merged packets, packets for
 * the router itself.
 */
const RARE = [
  ...['mss/lowerMss', 'frame/findIp', 'encap-limit/encapLimitOf', 'decap/isMerged'],
  ...['peers/choosePeer', 'peers/isBack', 'enter/checkLoop'],
  ...['local/fromOwn', 'local/isProbeAnswer', 'local/endHere'],
];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`grebe needs Node 20.19 or newer, this is ${process.versions.node}`);
  process.exit(1);
}

installPackages();
for (const build of ['scalar', 'simd']) await buildCodec(build, 'index.ts');
await buildCodec('xdp', 'xdp.ts'); // the rings of AF_XDP: no arithmetic that vectors would help
await buildCodec('recorder', 'recorder.ts');
if (buildHost()) await writeManPage();

/** `npm ci`, when the installed packages are not those of the lock file. */
function installPackages() {
  const stamp = join('node_modules', '.grebe-installed');
  const lock = readFileSync('package-lock.json', 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  console.error('grebe: installing packages (npm ci)');
  // No package needs its install script: koffi ships its binaries prebuilt.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, lock);
}

/** asm/ENTRY -> dist/asm/NAME.wasm: imports the memory, exports functions, and holds no data. */
async function buildCodec(name, entry) {
  const output = join('dist', 'asm', `${name}.wasm`);
  if (!isStale(output, ['asm', 'build.mjs'])) return;
  say(`compiling asm/${entry} to ${output}`);
  mkdirSync(dirname(output), { recursive: true });
  const compiled = join('dist', 'asm', `${name}.compiled.wasm`);
  run(process.execPath, [
    join('node_modules', 'assemblyscript', 'bin', 'asc.js'),
    join('asm', entry),
    ...['--outFile', compiled, '--debug'], // with names, for the text
    ...['--runtime', 'stub', '--noAssert', '-O3', '--converge', '--uncheckedBehavior', 'always'],
    // Any shared memory of 1 to 65536 pages fits: its size is the host's business.
    ...['--importMemory', '--noExportMemory', '--sharedMemory'],
    ...['--initialMemory', '1', '--maximumMemory', '65536'],
    ...['--enable', name === 'simd' ? 'threads,simd' : 'threads'],
    ...(name === 'simd' ? [] : ['--disable', 'simd']),
  ]);
  const { binary, text } = await inlineCalls(readFileSync(compiled), name);
  rmSync(compiled);
  writeFileSync(output.replace('.wasm', '.wat'), text);
  writeFileSync(output, binary);
}

/**
 * Inlines what asc leaves as calls: its limits are fixed, and each call costs a packet 2-3 ns in V8. Of what every
 * packet needs only the checksum over payloads stays one (bench/README.md has the figures).
 */
async function inlineCalls(bytes, name) {
  const { default: binaryen } = await import('assemblyscript/binaryen');
  const used = binaryen.Features;
  const module = binaryen.readBinary(bytes);
  const bulk = used.BulkMemory | used.BulkMemoryOpt; // memory.copy is of the second
  const scalar = used.Atomics | bulk | used.NontrappingFPToInt | used.SignExt;
  module.setFeatures(name === 'simd' ? scalar | used.SIMD128 : scalar);
  if (!module.validate()) throw new Error(`the ${name} build uses what it was not to use`);
  binaryen.setOptimizeLevel(3);
  binaryen.setShrinkLevel(0);
  binaryen.setOneCallerInlineMaxSize(4000);
  binaryen.setFlexibleInlineMaxSize(200);
  binaryen.setAlwaysInlineMaxSize(150);
  binaryen.setAllowInliningFunctionsWithLoops(true);
  for (const rare of RARE) {
    binaryen.setPassArgument('no-inline', `asm/${rare}`);
    module.runPasses(['no-inline']);
  }
  binaryen.clearPassArguments();
  // Twice: what the first pass inlines, the second simplifies.
  module.optimize();
  module.optimize();
  const text = module.emitText();
  binaryen.setDebugInfo(false);
  const binary = module.emitBinary();
  module.dispose();
  return { binary, text };
}

/** src/, test/, bench/ -> dist/. False when nothing had to be done. */
function buildHost() {
  const stamp = join('dist', '.built');
  if (!isStale(stamp, ['asm', 'src', 'test', 'bench', 'tsconfig.json', 'package-lock.json']))
    return false;
  say('compiling TypeScript to dist/');
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  run(process.execPath, [compiler, '-p', 'tsconfig.json']);
  run(process.execPath, [compiler, '-p', join(PAGE, 'tsconfig.json')]);
  collectPage();
  writeFileSync(stamp, '');
  return true;
}

/** What the web page has beside its code: its own files, and uPlot, which is served with it. */
function collectPage() {
  const output = join('dist', PAGE);
  for (const name of readdirSync(PAGE).filter((file) => /\.(html|css|svg)$/.test(file))) {
    copyFileSync(join(PAGE, name), join(output, name));
  }
  const uplot = join('node_modules', 'uplot');
  copyFileSync(join(uplot, 'dist', 'uPlot.iife.min.js'), join(output, 'uplot.js'));
  copyFileSync(join(uplot, 'dist', 'uPlot.min.css'), join(output, 'uplot.css'));
  copyFileSync(join(uplot, 'LICENSE'), join(output, 'uplot.LICENSE'));
}

/** The command table -> dist/man/grebe.1. */
async function writeManPage() {
  const { manPage } = await import(join(root, 'dist', 'src', 'cli', 'man.js'));
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  mkdirSync(join('dist', 'man'), { recursive: true });
  writeFileSync(join('dist', 'man', 'grebe.1'), manPage(version));
}

/** Whether `output` is missing or older than any file under `sources`. */
function isStale(output, sources) {
  if (!existsSync(output)) return true;
  const built = statSync(output).mtimeMs;
  const newer = (path) => {
    const stat = statSync(path);
    if (!stat.isDirectory()) return stat.mtimeMs > built;
    return readdirSync(path).some((name) => name !== 'node_modules' && newer(join(path, name)));
  };
  return sources.some(newer);
}

function run(command, args) {
  // The output goes to stderr: stdout belongs to the command that comes after the build.
  const result = spawnSync(command, args, { stdio: ['ignore', 2, 2] });
  if (result.status === 0) return;
  console.error(
    `grebe: ${command} ${args.slice(0, 2).join(' ')} failed: ${result.error ?? `exit ${result.status}`}`,
  );
  process.exit(1);
}

function say(text) {
  if (!quiet) console.error(`grebe: ${text}`);
}
