// Remotes that are host names: which there are, and what they stand for.

import type { Config } from './config.js';
import { CODE, type Diagnostic, inFileOrder, type Spot } from './diagnostic.js';
import { judgeEndpoint } from './endpoint.js';
import { isName } from './host-name.js';
import type { LoadedConfig } from './load.js';
import { type Lookup, type Question, type Reply, systemLookup } from './lookup.js';
import { underlayVersion } from './tunnel.js';

export { isHostName, isName } from './host-name.js';

/** The remote of a tunnel, or of one of its peers, that is a host name. */
export interface Name extends Question {
  readonly tunnel: string;
}

/** A name and where the file has it. */
export interface PlacedName extends Name {
  readonly spot: Spot;
}

/** What came of a name. */
export type Answer =
  | {
      readonly address: string;
      /** Further addresses of the name, where it has some. */
      readonly others?: readonly string[];
    }
  | { readonly fault: string };

export type Resolved<T extends Name = Name> = T & { readonly answer: Answer };

export interface ResolveOptions {
  /** Default: the system's. */
  readonly lookup?: Lookup;
  /** Ends the waiting; what is not resolved by then has a fault. */
  readonly signal?: AbortSignal;
}

/** For all names together: a name server that is there answers sooner, one that is not is not waited for. */
const LIMIT_MS = 5000;

/** The host names in a config, in its order. */
export function namesOf({ tunnels }: Config): Name[] {
  return tunnels.flatMap(({ name: tunnel, mode, local, remote, peers }) => {
    const remotes = [remote, ...peers.map((peer) => peer.remote)];
    const version = underlayVersion(mode, [local, ...remotes]);
    return remotes.filter(isName).map((name): Name => {
      return { tunnel, name, ...(version === undefined ? {} : { version }) };
    });
  });
}

/** Resolves all names of a config side by side. Never rejects, and takes 5 s at most. */
export function resolveNames(config: Config, options: ResolveOptions = {}): Promise<Resolved[]> {
  return resolveAll(namesOf(config), options);
}

/**
 * Resolves the names of a config that was read. One that does not resolve is an error at its place, and the config cannot
 * be used.
 */
export async function checkNames(
  loaded: LoadedConfig,
  options: ResolveOptions = {},
): Promise<LoadedConfig> {
  const resolved = await resolveAll(loaded.names, options);
  const faults = resolved.flatMap(({ name, spot, answer }): Diagnostic[] => {
    if ('address' in answer) return [];
    return [
      {
        ...spot,
        code: CODE.hostName,
        severity: 'error',
        message: `cannot resolve ${name}: ${answer.fault}`,
        hint: `see what the system says: getent ahosts ${name}`,
      },
    ];
  });
  if (faults.length === 0) return loaded;
  const { names, diagnostics, isWhole } = loaded;
  return { names, diagnostics: inFileOrder([...diagnostics, ...faults]), isWhole };
}

/** Resolves names; each is asked for once, however many have it. */
export async function resolveAll<T extends Name>(
  names: readonly T[],
  { lookup = systemLookup, signal }: ResolveOptions,
): Promise<Resolved<T>[]> {
  const idOf = ({ name, version }: Question): string => `${version} ${name}`;
  const questions = new Map<string, Question>();
  for (const { name, version } of names) {
    const question = version === undefined ? { name } : { name, version };
    questions.set(idOf(question), question);
  }
  const replies = await lookup([...questions.values()], { limitMs: LIMIT_MS, signal });
  const answers = new Map<string, Answer>();
  for (const [index, question] of [...questions.values()].entries()) {
    answers.set(idOf(question), answerOf(question, replies[index]));
  }
  const unasked = { fault: 'it was not asked for' };
  return names.map((one) => ({ ...one, answer: answers.get(idOf(one)) ?? unasked }));
}

function answerOf({ version }: Question, reply: Reply | undefined): Answer {
  if (reply === undefined) return { fault: `no answer within ${LIMIT_MS / 1000} s` };
  if ('error' in reply) return { fault: faultOf(reply.error, version) };
  const judge = (address: string) => judgeEndpoint({ name: 'its address', kind: 'peer' }, address);
  const judged = [reply.address, ...(reply.others ?? [])].map(judge);
  const [first, ...others] = judged.flatMap((one) => ('code' in one ? [] : [one.text]));
  if (first !== undefined) return { address: first, ...(others.length > 0 ? { others } : {}) };
  return { fault: judged.flatMap((one) => ('code' in one ? [one.message] : [])).join('; ') };
}

function faultOf(error: string, version: 4 | 6 | undefined): string {
  switch (error) {
    case 'ENOTFOUND':
    case 'ENODATA':
      return version === undefined ? 'it has no address' : `it has no IPv${version} address`;
    case 'EAI_AGAIN':
      return 'no name server answers';
    default:
      return error;
  }
}
