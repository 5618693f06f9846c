// Next hops as frames need them: who sends frames itself has to know the device, both hardware addresses
// and the MTU of the way to each remote. The kernel's routes and neighbours say it, through ip(8).
import { type Path, parseJsonLines, runIp } from './ip.js';

/** States in which the kernel itself sends to a neighbour's address (rtnetlink(7), NUD_VALID). */
const VALID_STATES = ['REACHABLE', 'STALE', 'DELAY', 'PROBE', 'PERMANENT', 'NOARP'] as const;
export type NeighbourState = (typeof VALID_STATES)[number];

/** The way to a remote, as far as the next hop. */
export interface Hop {
  readonly path: Path;
  /** Index and name of the device. */
  readonly link: number;
  readonly device: string;
  /** Address of the next hop: of a gateway, or the remote itself. */
  readonly neighbour: string;
  /** Of the route, else of the device. */
  readonly mtu: number;
  /** Of the device. */
  readonly deviceMtu: number;
  /** Whether the device has a queueing discipline, which frames can pass by. */
  readonly queues: boolean;
}

export type Adjacency =
  | (Hop & {
      readonly kind: 'resolved';
      /** Hardware addresses of the device and of the next hop, six bytes each. */
      readonly source: Uint8Array;
      readonly destination: Uint8Array;
      readonly state: NeighbourState;
    })
  /** There is a way, but the next hop's hardware address is not known: send a packet, or `use` the neighbour. */
  | (Hop & { readonly kind: 'no-neighbour' })
  /** There is a way, but the device is down or has no carrier. */
  | (Hop & { readonly kind: 'link-down' })
  /**
   * No way for frames: `no-route`; `not-ethernet`: the device has no hardware addresses; `not-unicast`: a multicast,
   * broadcast or own address.
   */
  | {
      readonly kind: 'no-route' | 'not-ethernet' | 'not-unicast';
      readonly path: Path;
    };

interface RouteObject {
  readonly dst?: string;
  readonly type?: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly via?: { readonly host?: string };
  readonly metrics?: readonly { readonly mtu?: number }[];
}

interface NeighbourObject {
  readonly dst?: string;
  readonly dev?: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

interface LinkObject {
  readonly ifindex?: number;
  readonly ifname?: string;
  readonly flags?: readonly string[];
  readonly mtu?: number;
  readonly qdisc?: string;
  readonly link_type?: string;
  readonly address?: string;
}

interface Known {
  readonly links: ReadonlyMap<string, LinkObject>;
  /** By `device address`. */
  readonly neighbours: ReadonlyMap<string, NeighbourObject>;
}

/**
 * Resolves each path, in order. Remotes are unicast addresses in canonical form, bound to a device where
 * `dev` names one. Changes nothing: a neighbour that is not known stays so.
 */
export async function resolveAdjacencies(paths: readonly Path[]): Promise<Adjacency[]> {
  if (paths.length === 0) return [];
  const devices = [...new Set(paths.map(({ dev }) => dev))];
  const routes = new Map<string | undefined, ReadonlyMap<string, RouteObject>>();
  await Promise.all(
    devices.map(async (dev) => {
      const remotes = paths.filter((path) => path.dev === dev).map(({ remote }) => remote);
      routes.set(dev, await readRoutes(new Set(remotes), dev));
    }),
  );
  const known = await readKnown();
  return paths.map((path) => resolve(path, routes.get(path.dev)?.get(path.remote), known));
}

function resolve(path: Path, route: RouteObject | undefined, known: Known): Adjacency {
  const link = known.links.get(route?.dev ?? '');
  if (route?.dev === undefined || link?.ifindex === undefined || link.mtu === undefined) {
    return { kind: 'no-route', path };
  }
  if (route.type !== undefined && route.type !== 'unicast') return { kind: 'not-unicast', path };
  const source = hardwareAddress(link.address);
  if (link.link_type !== 'ether' || source === undefined) return { kind: 'not-ethernet', path };

  const neighbour = route.gateway ?? route.via?.host ?? path.remote;
  const hop: Hop = {
    ...{ path, link: link.ifindex, device: route.dev, neighbour },
    mtu: route.metrics?.[0]?.mtu ?? link.mtu,
    deviceMtu: link.mtu,
    queues: link.qdisc !== 'noqueue',
  };
  const flags = link.flags ?? [];
  if (!flags.includes('UP') || flags.includes('NO-CARRIER')) return { ...hop, kind: 'link-down' };
  const found = known.neighbours.get(`${route.dev} ${neighbour}`);
  const state = VALID_STATES.find((name) => found?.state?.includes(name));
  const destination = hardwareAddress(found?.lladdr);
  if (state === undefined || destination === undefined) return { ...hop, kind: 'no-neighbour' };
  return { ...hop, kind: 'resolved', source, destination, state };
}

/** Routes to `remotes` by remote, through `dev` alone where it is given. */
async function readRoutes(
  remotes: ReadonlySet<string>,
  dev: string | undefined,
): Promise<Map<string, RouteObject>> {
  const through = dev === undefined ? '' : ` oif ${dev}`;
  const lines = [...remotes].map((remote) => `route get ${remote}${through}\n`).join('');
  // A remote without a route is an error of its line alone.
  const { stdout } = await runIp(['-j', '-force', '-batch', '-'], lines);
  const routes = parseJsonLines<RouteObject>(stdout);
  return new Map(routes.flatMap((route) => (route.dst === undefined ? [] : [[route.dst, route]])));
}

async function readKnown(): Promise<Known> {
  const { stdout } = await runIp(['-j', '-batch', '-'], 'link show\nneigh show nud all\n');
  const links = new Map<string, LinkObject>();
  const neighbours = new Map<string, NeighbourObject>();
  for (const found of parseJsonLines<LinkObject & NeighbourObject>(stdout)) {
    if (found.ifname !== undefined) links.set(found.ifname, found);
    else neighbours.set(`${found.dev} ${found.dst}`, found);
  }
  return { links, neighbours };
}

/** The six bytes of `aa:bb:cc:dd:ee:ff`; undefined for anything else. */
function hardwareAddress(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}
