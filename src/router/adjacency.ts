import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export interface Adjacency {
  readonly link: number;
  readonly device: string;
  readonly mtu: number;
  readonly queues: boolean;
  readonly source?: string;
  readonly destination?: string;
}

export async function resolveAdjacencies(
  paths: readonly { readonly remote: string; readonly dev?: string | undefined }[],
): Promise<(Adjacency | undefined)[]> {
  const run = promisify(execFile);
  const j = async (...w: string[]): Promise<any[]> => {
    try { return JSON.parse((await run('ip', ['-j', ...w])).stdout || '[]'); } catch { return []; }
  };
  const links = await j('link');
  const neigh = await j('neigh');
  return Promise.all(paths.map(async ({ remote }) => {
    if (remote === 'any') return undefined;
    const [r] = await j('route', 'get', remote);
    const l = links.find((x) => x.ifname === r?.dev);
    if (!l || l.link_type !== 'ether') return undefined;
    const n = neigh.find((x) => x.dst === (r.gateway ?? remote) && x.dev === r.dev && x.lladdr);
    return { link: l.ifindex, device: l.ifname, mtu: l.mtu, queues: l.qdisc !== 'noqueue', ...(n ? { source: l.address, destination: n.lladdr } : {}) };
  }));
}
