// A process of lookup.ts: questions on standard input, a line of JSON for each answer as soon as it is there.
import { lookup } from 'node:dns/promises';
import { text } from 'node:stream/consumers';
import type { Question } from './lookup.js';

const questions: readonly Question[] = JSON.parse(await text(process.stdin));
await Promise.all(
  questions.map(async (question, index) => {
    process.stdout.write(`${JSON.stringify([index, await replyOf(question)])}\n`);
  }),
);

async function replyOf({ name, version }: Question): Promise<object> {
  try {
    const found = await lookup(name, { family: version ?? 0, all: true });
    const [address, ...others] = found.map((one) => one.address);
    return { address, ...(others.length > 0 ? { others } : {}) };
  } catch (error) {
    if (!(error instanceof Error)) return { error: String(error) };
    return { error: 'code' in error ? String(error.code) : error.message };
  }
}
