// A Linux kernel with real tunnel drivers, and the root file system it boots.
//
//   1. fetchKernel      apt-get download of Debian's cloud kernel, unpacked into a cache, installed nowhere
//   2. buildInitramfs   busybox, iproute2 with its libraries, the tunnel modules, an init that takes commands
//
// The kernel of a development machine or a container often has no ip_gre; this one always has.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface KernelImage {
  readonly kernel: string;
  readonly initramfs: string;
}

/** From dist/test/interop/ to the root of the tree. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/grebe/kernel', import.meta.url));
/** Its one dependency is the newest kernel of the distribution. */
const META_PACKAGE = 'linux-image-cloud-amd64';
const DOWNLOAD_LIMIT_MS = 60_000;
const COMMAND_LIMIT_MS = 30_000;

/** In the order in which they load: each comes after what it needs. */
const MODULES = [
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci',
  'net/core/failover',
  'drivers/net/net_failover',
  'drivers/net/virtio_net',
  'net/ipv4/udp_tunnel',
  'net/ipv6/ip6_udp_tunnel',
  'net/ipv4/ip_tunnel',
  'net/ipv4/gre',
  'net/ipv4/ip_gre',
  'net/ipv4/tunnel4',
  'net/ipv4/ipip',
  'net/ipv6/sit',
  'net/ipv6/tunnel6',
  'net/ipv6/ip6_tunnel',
  'net/ipv6/ip6_gre',
  'net/ipv4/fou',
  'net/ipv6/fou6',
];

/**
 * The init of the guest: it loads the modules, says `ready`, then runs each line `ID COMMAND` of the
 * serial line and answers with its output and a line `@done ID STATUS`. busybox's shell would prefer an
 * applet of its own to iproute2, hence the function.
 */
const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t devtmpfs none /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
/bin/busybox --install -s /bin
export PATH=/bin
stty raw -echo
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /tmp
dmesg -n 1
while read -r module; do insmod "/modules/$module" || echo "cannot load $module"; done </modules/order
ip() { /iproute2/ip "$@"; }
ip link set lo up
echo '@ready'
while read -r id words; do
  (eval "$words") </dev/null 2>&1
  echo "@done $id $?"
done
`;

/** Kernel, downloaded on first use, and an initramfs in `folder`. Throws when one cannot be had. */
export function prepareKernelImage(folder: string): KernelImage {
  const tree = fetchKernel();
  const boot = join(tree, 'boot');
  const kernel = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'));
  if (!kernel) throw new Error(`${tree} holds no kernel`);
  return { kernel: join(boot, kernel), initramfs: buildInitramfs(tree, folder) };
}

/** Unpacks the package into the cache and returns the folder; keeps only what is there completely. */
export function fetchKernel(): string {
  mkdirSync(CACHE, { recursive: true });
  const depends = run('apt-cache', ['depends', '--important', META_PACKAGE]);
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (!name) throw new Error(`apt-cache knows no kernel behind ${META_PACKAGE}; apt-get update?`);
  const kept = join(CACHE, name);
  if (existsSync(kept)) return kept;

  const work = mkdtempSync(join(CACHE, 'download-'));
  try {
    run('apt-get', ['download', '-qq', name], { cwd: work, timeout: DOWNLOAD_LIMIT_MS });
    const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
    if (!archive) throw new Error(`apt-get download ${name} left no package`);
    run('dpkg', ['-x', join(work, archive), join(work, 'tree')]);
    renameSync(join(work, 'tree'), kept);
    return kept;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Packs the root file system anew each time: it takes iproute2 from the machine. */
function buildInitramfs(tree: string, folder: string): string {
  const root = mkdtempSync(join(folder, 'root-'));
  for (const name of ['bin', 'iproute2', 'modules']) mkdirSync(join(root, name));
  copyFileSync(which('busybox'), join(root, 'bin/busybox'));
  const ip = which('ip');
  copyFileSync(ip, join(root, 'iproute2/ip'));
  for (const library of librariesOf(ip)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
  copyModules(tree, join(root, 'modules'));
  writeFileSync(join(root, 'init'), INIT, { mode: 0o755 });
  const initramfs = `${root}.cpio`;
  run('sh', ['-c', `find . | cpio --quiet -o -H newc >"${initramfs}"`], { cwd: root });
  return initramfs;
}

function copyModules(tree: string, target: string): void {
  const versions = join(tree, 'lib/modules');
  const version = readdirSync(versions)[0] ?? '';
  const files = MODULES.map((module) => join(versions, version, 'kernel', `${module}.ko`));
  for (const file of files) copyFileSync(file, join(target, basename(file)));
  writeFileSync(join(target, 'order'), files.map((file) => `${basename(file)}\n`).join(''));
}

/** Absolute paths of the shared libraries, the loader among them. */
function librariesOf(program: string): string[] {
  return [...run('ldd', [program]).matchAll(/(\/\S+) \(0x/g)].flatMap((match) => match[1] ?? []);
}

function which(program: string): string {
  return run('sh', ['-c', `command -v ${program}`]).trim();
}

function run(program: string, words: string[], options: { cwd?: string; timeout?: number } = {}) {
  const result = spawnSync(program, words, {
    encoding: 'utf8',
    timeout: COMMAND_LIMIT_MS,
    ...options,
  });
  if (result.status === 0) return result.stdout;
  throw new Error(`${program} ${words.join(' ')}: ${result.error?.message ?? result.stderr}`);
}
