// Who may ask what. A web page of a stranger in a browser near the router must get nothing and change nothing.
//
//   1. host     a name of a stranger's that DNS points here (rebinding) is refused
//   2. origin   so is a request that another page makes, which a browser says in Origin and Sec-Fetch-Site
//   3. token    over TCP, for what changes something and for contents of packets
//
// The first two hold on the unix socket as well: ssh forwards it to ports, where browsers find it.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

/** Where a request came in. */
export type Door =
  | { readonly kind: 'socket' }
  | {
      readonly kind: 'tcp';
      /** Host of the address as it is configured. */
      readonly host: string;
      readonly token: string;
    };

/** Why a request is not to be answered at all, or undefined. */
export function strangerFault(headers: IncomingHttpHeaders, door: Door): string | undefined {
  const { host, origin } = headers;
  // HTTP/1.0 has no Host, and no browser speaks it.
  if (host !== undefined && !isOwnName(host, door)) {
    return `the router is not called ${JSON.stringify(host)}`;
  }
  if (origin !== undefined && origin !== `http://${host}`) {
    return 'pages of other origins may not ask the router';
  }
  const site = headers['sec-fetch-site'] ?? 'none';
  // A link to the page is followed; whatever another page loads is not.
  const isLink =
    headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  if (site !== 'none' && site !== 'same-origin' && !isLink) {
    return 'pages of other sites may not ask the router';
  }
  return undefined;
}

function isOwnName(header: string, door: Door): boolean {
  if (door.kind === 'tcp') return isOwnHost(header, door.host);
  // `curl --unix-socket PATH http://grebe/...`: no name without a dot is a stranger's.
  return isOwnHost(header, '') || /^[^.:]+(:[0-9]{1,5})?$/.test(header);
}

/** Whether a Host header names a listener in a way that no stranger's DNS can: as an address, or as configured. */
export function isOwnHost(header: string, configured: string): boolean {
  const [, bracketed, plain = ''] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::[0-9]{1,5})?$/.exec(header) ?? [];
  if (bracketed !== undefined) return isIPv6(bracketed);
  const name = plain.toLowerCase();
  return isIPv4(name) || name === 'localhost' || (name !== '' && name === configured);
}

/** Whether a request may do what needs the token. */
export function isTrusted({ authorization = '' }: IncomingHttpHeaders, door: Door): boolean {
  if (door.kind === 'socket') return true;
  const [, given = ''] = /^Bearer +([^ ]+) *$/i.exec(authorization) ?? [];
  // Digests have one length, and say nothing about how much of a guess is right.
  return timingSafeEqual(digest(given), digest(door.token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
