import type { Tunnel } from '../packet/tunnel.js';

/** The tunnels of a config, as far as they are known without a router that runs. */
export interface KnownTunnels {
  readonly tunnels: readonly Tunnel[];
  /** Names of the devices that tunnels are bound to, by numbers that stand for them here. */
  readonly links: ReadonlyMap<number, string>;
}

/** Reads the tunnels of a config. One whose host name cannot be resolved is left out, and `warn` told. */
export async function loadTunnels(
  file: string,
  warn: (line: string) => void,
): Promise<KnownTunnels> {
  // Loaded here because reading a config takes longer to load than most captures to decode.
  const { loadConfigOrFail } = await import('../config/load.js');
  const { resolveNames } = await import('../config/names.js');
  const { tunnelOf } = await import('../config/tunnel.js');
  const config = loadConfigOrFail(file);
  const resolved = await resolveNames(config);
  const answers = new Map(resolved.map((one) => [`${one.tunnel} ${one.name}`, one.answer]));
  const devices = [...new Set(config.tunnels.flatMap(({ dev }) => dev ?? []))];
  const tunnels = config.tunnels.flatMap((tunnel) => {
    const { name, remote, peers, dev } = tunnel;
    const link = dev === undefined ? 0 : devices.indexOf(dev) + 1;
    const isLeftOut = (what: string, host: string): boolean => {
      const answer = answers.get(`${name} ${host}`);
      if (answer === undefined || 'address' in answer) return false;
      warn(`${what} is left out: cannot resolve ${host}: ${answer.fault}`);
      return true;
    };
    if (isLeftOut(`tunnel ${name}`, remote)) return [];
    for (const peer of peers) isLeftOut(`peer ${peer.remote} of tunnel ${name}`, peer.remote);
    const addressOf = (host: string): string | undefined => {
      const answer = answers.get(`${name} ${host}`);
      return answer !== undefined && 'address' in answer ? answer.address : undefined;
    };
    return [tunnelOf(tunnel, { link, addressOf })];
  });
  return { tunnels, links: new Map(devices.map((name, index) => [index + 1, name])) };
}
