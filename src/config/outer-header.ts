// What the outer headers hold: ttl, tos, ecn, fragmentation, over IPv6 encaplimit and flowlabel, of UDP sport.

import type { Arrival, Inherit } from '../packet/tunnel.js';
import type { TunnelConfig } from './config.js';
import { CODE, show } from './diagnostic.js';
import { keyPlace, type Subject, valuePlace } from './subject.js';

type OuterHeader = Pick<
  TunnelConfig,
  | 'ttl'
  | 'ttlIn'
  | 'tos'
  | 'tosIn'
  | 'ecn'
  | 'pmtudisc'
  | 'ignoreDf'
  | 'encapLimit'
  | 'flowLabel'
  | 'sourcePort'
>;

/** TTL of outer packets when the config names none: `inherit` hides hops and breaks TTL-1 protocols. */
const DEFAULT_TTL = 64;

/** `underlay`: IP version of the outer header, where it is known. */
export function checkOuterHeader(subject: Subject, underlay: 4 | 6 | undefined): OuterHeader {
  const { values } = subject;
  const ttl = split(values.ttl);
  const tos = split(values.tos);
  if (underlay === 6) checkNoDf(subject);
  else checkDf(subject, ttl.out);
  if (underlay === 4) checkIpv6Only(subject);
  checkFlows(subject);
  const { encaplimit = 'none', flowlabel = 0, sport = 'auto' } = values;
  return {
    ttl: ttl.out ?? DEFAULT_TTL,
    ttlIn: ttl.in ?? 'keep',
    tos: tos.out ?? 'inherit',
    tosIn: tos.in ?? 'keep',
    ecn: values.ecn ?? 'normal',
    pmtudisc: values.pmtudisc ?? true,
    ignoreDf: values['ignore-df'] ?? false,
    ...(encaplimit === 'none' ? {} : { encapLimit: encaplimit }),
    flowLabel: flowlabel,
    ...(sport === 'auto' ? {} : { sourcePort: sport }),
  };
}

/** By what the network may tell flows apart: not where there is no such field, nor where all have to stay in order. */
function checkFlows(subject: Subject): void {
  const { values, mode, report } = subject;
  const { sport, flowlabel, seq } = values;
  if (sport !== undefined && mode !== undefined && mode !== 'gre-udp') {
    const message = `sport is the source port of UDP: mode = "${mode}" has none`;
    report.add(
      CODE.udpOnly,
      keyPlace(subject, 'sport'),
      message,
      'drop it, or use mode = "gre-udp"',
    );
  }
  const isNumbered = seq === true || (typeof seq === 'object' && seq.out === true);
  if (flowlabel !== 'flow' || !isNumbered) return;
  report.add(
    CODE.contradiction,
    valuePlace(subject, 'flowlabel'),
    'flowlabel = "flow" gives each flow a way of its own, and seq numbers all packets in one order: the peer would drop what is overtaken',
    'a number for flowlabel, or seq = { in = true }',
  );
}

type Field = number | Inherit;

/** A value alone is that of outgoing packets. */
function split(
  value:
    | Field
    | { readonly out?: Field | undefined; readonly in?: Arrival | undefined }
    | undefined,
): { readonly out?: Field | undefined; readonly in?: Arrival | undefined } {
  return typeof value === 'object' ? value : { out: value };
}

/** Over IPv4: when routers on the way may fragment outer packets. */
function checkDf(subject: Subject, ttl: Field | undefined): void {
  const { values, wrong, partial, report } = subject;
  const { pmtudisc } = values;
  if (pmtudisc === false && typeof ttl === 'number') {
    report.add(
      CODE.ttlWithoutDf,
      valuePlace(subject, 'pmtudisc'),
      `pmtudisc = false and a fixed ttl, ${ttl}, do not go together: a packet that runs in circles would be fragmented on and on`,
      'pmtudisc = true, or ttl = "inherit"',
    );
  }
  if (values['ignore-df'] !== true || pmtudisc === false) return;
  if (pmtudisc === undefined && (wrong.has('pmtudisc') || partial)) return;
  report.add(
    CODE.ignoreDf,
    keyPlace(subject, 'ignore-df'),
    'ignore-df has nothing to ignore: with pmtudisc, every outer packet has DF',
    'pmtudisc = false, and ttl = "inherit"',
  );
}

/** Over IPv6 there is no DF: routers never fragment. */
function checkNoDf(subject: Subject): void {
  const { values, report } = subject;
  const refuse = (key: 'pmtudisc' | 'ignore-df'): void => {
    const message = `${key} = ${show(values[key])} is about DF, which only IPv4 has: no router fragments IPv6`;
    report.add(
      CODE.ipv4UnderlayOnly,
      keyPlace(subject, key),
      message,
      'drop it, and set mtu if need be',
    );
  };
  if (values.pmtudisc === false) refuse('pmtudisc');
  if (values['ignore-df'] === true) refuse('ignore-df');
}

function checkIpv6Only(subject: Subject): void {
  const { values, report } = subject;
  const refuse = (key: 'encaplimit' | 'flowlabel'): void => {
    const message = `${key} belongs to IPv6: outer packets are IPv4 here`;
    report.add(
      CODE.ipv6UnderlayOnly,
      keyPlace(subject, key),
      message,
      'drop it, or use a mode over IPv6',
    );
  };
  if (values.encaplimit !== undefined && values.encaplimit !== 'none') refuse('encaplimit');
  if (values.flowlabel !== undefined && values.flowlabel !== 0) refuse('flowlabel');
}
