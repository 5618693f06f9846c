// The wire between a guest with a real tunnel driver and a namespace for grebe:
//
//   guest eth0 192.0.2.2   --tap-- p0 [br0] w0 --veth-- u0 192.0.2.1   grebe
//              2001:db8::2                                 2001:db8::1
//          tunnel                                          tunnel
//
// The bridge stands in a namespace of its own. The veth is there because, other than the tap, it can
// merge packets as a network card does.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { type RouterProcess, startRouter } from '../../src/demo/router-process.js';
import { injectPackets, seeFrames } from '../support/packet-task.js';
import { bootKernelPeer, type KernelPeer } from './kernel-peer.js';
import type { TransferReport } from './transfer.js';

/** The two ends, by version of the outer header. */
const GREBE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
/** The router between them, once there is one. */
const HOP = { 4: '192.0.2.3', 6: '2001:db8::3' } as const;
export const KERNEL = { 4: '192.0.2.2', 6: '2001:db8::2' } as const;
/** Name of the tunnel device on both sides. */
export const DEVICE = 'tun9';

export const TRANSFER_SIZE = 8 << 20;
const TRANSFER_LIMIT_MS = 20_000;
const COMMAND_LIMIT_MS = 10_000;
const GET_PORT = 5000;
const PUT_PORT = 5001;
const TRANSFER = fileURLToPath(new URL('transfer.js', import.meta.url));
const execute = promisify(execFile);

/** What the kernel says of its tunnel device. */
export interface KernelCounters {
  readonly mtu: number;
  readonly rx: number;
  readonly tx: number;
  /** Every counter of `ip -s -s link` that is not plain traffic and not 0. */
  readonly errors: Readonly<Record<string, number>>;
}

/**
 * What the underlay does to packets on the way to grebe:
 *
 *   on        nothing: checksums that the sender left to its card are not filled in, TCP comes as it was sent
 *   off       fills in checksums, one packet at a time
 *   merging   as off, and gathers packets of one flow into superpackets, as most network cards do
 */
export type Offloads = 'on' | 'off' | 'merging';

export interface KernelLab {
  readonly peer: KernelPeer;

  /** Runs a command beside grebe and returns its stdout. */
  command(...words: string[]): Promise<string>;

  /** Throws, with what the devices on it have counted, when the wire itself carries nothing: no tunnel can then. */
  requireWire(): Promise<void>;

  /** Sends IP packets to the guest, or by way of it, as they are, and returns when it has dealt with them. */
  inject(packets: readonly Uint8Array[]): Promise<void>;

  /** Sees the frames on grebe's end of the wire from here on, a line of hex each. */
  seeFrames(): Promise<readonly string[]>;

  /**
   * Makes the guest's tunnel device: `words` follow `ip link add NAME type`. Its two ends are grebe's and the guest's,
   * over IPv4 unless `ends` are other words.
   */
  addKernelTunnel(words: string, addresses: readonly string[], ends?: string): Promise<void>;
  deleteKernelTunnel(): Promise<void>;
  kernelCounters(device?: string): Promise<KernelCounters>;

  /** Starts `grebe run` with one tunnel of this TOML; its addresses and its ends over `outer` are filled in. */
  startGrebe(words: string, addresses: readonly string[], outer?: 4 | 6): Promise<RouterProcess>;
  stopGrebe(router: RouterProcess): Promise<void>;

  setOffloads(offloads: Offloads): void;

  /** From here on each end reaches the other by way of a router that passes on `mtu` bytes, and says so. */
  narrowPath(mtu: number): Promise<void>;

  /** Both kernels forget what their routes were found to take. */
  forgetPaths(): Promise<void>;

  /** Whether the guest's receive offload may gather packets. */
  setGuestMerging(on: boolean): Promise<void>;

  /** TRANSFER_SIZE random bytes over one TCP connection with the guest; throws unless all arrive. */
  transferFromKernel(host: string): Promise<void>;
  transferToKernel(host: string): Promise<void>;

  close(): Promise<void>;
}

/** Makes the wire and boots the guest. Leaves nothing behind when that fails. */
export async function openKernelLab(): Promise<KernelLab> {
  const namespaces = new Namespaces('kernel');
  let peer: KernelPeer | undefined;
  try {
    const wire = namespaces.add('wire', { ipv6: false });
    const router = namespaces.add('router');
    layWire(namespaces, wire, router);
    peer = await bootKernelPeer(namespaces, wire, 'p0');
    return await prepare(namespaces, wire, router, peer);
  } catch (error) {
    await peer?.stop();
    await namespaces.close();
    throw error;
  }
}

function layWire(namespaces: Namespaces, wire: string, router: string): void {
  namespaces.link(
    { namespace: wire, device: 'w0', addresses: [] },
    { namespace: router, device: 'u0', addresses: [`${GREBE[4]}/24`, `${GREBE[6]}/64`] },
  );
  ip('-n', wire, 'tuntap', 'add', 'p0', 'mode', 'tap');
  ip('-n', wire, 'link', 'add', 'br0', 'type', 'bridge');
  for (const port of ['p0', 'w0']) ip('-n', wire, 'link', 'set', port, 'master', 'br0', 'up');
  ip('-n', wire, 'link', 'set', 'br0', 'up');
  // A ping to all hosts is answered, as routers answer it.
  namespaces.run(router, 'sh', ['-c', 'echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts']);
}

/** Addresses, random bytes to hand out, and the two services that transferBothWays talks to. */
async function prepare(
  namespaces: Namespaces,
  wire: string,
  router: string,
  peer: KernelPeer,
): Promise<KernelLab> {
  const command = async (...words: string[]) => {
    const { stdout } = await execute('ip', ['netns', 'exec', router, ...words], {
      timeout: COMMAND_LIMIT_MS,
    });
    return stdout;
  };
  await peer.ask('for f in /proc/sys/net/ipv6/conf/*/accept_dad; do echo 0 >$f; done');
  await peer.ask('for f in /proc/sys/net/ipv6/conf/*/router_solicitations; do echo 0 >$f; done');
  await peer.ask('echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts');
  await peer.ask(`ip addr add ${KERNEL[4]}/24 dev eth0 && ip addr add ${KERNEL[6]}/64 dev eth0`);
  await peer.ask('ip link set eth0 up');
  for (const family of ['', '-6 ']) await peer.ask(`ip ${family}fou add port 4754 ipproto 47`);
  await peer.ask(`head -c ${TRANSFER_SIZE} /dev/urandom >/tmp/data`);
  const dataSum = (await peer.ask('sha256sum </tmp/data')).slice(0, 64);
  await peer.ask(`nc -ll -p ${GET_PORT} -e /bin/cat /tmp/data &`);
  await peer.ask(`nc -ll -p ${PUT_PORT} -e /bin/sha256sum &`);
  await command('busybox', 'ping', '-c', '1', '-W', '5', KERNEL[4]);
  return {
    peer,
    command,
    requireWire: async () => {
      try {
        await command('busybox', 'ping', '-c', '3', '-i', '0.2', '-W', '2', KERNEL[4]);
      } catch {
        const ours = [
          namespaces.run(router, 'ip', ['-s', 'link', 'show', 'u0']),
          namespaces.run(wire, 'ip', ['-s', 'link']),
        ];
        const its = await peer.ask('ip -s link show eth0; cat /proc/meminfo | head -n 3');
        throw new Error(`the wire to the guest is dead:\n${[...ours, its].join('\n')}`);
      }
    },
    inject: async (packets) => {
      injectPackets(namespaces, router, packets);
      // The wire keeps the order: what was sent before has arrived when this is answered.
      await command('busybox', 'ping', '-c', '1', '-W', '5', KERNEL[4]);
    },
    seeFrames: () => seeFrames(namespaces, router, 'u0'),
    ...kernelSide(peer),
    ...grebeSide(namespaces, router),
    setOffloads: (offloads) => setOffloads(namespaces, wire, router, offloads),
    forgetPaths: async () => {
      for (const family of ['-4', '-6']) {
        ip('-n', router, family, 'route', 'flush', 'cache');
        await peer.ask(`ip ${family} route flush cache`);
      }
    },
    narrowPath: (mtu) => narrowPath(namespaces, { wire, router, peer, mtu }),
    setGuestMerging: async (on) => {
      await peer.ask(`ip link set dev eth0 gro_max_size ${on ? 65536 : 1}`);
    },
    ...transfers(router, dataSum),
    close: async () => {
      await peer.stop();
      await namespaces.close();
    },
  };
}

/** The ends of the guest's tunnel, as `ip link add` takes them. */
export function kernelEnds(outer: 4 | 6): string {
  return `local ${KERNEL[outer]} remote ${GREBE[outer]}`;
}

function kernelSide(peer: KernelPeer) {
  return {
    addKernelTunnel: async (words: string, addresses: readonly string[], ends = kernelEnds(4)) => {
      const [kind, ...options] = words.split(' ');
      const lines = [
        `ip link add ${DEVICE} type ${kind} ${ends} ${options.join(' ')}`,
        ...addresses.map((address) => `ip addr add ${address} dev ${DEVICE}`),
        `ip link set ${DEVICE} up multicast on`,
      ];
      await peer.ask(lines.join(' && '));
    },
    deleteKernelTunnel: async () => {
      await peer.run(`ip link del ${DEVICE}`);
    },
    kernelCounters: async (device = DEVICE) =>
      parseCounters(await peer.ask(`ip -j -s -s link show ${device}`)),
  };
}

interface LinkCounters {
  readonly packets: number;
  readonly [name: string]: number;
}

function parseCounters(text: string): KernelCounters {
  const links: { mtu: number; stats64: { rx: LinkCounters; tx: LinkCounters } }[] =
    JSON.parse(text);
  const [link] = links;
  if (!link) throw new Error(`ip -s link printed no device: ${text}`);
  const stats = link.stats64;
  const plain = new Set(['bytes', 'packets', 'multicast']);
  const errors = Object.entries({ rx: stats.rx, tx: stats.tx }).flatMap(([way, counters]) =>
    Object.entries(counters)
      .filter(([name, value]) => !plain.has(name) && value !== 0)
      .map(([name, value]) => [`${way}.${name}`, value] as const),
  );
  const { rx, tx } = stats;
  return { mtu: link.mtu, rx: rx.packets, tx: tx.packets, errors: Object.fromEntries(errors) };
}

function grebeSide(namespaces: Namespaces, router: string) {
  return {
    startGrebe: (words: string, addresses: readonly string[], outer: 4 | 6 = 4) =>
      startRouter(
        namespaces,
        router,
        `[tunnel.${DEVICE}]
local = "${GREBE[outer]}"
remote = "${KERNEL[outer]}"
address = ${JSON.stringify(addresses)}
${words}
`,
      ),
    stopGrebe: (running: RouterProcess) => namespaces.stop(running.child),
  };
}

function setOffloads(
  namespaces: Namespaces,
  wire: string,
  router: string,
  offloads: Offloads,
): void {
  const sending = offloads === 'on' ? 'on' : 'off';
  const receiving = offloads === 'merging' ? 'on' : 'off';
  for (const [namespace, device] of [
    [wire, 'w0'],
    [router, 'u0'],
  ] as const) {
    const features = ['tx', sending, 'tso', sending, 'gso', sending, 'gro', receiving];
    namespaces.run(namespace, 'ethtool', ['-K', device, ...features]);
  }
  // A veth is polled packet by packet; with these it waits a millisecond for the next one to merge with.
  const [deferred, timeoutNs] = offloads === 'merging' ? [2, 1_000_000] : [0, 0];
  const settings = `cd /sys/class/net/u0; echo ${deferred} >napi_defer_hard_irqs; echo ${timeoutNs} >gro_flush_timeout`;
  namespaces.run(router, 'sh', ['-ec', settings]);
}

interface NarrowPath {
  readonly wire: string;
  readonly router: string;
  readonly peer: KernelPeer;
  readonly mtu: number;
}

/** Makes the bridge of the wire a router between its two ports that passes on packets of `mtu` bytes at most. */
async function narrowPath(
  namespaces: Namespaces,
  { wire, router, peer, mtu }: NarrowPath,
): Promise<void> {
  // A host that takes redirects would go round the router again.
  const deaf = (device: string) =>
    ['ipv4', 'ipv6'].map(
      (family) => `echo 0 >/proc/sys/net/${family}/conf/${device}/accept_redirects`,
    );
  const forward = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'].map(
    (name) => `echo 1 >/proc/sys/net/${name}`,
  );
  const silent = ['all', 'br0'].map(
    (name) => `echo 0 >/proc/sys/net/ipv4/conf/${name}/send_redirects`,
  );
  namespaces.run(wire, 'sh', [
    '-ec',
    ['echo 0 >/proc/sys/net/ipv6/conf/br0/disable_ipv6', ...forward, ...silent].join('\n'),
  ]);
  namespaces.run(router, 'sh', ['-ec', deaf('u0').join('\n')]);
  await peer.ask(deaf('eth0').join(' && '));
  for (const version of [4, 6] as const) {
    ip(
      '-n',
      wire,
      'address',
      'add',
      `${HOP[version]}/${version === 4 ? 24 : 64}`,
      'dev',
      'br0',
      ...(version === 6 ? ['nodad'] : []),
    );
    for (const end of [GREBE[version], KERNEL[version]]) {
      ip('-n', wire, 'route', 'add', end, 'dev', 'br0', 'mtu', 'lock', `${mtu}`);
    }
    ip('-n', router, 'route', 'add', KERNEL[version], 'via', HOP[version]);
    await peer.ask(`ip route add ${GREBE[version]} via ${HOP[version]}`);
  }
}

function transfers(router: string, dataSum: string) {
  const transfer = async (...words: string[]) => {
    const node = ['netns', 'exec', router, process.execPath, TRANSFER, ...words];
    const { stdout } = await execute('ip', node, { timeout: TRANSFER_LIMIT_MS });
    const report: TransferReport = JSON.parse(stdout);
    return report;
  };
  return {
    transferFromKernel: async (host: string) => {
      const { bytes, sha256 } = await transfer('get', host, `${GET_PORT}`);
      if (sha256 !== dataSum) throw new Error(`${bytes} bytes arrived, not those the guest sent`);
    },
    transferToKernel: async (host: string) => {
      const { sha256, answer } = await transfer('put', host, `${PUT_PORT}`, `${TRANSFER_SIZE}`);
      if (!answer.startsWith(sha256))
        throw new Error(`the guest got ${answer}, sent was ${sha256}`);
    },
  };
}
