import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus } from '../../control/client.js';
import { PROTOCOL_OF } from '../../packet/outer-header.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
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
    const sending = await sendingNow(subject);
    return subject.targets.flatMap((target) => examineOne(subject, target, sending));
  },
};

/** Names of the tunnels that send while they have heard nothing lately, though they once did. */
async function sendingNow({ router, targets }: Subject): Promise<ReadonlySet<string>> {
  const quiet = targets.flatMap(({ status }) =>
    status !== undefined && status.lastReceivedMs !== null && isQuiet(status) ? [status] : [],
  );
  if (router.kind !== 'running' || quiet.length === 0) return new Set();
  await sleep(WATCH_MS);
  const later = new Map((await fetchStatus(router.socket)).tunnels.map((one) => [one.name, one]));
  const sends = quiet.filter(({ name, tx, rx }) => {
    const now = later.get(name);
    return now?.rx.packets === rx.packets && now.tx.packets - tx.packets >= SENT;
  });
  return new Set(sends.map(({ name }) => name));
}

function examineOne(subject: Subject, target: Target, sending: ReadonlySet<string>): Outcome[] {
  const { name: tunnel, status } = target;
  if (status === undefined) return [];
  const { downReason, lastReceivedMs, tx } = status;
  if (downReason === 'device') return []; // that check tells
  if (downReason !== undefined && downReason !== 'keepalive' && downReason !== 'probe') {
    const found = `the tunnel is down: ${downReason}`;
    const name = target.config?.remote ?? status.remote;
    return [{ severity: 'error', tunnel, found, next: `getent ahosts ${name}` }];
  }
  const heard =
    lastReceivedMs === null ? 'nothing was ever heard' : `last heard ${ago(lastReceivedMs)} ago`;
  if (downReason !== undefined) {
    const found = `the peer does not answer its ${downReason}s: ${heard}${reachText(subject, target)}`;
    return [{ severity: 'error', tunnel, found, next: nextStep(target) }];
  }
  const isSilent = lastReceivedMs === null ? tx.packets >= UNANSWERED : sending.has(tunnel);
  if (!isSilent) return [];
  const what =
    lastReceivedMs === null
      ? `${tx.packets} packets were sent and ${heard}`
      : `packets are sent, and nothing comes: ${heard}`;
  const found = `${what}${reachText(subject, target)}`;
  return [{ severity: 'warning', tunnel, found, next: nextStep(target) }];
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
