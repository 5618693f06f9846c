import { parseIpv4, parseIpv6 } from '../packet/address.js';
import { CODE, type Fault, show } from './diagnostic.js';
import { didYouMean } from './nearest.js';

/**
 * Judges `local` or `remote` of a tunnel: an IPv4 address that can stand in an outer header, or `any`
 * (also written 0.0.0.0, as `ip tunnel` does). Returns its canonical text, or what is wrong.
 */
export function judgeEndpoint(key: 'local' | 'remote', text: string): string | Fault {
  if (text === 'any' || text === '0.0.0.0') return 'any';
  const value = parseIpv4(text);
  if (value !== null) return judgeIpv4(key, text, value);
  if (parseIpv6(text) !== null) {
    return unsupported(`${key} = ${show(text)}: an IPv6 underlay is not supported yet`);
  }
  if (text.includes('/')) {
    return {
      code: CODE.address,
      message: `${key} must be one IPv4 address or "any", not ${show(text)}`,
      hint: `without the prefix length: ${show(text.slice(0, text.indexOf('/')))}`,
    };
  }
  const near = didYouMean(text, ['any']);
  if (near === '' && isHostName(text)) {
    return unsupported(
      `${key} = ${show(text)}: a DNS name is not supported yet`,
      'write the IPv4 address it stands for',
    );
  }
  return {
    code: CODE.address,
    message: `${key} must be an IPv4 address or "any", not ${show(text)}${near}`,
  };
}

function judgeIpv4(key: string, text: string, value: number): string | Fault {
  const first = value >>> 24;
  if (first >= 224 && first < 240) {
    return key === 'remote'
      ? unsupported(`remote = "${text}": a multicast remote is not supported yet`)
      : { code: CODE.endpoint, message: `local cannot be the multicast address ${text}` };
  }
  const kind =
    first === 127 ? 'loopback' : first === 0 || first >= 240 ? 'reserved or broadcast' : undefined;
  if (kind === undefined) return text;
  return {
    code: CODE.endpoint,
    message: `${key} cannot be ${text}: packets with a ${kind} address are dropped (outer-martian)`,
  };
}

function unsupported(message: string, hint?: string): Fault {
  return { code: CODE.unsupported, message, ...(hint === undefined ? {} : { hint }) };
}

/** A name that DNS could know: it has a letter, which no IPv4 address has. */
function isHostName(text: string): boolean {
  return (
    text.length <= 253 &&
    /[a-z]/i.test(text) &&
    /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i.test(text)
  );
}
