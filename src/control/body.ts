/**
 * The body of a request, undefined beyond `max` bytes. Hono's own limit makes a new Request of one without a
 * length, which takes the Request class of node-server for the whole process.
 */
export async function readBody({ body }: Request, max: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > max) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
