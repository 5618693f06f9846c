import { spawnSync } from 'node:child_process';
import { isFields } from '../../control/message.js';
import { PROTOCOL_OF } from '../../packet/outer-header.js';
import { EXIT, Failure } from '../../sys/failure.js';
import type { Check } from '../check.js';
import type { Outcome } from '../finding.js';
import { pathKey, readText } from '../machine.js';
import {
  type Blocked,
  blockedBy,
  type Chain,
  type FirewallPacket,
  type NamedSet,
  type Rule,
  type Ruleset,
} from '../ruleset.js';
import { outerVersionOf, pathsOf, type Subject, type Target } from '../subject.js';

/** RFC 8086, 3.1. */
const GRE_UDP_PORT = 4754;
const OUTPUT_MAX = 64 * 1024 * 1024;

/** Whether this machine's firewall lets the outer packets in and out. */
export const firewall: Check = {
  looks: 'the rules of nftables (nft -j list ruleset), with the outer packets of each tunnel',
  fine: 'no rule stops the outer packets',
  examine: (subject: Subject) => {
    const ruleset = readRuleset();
    const outcomes = subject.targets.flatMap((target) => examineOne(target, subject, ruleset));
    const legacy = readText('/proc/net/ip_tables_names') + readText('/proc/net/ip6_tables_names');
    if (!legacy.includes('filter')) return outcomes;
    const found = 'there are rules of the older iptables, too, which were not looked at';
    return [...outcomes, { severity: 'unknown', found, next: 'sudo iptables-legacy -S' }];
  },
};

/** Throws a Failure where the rules cannot be read: that says nothing of whether there are any. */
function readRuleset(): Ruleset {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const { error, status, stdout, stderr } = spawnSync('nft', ['-j', 'list', 'ruleset'], {
    ...{ env, encoding: 'utf8', maxBuffer: OUTPUT_MAX },
  });
  if (error !== undefined) {
    const next = 'sudo apt-get install nftables; or see whatever else sets rules: sudo iptables -S';
    throw new Failure(EXIT.failed, `the rules cannot be read: nft: ${error.message}`, next);
  }
  if (status !== 0) {
    const [cause = ''] = stderr.trim().split('\n');
    throw new Failure(EXIT.failed, `the rules cannot be read: ${cause}`, 'sudo grebe doctor');
  }
  const parsed: unknown = JSON.parse(stdout);
  const list = isFields(parsed) && Array.isArray(parsed.nftables) ? parsed.nftables : [];
  const objects = list.filter(isFields);
  return {
    chains: objects.map(({ chain }) => chain).filter(isChain),
    rules: objects.map(({ rule }) => rule).filter(isRule),
    sets: objects
      .flatMap(({ set, map }) => [set, map])
      .filter(isSet)
      // nft leaves the list of an empty one out.
      .map((one) => ({ elem: [], ...one })),
  };
}

function isChain(value: unknown): value is Chain {
  return isFields(value) && [value.family, value.table, value.name].every(isText);
}

function isSet(value: unknown): value is NamedSet {
  return isChain(value);
}

function isRule(value: unknown): value is Rule {
  return (
    isFields(value) &&
    [value.family, value.table, value.chain].every(isText) &&
    typeof value.handle === 'number' &&
    Array.isArray(value.expr)
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function examineOne(target: Target, { machine, router }: Subject, ruleset: Ruleset): Outcome[] {
  const isXdp = router.kind === 'running' && router.status.underlay === 'xdp';
  const version = outerVersionOf(target);
  const protocol = PROTOCOL_OF[target.mode];
  const port = target.mode === 'gre-udp' ? { port: GRE_UDP_PORT } : {};
  const outcomes = pathsOf(target).flatMap((path) => {
    const own = target.local === 'any' ? 'any' : target.local;
    const device = machine.routes.get(pathKey(path))?.dev;
    const base = { version, protocol, device, ...port };
    const inwards = { ...base, hook: 'input', source: path.remote, destination: own } as const;
    const outwards = { ...base, hook: 'output', source: own, destination: path.remote } as const;
    return [inwards, outwards].flatMap((packet) => {
      const blocked = blockedBy(ruleset, packet);
      if (blocked === undefined) return [];
      const outcome = blockedOutcome(target, packet, blocked);
      const isPassedBy = isXdp && machine.links.get(device ?? '')?.xdp !== undefined;
      return [isPassedBy && target.mode !== 'gre-udp' ? passedBy(outcome) : outcome];
    });
  });
  // Many peers, one rule.
  return outcomes.slice(0, 2);
}

function blockedOutcome(
  { name: tunnel }: Target,
  { hook, version, protocol, source, destination }: FirewallPacket,
  { chain, rule, isCertain }: Blocked,
): Outcome {
  const place = `${chain.family} ${chain.table} ${chain.name}`;
  const what =
    rule === undefined
      ? `the policy of chain ${place}`
      : `rule ${rule.handle} of chain ${rule.family} ${rule.table} ${rule.chain}`;
  const way = hook === 'input' ? `from ${source}` : `to ${destination}`;
  const found = `protocol ${protocol} ${way}: ${what} drops it`;
  const family = version === 4 ? 'ip' : 'ip6';
  const end = hook === 'input' ? `saddr ${source}` : `daddr ${destination}`;
  const next = `sudo nft insert rule ${place} ${family} ${end} ${matchText(protocol)} accept; the rules: sudo nft -a list ruleset`;
  if (isCertain) return { severity: 'error', tunnel, found, next };
  return {
    severity: 'note',
    tunnel,
    found: `${found}, unless a rule before it takes it for an answer`,
    next,
  };
}

/** Frames of AF_XDP do not meet the rules. */
function passedBy(outcome: Outcome): Outcome {
  const found = `${outcome.found}; AF_XDP passes it by, and what raw sockets serve is lost: fragments, and all while AF_XDP is not to be had`;
  return outcome.severity === 'error' ? { ...outcome, severity: 'warning', found } : outcome;
}

/** Lets in no more than the tunnel needs. */
function matchText(protocol: number): string {
  return protocol === PROTOCOL_OF['gre-udp']
    ? `udp dport ${GRE_UDP_PORT}`
    : `meta l4proto ${protocol}`;
}
