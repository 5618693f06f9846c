// The command line's side of the control socket. Imports node:http alone, so that `grebe status` starts fast.

import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { EXIT, type ExitCode, Failure } from '../sys/failure.js';
import {
  type CodecMessage,
  type CodecsMessage,
  isCodecMessage,
  isCodecsMessage,
  isFields,
  isStatusMessage,
  isTraceLine,
  isWebMessage,
  type StatusMessage,
  type TraceLine,
  type WebMessage,
} from './message.js';

const STATUS_TIMEOUT_MS = 2000;
/** A swap waits for every lane, and a path is verified first. */
const SWAP_TIMEOUT_MS = 10_000;
/** Largest answer: the status of ten thousand tunnels is a tenth of it. */
const ANSWER_MAX = 64 * 1024 * 1024;

/** Asks the router at the unix socket `path` for its status. */
export async function fetchStatus(path: string): Promise<StatusMessage> {
  return ask(path, 'GET', '/v1/status', STATUS_TIMEOUT_MS, isStatusMessage);
}

export async function fetchCodecs(path: string): Promise<CodecsMessage> {
  return ask(path, 'GET', '/v1/codecs', STATUS_TIMEOUT_MS, isCodecsMessage);
}

/** Swaps the codec of the router at `path`. A build that the router refuses is a Failure. */
export async function useCodec(path: string, name: string): Promise<CodecMessage> {
  return ask(path, 'PUT', '/v1/codec', SWAP_TIMEOUT_MS, isCodecMessage, { name });
}

/** Asks where the web page of the router at `path` is. */
export async function fetchWeb(path: string): Promise<WebMessage> {
  return ask(path, 'GET', '/v1/web', STATUS_TIMEOUT_MS, isWebMessage);
}

/** What a trace is asked for; absent: all tunnels, all packets, the router's own rate. */
export interface TraceQuery {
  readonly tunnel?: string | undefined;
  readonly dropsOnly: boolean;
  readonly rate?: string | undefined;
}

/**
 * Lets the router at `path` trace packets until `signal` ends it, and hands every line to `take`. Resolves when it is
 * ended; rejects with a Failure when the router refuses, cannot be reached or goes away.
 */
export function followTrace(
  path: string,
  { tunnel, dropsOnly, rate }: TraceQuery,
  signal: AbortSignal,
  take: (line: TraceLine) => void,
): Promise<void> {
  const query = new URLSearchParams({
    ...(tunnel === undefined ? {} : { tunnel }),
    ...(dropsOnly ? { drops: '1' } : {}),
    ...(rate === undefined ? {} : { rate }),
  });
  let text = '';
  return followText(path, `/v1/trace?${query}`, signal, (piece) => {
    const lines = (text + piece).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      if (signal.aborted) return;
      const parsed = parseJson(line);
      if (!isTraceLine(parsed)) throw strangeAnswer(path);
      take(parsed);
    }
  });
}

/**
 * Follows an answer of the router at `path` that does not end, until `signal` ends it; `take` gets its text in pieces,
 * and may throw a Failure. Resolves when it is ended; rejects with a Failure when the router refuses, cannot be reached
 * or goes away.
 */
export function followText(
  path: string,
  target: string,
  signal: AbortSignal,
  take: (piece: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: path, path: target, signal });
    const fail = (error: Error): void => {
      if (signal.aborted) resolve();
      else reject(error instanceof Failure ? error : unreachable(path, error));
    };
    call.once('error', fail);
    call.once('response', (response) => {
      let refused = '';
      const isRefused = response.statusCode !== 200;
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        if (isRefused) {
          refused += piece;
          return;
        }
        try {
          take(piece);
        } catch (error) {
          call.destroy(error instanceof Error ? error : strangeAnswer(path));
        }
      });
      response.once('error', fail);
      response.once('end', () => {
        fail(isRefused ? refusal(path, parseJson(refused)) : goneAway(path));
      });
    });
    call.end();
  });
}

/** What a capture is asked for; absent: all tunnels, whole packets, no end. */
export interface PcapQuery {
  readonly tunnel?: string | undefined;
  readonly snap?: string | undefined;
  readonly count?: string | undefined;
}

/**
 * Lets the router at `path` send packets as they pass until `signal` ends it, and hands the bytes of a pcapng file to
 * `take` as they come; while that is not resolved nothing more is taken. Resolves when the router or `signal` has
 * ended it; rejects with a Failure when the router refuses, cannot be reached or goes away in the middle.
 */
export function followPcap(
  path: string,
  query: PcapQuery,
  signal: AbortSignal,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  return download(path, '/v1/pcap', { ...query }, signal, take);
}

/** The last packets of a tunnel, or of all, as the bytes of a pcapng file; `take` as in `followPcap`. */
export function fetchRecorder(
  path: string,
  tunnel: string | undefined,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  return download(path, '/v1/recorder', { tunnel }, new AbortController().signal, take);
}

/** Hands the body of an answer to `take`, piece by piece. */
async function download(
  path: string,
  resource: string,
  query: { readonly [name: string]: string | undefined },
  signal: AbortSignal,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as [string, string]],
  );
  const url = `${resource}?${new URLSearchParams(given)}`;
  try {
    const response = await respond({ socketPath: path, path: url, signal });
    if (response.statusCode !== 200) throw refusal(path, parseJson(await textOf(response)));
    for await (const chunk of response) {
      if (signal.aborted) return;
      await take(chunk);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Failure || !(error instanceof Error)) throw error;
    throw isCutOff(error) ? cutOff(path) : unreachable(path, error);
  }
}

function respond(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(options).once('error', reject).once('response', resolve).end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Whether a connection ended before the answer did. */
function isCutOff(error: Error): boolean {
  return 'code' in error && error.code === 'ECONNRESET';
}

function cutOff(path: string): Failure {
  return new Failure(
    EXIT.unreachable,
    `the router at ${path} ended before all was sent`,
    'see its log',
  );
}

function goneAway(path: string): Failure {
  return new Failure(
    EXIT.unreachable,
    `the router at ${path} has ended the connection`,
    'see its log',
  );
}

/** Sends a request to the router at `socketPath`; whatever is no answer of the kind is a Failure. */
export async function ask<T>(
  socketPath: string,
  method: 'GET' | 'PUT' | 'POST',
  path: string,
  timeoutMs: number,
  isAnswer: (value: unknown) => value is T,
  body?: unknown,
): Promise<T> {
  const { status, text } = await exchange(socketPath, method, path, timeoutMs, body);
  const answer = parseJson(text);
  if (status < 400 && isAnswer(answer)) return answer;
  throw status >= 400 ? refusal(socketPath, answer) : strangeAnswer(socketPath);
}

/** The Failure that an answer tells. */
function refusal(socketPath: string, answer: unknown): Failure {
  if (!isFields(answer) || typeof answer.error !== 'string') return strangeAnswer(socketPath);
  const hint = typeof answer.hint === 'string' ? answer.hint : undefined;
  return new Failure(exitCodeOf(answer.exitCode), answer.error, hint);
}

function strangeAnswer(socketPath: string): Failure {
  return new Failure(
    EXIT.unreachable,
    `what answers on ${socketPath} is no grebe router of this version`,
    'stop it and start it again: grebe run',
  );
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  timeoutMs: number,
  body: unknown,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(unreachable(socketPath, error));
    const call = request({ socketPath, method, path, signal: AbortSignal.timeout(timeoutMs) });
    call.once('error', fail);
    call.once('response', (response) => {
      const chunks: string[] = [];
      let length = 0;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > ANSWER_MAX) call.destroy(new Error('the answer does not end'));
      });
      response.once('error', fail);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: chunks.join('') }),
      );
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** What a Failure says where nobody is there to answer. */
const ABSENT = 'no router is running';

/** Whether a request failed because no router runs: not because one could not be asked. */
export function isAbsent({ message }: Failure): boolean {
  return message.startsWith(ABSENT);
}

function unreachable(path: string, error: Error): Failure {
  const code = 'code' in error ? error.code : undefined;
  const isLate = error.name === 'TimeoutError' || code === 'ABORT_ERR';
  if (isLate) {
    return new Failure(
      EXIT.unreachable,
      `the router at ${path} does not answer in time`,
      'see what it does: its log, or: systemctl status grebe',
    );
  }
  const start = 'start one: grebe run';
  switch (code) {
    case 'ENOENT':
      return new Failure(EXIT.unreachable, `${ABSENT}: there is no ${path}`, start);
    case 'ECONNREFUSED':
      return new Failure(EXIT.unreachable, `${ABSENT}: nobody listens on ${path}`, start);
    case 'EACCES':
    case 'EPERM':
      return new Failure(
        EXIT.unreachable,
        `not permitted to talk to the router at ${path}`,
        `with more rights: sudo grebe ...; or as a member of the group that owns it: ls -l ${path}`,
      );
    case 'EPIPE':
    case 'ECONNRESET':
      return new Failure(
        EXIT.unreachable,
        `what listens on ${path} hung up: the router has too many clients, or is ending`,
        `in some seconds again; who they are: sudo ss -xp src ${path}`,
      );
    default:
      return new Failure(EXIT.unreachable, `no router answers on ${path}: ${error.message}`, start);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function exitCodeOf(value: unknown): ExitCode {
  return Object.values(EXIT).find((code) => code === value && code !== EXIT.ok) ?? EXIT.failed;
}
