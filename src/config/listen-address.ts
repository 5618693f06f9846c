import { isIPv4, isIPv6 } from 'node:net';
import { isHostName } from './host-name.js';

/** Where something listens on TCP. */
export interface ListenAddress {
  /** An address without brackets, or a host name in lower case. */
  readonly host: string;
  readonly port: number;
}

/** Reads `ADDRESS:PORT`; an IPv6 address stands in brackets. Null for what is none. */
export function parseListenAddress(text: string): ListenAddress | null {
  const [, bracketed, plain, digits = ''] = /^(?:\[(.+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65535) return null;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : null;
  if (plain === undefined || !(isIPv4(plain) || isHostName(plain))) return null;
  return { host: plain.toLowerCase(), port };
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach an address. A host name but `localhost` may stand for any. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
