// The probes of those who scan for open tunnels (Vanhoef's tunneltester): tunnel packets whose inner packet would make
// an open one send something that the scanner sees.
import { gre, internetChecksum, ipv4, ipv6 } from './packets.js';

const SCANNER4 = '203.0.113.66';
const SCANNER6 = '20010db80bad00000000000000000066';
/** The router under test. */
const ROUTER4 = '192.0.2.1';
const ROUTER6 = '20010db8000000010000000000000001';
/** Addresses that are nobody's here: in the router's network, and somewhere else. */
const NEIGHBOUR4 = '192.0.2.77';
const NEIGHBOUR6 = '20010db8000000010000000000000077';
const FAR4 = '203.0.113.201';
const FAR6 = '20010db8000500050000000000000005';

const SCANS = ['standard', 'subnet-spoof', 'spoof', 'ping', 'ttl'] as const;
const PROTOCOLS = ['ipip', 'gre', 'ip6ip6', 'gre6', '6in4', '4in6'] as const;
type Scan = (typeof SCANS)[number];
type Protocol = (typeof PROTOCOLS)[number];

/** Every scan of every protocol; `from4` and `from6`: the outer sources, of the peer of a tunnel perhaps. */
export function scanProbes(from4 = SCANNER4, from6 = SCANNER6): Uint8Array[] {
  return PROTOCOLS.flatMap((protocol) => SCANS.map((scan) => probe(protocol, scan, from4, from6)));
}

function probe(protocol: Protocol, scan: Scan, from4: string, from6: string): Uint8Array {
  const isOver6 = protocol === 'ip6ip6' || protocol === 'gre6' || protocol === '4in6';
  const isInner6 = protocol === 'ip6ip6' || protocol === 'gre6' || protocol === '6in4';
  const inner = isInner6 ? inner6(scan) : inner4(scan);
  const isGre = protocol === 'gre' || protocol === 'gre6';
  const payload = isGre ? gre({ payload: inner }) : inner;
  const number = isGre ? 47 : isInner6 ? 41 : 4;
  return isOver6
    ? ipv6({ source: from6, destination: ROUTER6, nextHeader: number, payload })
    : ipv4({ source: from4, destination: ROUTER4, protocol: number, identification: 1, payload });
}

/** An ICMP echo: a reply for the scanner, a request to the router, or one whose time runs out. */
function inner4(scan: Scan): Uint8Array {
  const sources = { standard: ROUTER4, 'subnet-spoof': NEIGHBOUR4, spoof: FAR4 };
  const payload = echo(scan === 'ping' ? 8 : 0, new Uint8Array(0));
  switch (scan) {
    case 'ttl':
      return ipv4({ source: SCANNER4, destination: FAR4, ttl: 1, payload });
    case 'ping':
      return ipv4({ source: SCANNER4, destination: ROUTER4, payload });
    default:
      return ipv4({ source: sources[scan], destination: SCANNER4, payload });
  }
}

function inner6(scan: Scan): Uint8Array {
  const sources = { standard: ROUTER6, 'subnet-spoof': NEIGHBOUR6, spoof: FAR6 };
  const build = (type: number, source: string, destination: string, hopLimit = 64): Uint8Array => {
    const pseudo = Buffer.from(`${source}${destination}0000000c0000003a`, 'hex');
    return ipv6({ source, destination, hopLimit, payload: echo(type, pseudo) });
  };
  switch (scan) {
    case 'ttl':
      return build(129, SCANNER6, FAR6, 1);
    case 'ping':
      return build(128, SCANNER6, ROUTER6);
    default:
      return build(129, sources[scan], SCANNER6);
  }
}

/** `pseudo`: what its checksum covers besides. */
function echo(type: number, pseudo: Uint8Array): Uint8Array {
  const message = Buffer.from([type, 0, 0, 0, 0, 1, 0, 1, 0x41, 0x41, 0x41, 0x41]);
  message.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, message])), 2);
  return Uint8Array.from(message);
}
