// The description of the API (OpenAPI 3.1), made from the routes that are served.

import { z } from 'zod';
import { packageVersion } from '../sys/version.js';
import { type Access, NOTHING, type Route, route } from './route.js';
import { COMPONENTS, errorSchema, named } from './schemas.js';

const ACCESS: Readonly<Record<Access, string>> = {
  open: '',
  token: 'Over TCP with the token only.',
  socket: 'On the unix socket only.',
};

/** `/v1/openapi.json`: the description of `routes`, and of itself. */
export function openApiRoute(routes: readonly Route[]): Route {
  const own: Route = route({
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This description',
    access: 'open',
    takes: NOTHING,
    answer: { description: 'OpenAPI 3.1', schema: description },
    handle: () => describeApi([...routes, own]),
  });
  return own;
}

const description = named(
  'OpenApi',
  z.looseObject({ openapi: z.literal('3.1.0'), paths: z.record(z.string(), z.looseObject({})) }),
);

/** The OpenAPI document of `routes`. Answers may have more fields than it names: later versions add some. */
export function describeApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of routes) {
    paths[one.path] = { ...paths[one.path], [one.method.toLowerCase()]: operationOf(one) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'grebe',
      version: packageVersion(),
      description: 'The control API of a running router.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas: componentSchemas('input'),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'On TCP. From grebe web.' },
      },
    },
  };
}

/** Every named schema; `output` is closed to fields that it does not name, as tests want it. */
export function componentSchemas(io: 'input' | 'output'): Record<string, object> {
  const { schemas } = z.toJSONSchema(COMPONENTS, { uri: refOf, io });
  // Their names here are paths into the document, which an $id would take for its own base.
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $id: _, $schema: __, ...schema }]) => [id, schema]),
  );
}

function operationOf({ summary, description: text, access, takes, answer }: Route): object {
  const { query, body } = takes.shape;
  const more = [text, ACCESS[access]].filter((part) => part !== undefined && part !== '').join(' ');
  return {
    summary,
    ...(more === '' ? {} : { description: more }),
    ...(access === 'token' ? { security: [{ token: [] }] } : {}),
    ...(query === undefined ? {} : { parameters: parametersOf(query) }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !z.safeParse(body, undefined).success,
            content: { 'application/json': { schema: inline(body) } },
          },
        }),
    responses: {
      '200': { description: answer.description, content: contentOf(answer) },
      default: {
        description: 'Why it was not done',
        content: { 'application/json': { schema: nameOf(errorSchema) } },
      },
    },
  };
}

function contentOf({ schema, types = ['application/json'] }: Route['answer']): object {
  const content = { schema: schema === undefined ? { type: 'string' } : nameOf(schema) };
  return Object.fromEntries(types.map((type) => [type, content]));
}

function parametersOf(query: z.ZodObject): object[] {
  return Object.entries(query.shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: !z.safeParse(schema, undefined).success,
    schema: inline(schema),
  }));
}

function inline(schema: z.core.$ZodType): object {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input' });
  return json;
}

function nameOf(schema: z.ZodType): object {
  const id = COMPONENTS.get(schema)?.id;
  if (id === undefined) throw new TypeError('a schema of an answer has no name');
  return { $ref: refOf(id) };
}

function refOf(id: string): string {
  return `#/components/schemas/${id}`;
}
