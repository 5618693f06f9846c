import { PROTOCOL_OF } from '../../packet/outer-header.js';
import type { PeerStatus, TunnelStatus } from '../../router/contract.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { statusLater } from '../later.js';
import { isQuiet, type Subject, type Target } from '../subject.js';

/** Packets sent without one that came back: fewer may be nobody's fault. */
const UNANSWERED = 10;
/** How long the router is watched for packets to a peer that has become quiet, and how many are enough. */
const WATCH_MS = 1500;
const SENT = 2;

/** Whether the peer is heard, and where it is not, whether the machine at its address is there at all. */
export const peer: Check = {
  looks: 'when each peer was last heard, and what its keepalives and probes say (grebe status)',
  fine: 'every peer is heard, or was not spoken to yet',
  examine: async (subject: Subject) => {
    const spoken = await spokenTo(subject);
    return subject.targets.flatMap((target) => examineOne(subject, target, spoken));
  },
};

/** One far end of a tunnel: its only one, or one of its peers. */
interface End {
  readonly id: string;
  /** Its address, where the tunnel has several. */
  readonly remote: string | undefined;
  readonly status: Pick<PeerStatus, 'rx' | 'tx' | 'lastReceivedMs'>;
}

function endsOf(tunnel: TunnelStatus): End[] {
  if (tunnel.peers === undefined) {
    return [{ id: tunnel.name, remote: undefined, status: tunnel }];
  }
  return tunnel.peers.map((peer) => {
    const remote = peer.remoteAddress ?? peer.remote;
    return { id: `${tunnel.name} ${remote}`, remote, status: peer };
  });
}

/** Which ends are sent to though nothing was heard of them lately; once it was. */
async function spokenTo({ router, targets }: Subject): Promise<ReadonlySet<string>> {
  const quiet = targets
    .flatMap(({ status }) => (status === undefined ? [] : endsOf(status)))
    .filter(({ status }) => status.lastReceivedMs !== null && isQuiet(status));
  if (router.kind !== 'running' || quiet.length === 0) return new Set();
  const tunnels = [...(await statusLater(router, WATCH_MS)).values()];
  const later = new Map(tunnels.flatMap(endsOf).map(({ id, status }) => [id, status]));
  const sent = quiet.filter(({ id, status: { rx, tx } }) => {
    const now = later.get(id);
    return now?.rx.packets === rx.packets && now.tx.packets - tx.packets >= SENT;
  });
  return new Set(sent.map(({ id }) => id));
}

function examineOne(subject: Subject, target: Target, spoken: ReadonlySet<string>): Outcome[] {
  const { name: tunnel, status } = target;
  if (status === undefined) return [];
  const { downReason } = status;
  if (downReason === 'device') return []; // that check tells
  if (downReason !== undefined && downReason !== 'keepalive' && downReason !== 'probe') {
    const found = `the tunnel is down: ${downReason}`;
    const name = target.config?.remote ?? status.remote;
    return [{ severity: 'error', tunnel, found, next: `getent ahosts ${name}` }];
  }
  if (downReason !== undefined) {
    const found = `the peer does not answer its ${downReason}s: ${heardText(status)}${reachText(subject, target)}`;
    return [{ severity: 'error', tunnel, found, next: nextStep(target) }];
  }
  return endsOf(status).flatMap((end) => silence(subject, target, end, spoken));
}

function silence(
  subject: Subject,
  target: Target,
  { id, remote, status }: End,
  spoken: ReadonlySet<string>,
): Outcome[] {
  const { lastReceivedMs, tx } = status;
  const isNew = lastReceivedMs === null;
  if (isNew ? tx.packets < UNANSWERED : !spoken.has(id)) return [];
  const whom = remote === undefined ? '' : ` to ${remote}`;
  const what = isNew
    ? `${tx.packets} packets were sent${whom} and`
    : `packets are sent${whom}, and nothing comes:`;
  const far = remote === undefined ? target : { ...target, remotes: [remote] };
  const found = `${what} ${heardText(status)}${reachText(subject, far)}`;
  return [{ severity: 'warning', tunnel: target.name, found, next: nextStep(far) }];
}

function heardText({ lastReceivedMs }: Pick<PeerStatus, 'lastReceivedMs'>): string {
  return lastReceivedMs === null
    ? 'nothing was ever heard'
    : `last heard ${ago(lastReceivedMs)} ago`;
}

/** What ICMP echo says of the machine at the far end. */
function reachText({ echoes }: Subject, { remotes, mode }: Target): string {
  if (echoes === undefined) return '; whether it is there at all: add --probe';
  const answers = remotes.map((remote) => echoes.get(remote)).filter((one) => one !== undefined);
  if (answers.length === 0) return '';
  const answering = answers.filter(({ roundTripMs }) => roundTripMs !== undefined);
  if (answering.length === 0)
    return '; its address does not answer ICMP echo either: the way there is broken, or echo is blocked';
  return `; its address answers ICMP echo, so protocol ${PROTOCOL_OF[mode]} is blocked on the way, or the peer has no such tunnel`;
}

function nextStep({ remotes, mode, local }: Target): string {
  const [remote = 'REMOTE'] = remotes;
  const own = local === 'any' ? '' : ` and host ${local}`;
  return `at the peer: sudo tcpdump -ni any 'proto ${PROTOCOL_OF[mode]}${own}'; here: ping ${remote}`;
}

function ago(timeMs: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - timeMs) / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
