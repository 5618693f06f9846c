// The two ends of a tunnel in the outer network: local and remote.
//
//   1. checkEnd      each on its own, see endpoint.ts
//   2. checkPair     what they say together

import { carries, type Mode } from '../packet/tunnel.js';
import { CODE, type Place } from './diagnostic.js';
import { type Endpoint, type EndpointRule, judgeEndpoint } from './endpoint.js';
import { isMissing, keyPlace, type Subject, valuePlace } from './subject.js';

export interface Ends {
  /** Absent when it is wrong or missing. */
  readonly local: Endpoint | undefined;
  readonly remote: Endpoint | undefined;
}

const ANY: Endpoint = { text: 'any', kind: 'any', isLinkLocal: false };

export function checkEnds(subject: Subject): Ends {
  const local = checkLocal(subject);
  const remote = checkRemote(subject);
  if (local !== undefined && remote !== undefined) checkPair(subject, local, remote);
  return { local, remote };
}

/** Judges one endpoint; what is wrong with it is reported. */
export function checkEnd(
  subject: Subject,
  rule: Omit<EndpointRule, 'mode'>,
  text: string,
  place: Place,
): Endpoint | undefined {
  const { report, mode } = subject;
  const judged = judgeEndpoint({ ...rule, mode }, text);
  if ('code' in judged) {
    report.addFault(judged, place);
    return undefined;
  }
  if (judged.isLinkLocal && isMissing(subject, 'dev')) {
    const message = `${rule.name} = "${judged.text}" is on every link: without dev nobody knows which`;
    report.add(
      CODE.linkLocalDev,
      place,
      message,
      'dev = "DEVICE of the link", for instance "eth0"',
    );
  }
  return judged;
}

function checkLocal(subject: Subject): Endpoint | undefined {
  const { values, wrong, partial } = subject;
  if (values.local === undefined) return wrong.has('local') || partial ? undefined : ANY;
  const place = valuePlace(subject, 'local');
  return checkEnd(subject, { name: 'local', kind: 'local' }, values.local, place);
}

/** What to write where nothing says where packets go. */
function remoteHint({ values }: Subject, isEthernet: boolean): string {
  if (values.peers !== undefined && values.peers.length > 0) return 'beside peers: remote = "any"';
  const hint = 'remote = "ADDRESS of the peer"';
  return isEthernet
    ? `${hint}, or a multicast group`
    : `${hint}; to receive from everyone: remote = "any"`;
}

function checkRemote(subject: Subject): Endpoint | undefined {
  const { values, report, mode, title } = subject;
  const isEthernet = mode !== undefined && carries(mode) === 'ethernet';
  if (values.remote === undefined) {
    if (!isMissing(subject, 'remote')) return undefined;
    const hint = remoteHint(subject, isEthernet);
    report.add(CODE.missing, keyPlace(subject), `${title} has no remote`, hint);
    return undefined;
  }
  const place = valuePlace(subject, 'remote');
  const remote = checkEnd(subject, { name: 'remote', kind: 'remote' }, values.remote, place);
  if (remote?.kind !== 'any') return remote;
  if (isEthernet) {
    const message = `remote = "any" leaves the frames of mode = "${mode}" without a way out`;
    report.add(CODE.ethernetRemote, place, message, 'name the peer, or a multicast group');
    return remote;
  }
  if (values.peers !== undefined && values.peers.length > 0) return remote; // to and from those alone
  report.add(
    CODE.anyRemote,
    place,
    `${title} takes packets from every sender (a key keeps nobody out), and sends none`,
    'name the peer, if there is one',
  );
  return remote;
}

function checkPair(subject: Subject, local: Endpoint, remote: Endpoint): void {
  const { report, mode } = subject;
  const place = valuePlace(subject, 'remote');
  if (local.text === remote.text && local.kind !== 'any') {
    const message = `remote is the same address as local, ${local.text}: a tunnel needs two ends`;
    report.add(CODE.sameEndpoints, place, message, 'remote is the address of the other machine');
  }
  checkSameFamily(subject, mode, local, remote, place);
  if (remote.kind !== 'multicast') return;
  if (local.kind === 'any') {
    const message = `remote = "${remote.text}" is a multicast group: packets to it need a sender, and there is no local`;
    report.add(CODE.multicastLocal, place, message, 'local = "ADDRESS of this machine"');
  }
  if (!remote.isLinkLocal && isMissing(subject, 'dev')) {
    const message = `remote = "${remote.text}" is a multicast group, and no dev says on which link it is: the routes decide`;
    report.add(
      CODE.multicastDev,
      place,
      message,
      'dev = "DEVICE of the link", for instance "eth0"',
    );
  }
}

/** Says that two endpoints, `remote` the later one, are not of one family. Modes with a family of their own said it already. */
export function checkSameFamily(
  { report }: Subject,
  mode: Mode | undefined,
  local: Endpoint,
  remote: Endpoint,
  place: Place,
): void {
  if (mode !== 'gre-udp' || local.version === undefined || remote.version === undefined) return;
  if (local.version === remote.version) return;
  report.add(
    CODE.endpointFamily,
    place,
    `${remote.text} is IPv${remote.version} and ${local.text} IPv${local.version}: the ends of a tunnel have one family`,
    'write both in the same family',
  );
}
