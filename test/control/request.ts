import { request } from 'node:http';
import type { ListenAddress } from '../../src/config/listen-address.js';

export interface Answered {
  readonly status: number;
  readonly type: string;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly body: string;
}

/** Sends a request as any client would, to a unix socket or a TCP address. */
export function requestFrom(
  where: string | ListenAddress,
  method: string,
  path: string,
  body?: string,
  headers: { readonly [name: string]: string } = {},
): Promise<Answered> {
  const place = typeof where === 'string' ? { socketPath: where } : where;
  return new Promise((resolve, reject) => {
    const call = request({ ...place, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          type: String(response.headers['content-type']),
          headers: response.headers,
          body: text,
        }),
      );
    });
    call.once('error', reject);
    call.end(body);
  });
}
