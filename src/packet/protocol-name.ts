/** IP protocols that are met inside tunnels, as in /etc/protocols. */
export const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [0, 'hop-by-hop'],
  [1, 'icmp'],
  [2, 'igmp'],
  [4, 'ipip'],
  [6, 'tcp'],
  [17, 'udp'],
  [41, 'sit'],
  [44, 'fragment'],
  [47, 'gre'],
  [50, 'esp'],
  [51, 'ah'],
  [58, 'icmp6'],
  [88, 'eigrp'],
  [89, 'ospf'],
  [103, 'pim'],
  [112, 'vrrp'],
  [132, 'sctp'],
]);

/** `icmp`, or `protocol 99` for one without a name here. */
export function protocolName(protocol: number): string {
  return PROTOCOLS.get(protocol) ?? `protocol ${protocol}`;
}

/** A GRE protocol type as it is written everywhere: `0x0800`. */
export function typeText(type: number): string {
  return `0x${type.toString(16).padStart(4, '0')}`;
}
