// What the sockets of a lane are opened for: read from the tunnels, whatever their devices are.
import type { LaneStart, UdpTunnels } from '../lane/message.js';
import { parseAddress } from '../packet/address.js';
import { PROTOCOL_OF } from '../packet/outer-header.js';
import { isToGroup } from '../packet/table.js';
import { isGre, type Tunnel, versionOf } from '../packet/tunnel.js';
import type { OuterProtocol } from '../underlay/contract.js';
import type { Group } from '../underlay/groups.js';
import type { UdpLocal } from '../underlay/udp/udp.js';

/** `records`: what each record stands for. */
export function endpointsOf(
  records: readonly (Tunnel | undefined)[],
): Pick<LaneStart, 'protocols' | 'versions' | 'groups' | 'udp'> {
  const tunnels = records.filter((tunnel) => tunnel !== undefined);
  const plain = tunnels.filter(({ mode }) => mode !== 'gre-udp');
  return {
    protocols: protocolsOf(plain),
    versions: [...new Set(tunnels.map(versionOf))].sort(),
    groups: groupsOf(plain),
    udp: udpTunnels(records),
  };
}

/** Whether an address counts on one device alone: fe80::/10. */
export function isLinkLocal(text: string): boolean {
  const address = parseAddress(text);
  if (address?.version !== 6) return false;
  const [first = 0, second = 0] = address.value;
  return first === 0xfe && (second & 0xc0) === 0x80;
}

function protocolsOf(tunnels: readonly Tunnel[]): OuterProtocol[] {
  const found = tunnels.map((tunnel) => {
    const outer = { version: versionOf(tunnel), protocol: PROTOCOL_OF[tunnel.mode] };
    return [`${outer.version} ${outer.protocol}`, outer] as const;
  });
  return [...new Map(found).values()];
}

function groupsOf(tunnels: readonly Tunnel[]): Group[] {
  const found = tunnels.filter(isToGroup).map((tunnel) => {
    const { remote: address, link } = tunnel;
    return [`${address} ${link}`, { address, link }] as const;
  });
  return [...new Map(found).values()];
}

function udpTunnels(tunnels: readonly (Tunnel | undefined)[]): UdpTunnels {
  const records: number[] = [];
  const headed: number[] = [];
  const locals: UdpLocal[] = [];
  const members: Tunnel[] = [];
  for (const [index, tunnel] of tunnels.entries()) {
    if (tunnel?.mode !== 'gre-udp') continue;
    members.push(tunnel);
    records.push(index + 1);
    if (hasOwnHeader(tunnel)) headed.push(index + 1);
    const { local, link } = tunnel;
    if (local === 'any')
      locals.push({ address: versionOf(tunnel) === 4 ? '0.0.0.0' : '::', link: 0 });
    else locals.push({ address: local, link: isLinkLocal(local) ? link : 0 });
  }
  return { locals, groups: groupsOf(members), records, headed };
}

/** Whether the headers say what a UDP socket would not: this very port, a flow label, how deep tunnels may be nested. */
function hasOwnHeader(tunnel: Tunnel): boolean {
  const { flowLabel = 0, encapLimit } = tunnel;
  if (isGre(tunnel) && tunnel.sourcePort !== undefined) return true;
  return versionOf(tunnel) === 6 && (flowLabel !== 0 || encapLimit !== undefined);
}
