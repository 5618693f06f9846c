// A router's namespace on a cable whose other end is in the hands of the test.
import { ip, Namespaces } from '../../src/demo/namespaces.js';
import { PacketSocket } from '../../src/demo/packet-socket.js';
import { enterNamespace, namespacePath } from './enter-namespace.js';
import { FrameSender, takeFrames } from './frame-socket.js';

/** The router's addresses. */
export const ROUTER4 = '192.0.2.1';
export const ROUTER6 = '2001:db8:0:1::1';
const GATEWAYS = ['192.0.2.254', '2001:db8:0:1::fe'];
const DEVICE = 'u0';
const SNAP_LENGTH = 2048;
/** How long an answer may take: the kernel's come at once. */
const ANSWER_MS = 300;

export interface Scanner {
  readonly namespaces: Namespaces;
  readonly router: string;
  /** Sends packets, and returns what the router's end of the cable sent since: ARP and neighbours left out. */
  readonly scan: (packets: readonly Uint8Array[]) => Uint8Array[];
}

/** A router that forwards, has its default routes by way of the scanner, and a kernel that answers without limit. */
export async function withScanner(
  label: string,
  use: (scanner: Scanner) => Promise<void>,
): Promise<void> {
  const namespaces = new Namespaces(label);
  try {
    const outside = namespaces.add('outside', { ipv6: false });
    const router = namespaces.add('router', { forward: true });
    namespaces.link(
      { namespace: outside, device: DEVICE, addresses: [] },
      { namespace: router, device: DEVICE, addresses: [`${ROUTER4}/24`, `${ROUTER6}/64`] },
    );
    const limits = ['ipv4/icmp_ratelimit', 'ipv6/icmp/ratelimit'];
    const lines = limits.map((name) => `echo 0 > /proc/sys/net/${name}`);
    namespaces.run(router, 'sh', ['-ec', lines.join('\n')]);
    const [mac, far] = [hardwareAddress(router), hardwareAddress(outside)];
    const hexOf = (address: string): string => address.replaceAll(':', '');
    for (const gateway of GATEWAYS) {
      ip('-n', router, 'neigh', 'add', gateway, 'lladdr', far, 'dev', DEVICE);
      ip('-n', router, 'route', 'add', 'default', 'via', gateway);
    }
    const [sender, socket] = enterNamespace(
      namespacePath(outside),
      () => [new FrameSender(DEVICE), new PacketSocket(DEVICE, SNAP_LENGTH)] as const,
    );
    try {
      const scan = (packets: readonly Uint8Array[]): Uint8Array[] => {
        for (const bytes of packets) {
          const type = (bytes[0] ?? 0) >>> 4 === 4 ? '0800' : '86dd';
          sender.send(Buffer.concat([Buffer.from(hexOf(mac + far) + type, 'hex'), bytes]));
        }
        const frames = takeFrames(socket, ANSWER_MS);
        return frames.filter((frame) => isAnswer(frame, hexOf(mac)));
      };
      await use({ namespaces, router, scan });
    } finally {
      sender.close();
      socket.close();
    }
  } finally {
    await namespaces.close();
  }
}

function hardwareAddress(namespace: string): string {
  const [link] = JSON.parse(ip('-n', namespace, '-j', 'link', 'show', 'dev', DEVICE));
  return link.address;
}

/** Whether the router sent a frame, and not to find its neighbours or to tell of its groups. */
function isAnswer(frame: Uint8Array, mac: string): boolean {
  const bytes = Buffer.from(frame);
  if (bytes.subarray(6, 12).toString('hex') !== mac) return false;
  const type = bytes.readUInt16BE(12);
  if (type !== 0x86dd) return type === 0x0800;
  const isNeighbours = bytes[20] === 58 && (bytes[54] ?? 0) >= 133 && (bytes[54] ?? 0) <= 137;
  return !isNeighbours && bytes[20] !== 0; // multicast listeners have a hop-by-hop header
}
