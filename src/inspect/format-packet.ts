import type { Paint } from '../config/diagnostic.js';
import type { Decoded, DecodedGre } from '../packet/decode.js';
import type { Difference, Nearest } from '../packet/nearest.js';
import { protocolName } from '../packet/protocol-name.js';

const TUNNELS: ReadonlyMap<number, string> = new Map([
  [4, 'ipip'],
  [17, 'gre-udp'],
  [41, 'sit'],
  [47, 'gre'],
]);

const ETHERTYPES: ReadonlyMap<number, string> = new Map([
  [0x0800, 'ipv4'],
  [0x86dd, 'ipv6'],
  [0x6558, 'ethernet'],
]);

/**
 * One line for a person: number, verdict, outer header, GRE options, inner packet.
 *
 *     3  ok                  192.0.2.1 > 192.0.2.2  gre key 42 seq 7 csum ok | 10.9.0.1 > 10.9.0.2 icmp, 84 bytes
 */
export function formatPacket(number: number, packet: Decoded, paint: Paint): string {
  const { outer, inner } = packet;
  const verdict = packet.reason === null ? 'ok' : packet.reason;
  const tunnel = TUNNELS.get(outer.protocol) ?? `protocol ${outer.protocol}`;
  const words = [
    String(number).padStart(6),
    paint(packet.reason === null ? 'green' : 'red', verdict.padEnd(19)),
    `${outer.source} > ${outer.destination}`,
    tunnel,
    ...(packet.gre === null ? [] : greWords(packet.gre)),
  ];
  const line = words.join(' ');
  const near = packet.nearest ? `; nearly ${formatNearest(packet.nearest)}` : '';
  if (inner === null) return line + near;
  const protocol = protocolName(inner.protocol);
  return (
    `${line} ${paint('dim', '|')} ` +
    `${inner.source} > ${inner.destination} ${protocol}, ${inner.length} bytes${near}`
  );
}

/** `gre1: key 8, expected 7`. */
export function formatNearest({ tunnel, differs }: Nearest): string {
  return `${tunnel}: ${differs.map(formatDifference).join('; ')}`;
}

function formatDifference({ field, packet, expected }: Difference): string {
  const name = field === 'type' ? 'protocol type' : field;
  if (field === 'type') return `${name} ${packet}, but the tunnel is ${expected}`;
  if (packet === null) return `no ${name}, expected ${expected}`;
  return `${name} ${packet}, expected ${expected ?? 'none'}`;
}

function greWords(gre: DecodedGre): string[] {
  const words: string[] = [];
  if (gre.version !== 0) words.push(`version ${gre.version}`);
  if (gre.key !== null) words.push(`key ${gre.key}`);
  if (gre.sequence !== null) words.push(`seq ${gre.sequence}`);
  if (gre.checksum) words.push(`csum ${checksumWord(gre.checksumValid)}`);
  const ethertype =
    ETHERTYPES.get(gre.protocol) ?? `0x${gre.protocol.toString(16).padStart(4, '0')}`;
  return [...words, ethertype];
}

function checksumWord(valid: boolean | null): string {
  if (valid === null) return 'unchecked';
  return valid ? 'ok' : 'bad';
}
