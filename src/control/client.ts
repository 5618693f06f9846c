// The command line's side of the control socket. Imports node:http alone, so that `grebe status` starts fast.

import { request } from 'node:http';
import { EXIT, type ExitCode, Failure } from '../sys/failure.js';
import {
  type CodecMessage,
  type CodecsMessage,
  isCodecMessage,
  isCodecsMessage,
  isFields,
  isStatusMessage,
  type StatusMessage,
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

async function ask<T>(
  socketPath: string,
  method: 'GET' | 'PUT',
  path: string,
  timeoutMs: number,
  isAnswer: (value: unknown) => value is T,
  body?: unknown,
): Promise<T> {
  const { status, text } = await exchange(socketPath, method, path, timeoutMs, body);
  const answer = parseJson(text);
  if (status < 400 && isAnswer(answer)) return answer;
  if (status >= 400 && isFields(answer) && typeof answer.error === 'string') {
    const hint = typeof answer.hint === 'string' ? answer.hint : undefined;
    throw new Failure(exitCodeOf(answer.exitCode), answer.error, hint);
  }
  throw new Failure(
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
      return new Failure(EXIT.unreachable, `no router is running: there is no ${path}`, start);
    case 'ECONNREFUSED':
      return new Failure(
        EXIT.unreachable,
        `no router is running: nobody listens on ${path}`,
        start,
      );
    case 'EACCES':
    case 'EPERM':
      return new Failure(
        EXIT.unreachable,
        `not permitted to talk to the router at ${path}`,
        `with more rights: sudo grebe ...; or as a member of the group that owns it: ls -l ${path}`,
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
