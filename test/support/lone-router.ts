// Router B alone; A's end of the cable is in the hands of the test.
import { ip } from '../../src/demo/namespaces.js';
import { PacketSocket } from '../../src/demo/packet-socket.js';
import { type RouterProcess, startRouter } from '../../src/demo/router-process.js';
import { enterNamespace, namespacePath } from './enter-namespace.js';
import { FrameSender, takeFrames } from './frame-socket.js';
import { OUTER, UNDERLAY, type Wire, withWire } from './lab.js';

const SNAP_LENGTH = 2048;
const ETHERTYPE_IPV4 = [8, 0];

export interface LoneRouter {
  readonly wire: Wire;
  readonly b: RouterProcess;
  /** Sends an IPv4 packet to B as it is, whatever is wrong with it. */
  readonly send: (packet: Uint8Array) => void;
  /** Frames that B has sent since. */
  readonly answers: () => Uint8Array[];
}

/** Starts B with its `tunnels` and lines of its `[router]` table. No IPv6, and nobody asks for anybody's address. */
export async function withLoneRouter(
  label: string,
  tunnels: string,
  router: string,
  use: (lone: LoneRouter) => Promise<void>,
): Promise<void> {
  await withWire(label, { ipv6: false }, async (wire) => {
    const { namespaces, rA, rB } = wire;
    const [macA, macB] = [hardwareAddress(rA), hardwareAddress(rB)];
    ip('-n', rB, 'neigh', 'add', OUTER.A, 'lladdr', macA, 'dev', UNDERLAY);
    const b = await startRouter(namespaces, rB, tunnels, router);
    const [sender, socket] = enterNamespace(
      namespacePath(rA),
      () => [new FrameSender(UNDERLAY), new PacketSocket(UNDERLAY, SNAP_LENGTH)] as const,
    );
    const ours = bytesOf(macB);
    try {
      const head = Buffer.from([...ours, ...bytesOf(macA), ...ETHERTYPE_IPV4]);
      await use({
        ...{ wire, b },
        send: (packet) => sender.send(Buffer.concat([head, packet])),
        answers: () =>
          takeFrames(socket).filter((frame) => ours.every((byte, n) => frame[6 + n] === byte)),
      });
    } finally {
      sender.close();
      socket.close();
    }
  });
}

function hardwareAddress(namespace: string): string {
  const [link] = JSON.parse(ip('-n', namespace, '-j', 'link', 'show', 'dev', UNDERLAY));
  return link.address;
}

function bytesOf(address: string): Uint8Array {
  return Buffer.from(address.replaceAll(':', ''), 'hex');
}
