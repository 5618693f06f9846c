// One request that the control API knows: what it takes and gives, as zod schemas, and the code that answers it.
//
// A group of routes is a list of these in a file of its own, which routes.ts joins. app.ts serves them and openapi.ts
// describes them: what is described is what is served.

import { z } from 'zod';
import type { Router } from '../router/contract.js';
import { EXIT, Failure } from '../sys/failure.js';

/**
 * Who may ask over TCP; whoever may open the unix socket may ask everything.
 *
 * - `open`: anyone who reaches the listener. What every user of a machine learns from `ip -d -s link`.
 * - `token`: who has the token. Whatever changes something, and contents of packets.
 * - `socket`: nobody.
 */
export type Access = 'open' | 'token' | 'socket';

/** A request whose parts a route's schema has judged. */
export interface Call<Input> {
  /** What the route takes. */
  readonly input: Input;
  /** The running router. Throws a Failure while it is starting. */
  readonly router: () => Router;
  /** Whether it came by the unix socket, or with the token. */
  readonly isTrusted: boolean;
  /** The request's Accept header. */
  readonly accept: string | undefined;
  /** Ends the client's connection at once. */
  readonly cutOff: () => void;
}

/** What a route answers with when all is well. */
export interface Answer {
  readonly description: string;
  /** Of the JSON value, or of each value in a stream; absent: text. */
  readonly schema?: z.ZodType;
  /** Default `application/json`. */
  readonly types?: readonly string[];
  /** A stream that ends when the client or the router does. */
  readonly isEndless?: true;
}

interface Description {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Without parameters in it: those are in the query. */
  readonly path: `/${string}`;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly answer: Answer;
  /** Longest body, in bytes; default 64 KB. */
  readonly bodyMax?: number;
}

/** What a route takes: a `query` of texts, a JSON `body`, both or none. */
type Takes = z.ZodObject<{ readonly query?: z.ZodObject; readonly body?: z.ZodType }>;

/** For a route that takes nothing. */
export const NOTHING = z.object({});

/** A request that nobody has judged. */
export interface RawCall extends Omit<Call<unknown>, 'input'> {
  readonly query: Readonly<Record<string, string>>;
  /** Reads the body. Throws for one that is too long. */
  readonly text: () => Promise<string>;
}

/** A route as app.ts and openapi.ts see it. */
export interface Route extends Description {
  readonly takes: Takes;
  /** The JSON value of the answer, or a Response. Throws a Failure for what cannot be done. */
  readonly handle: (raw: RawCall) => Promise<object>;
}

interface Spec<T extends Takes> extends Description {
  readonly takes: T;
  readonly handle: (call: Call<z.output<T>>) => object | Promise<object>;
}

/** Makes a route whose handler gets its input as its schema has it. */
export function route<T extends Takes>({ takes, handle, ...description }: Spec<T>): Route {
  return {
    ...description,
    takes,
    async handle({ query, text, ...call }) {
      const body = takes.shape.body === undefined ? undefined : parseJson(await text());
      const judged = takes.safeParse({ query, body });
      if (judged.success) return handle({ ...call, input: judged.data });
      throw new Failure(EXIT.usage, faultOf(judged.error), 'see GET /v1/openapi.json');
    },
  };
}

/** `body.name: must be a text`, all that is wrong. */
function faultOf({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
}

/** A body that is not there is undefined: schemas say whether it may be. */
function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(EXIT.usage, 'the body of the request is not JSON');
  }
}
