import { readFileSync } from 'node:fs';

/** The version of this package, `unknown` where its package.json says none. */
export function packageVersion(): string {
  const file = new URL('../../../package.json', import.meta.url);
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const isPackage = typeof content === 'object' && content !== null && 'version' in content;
  return isPackage ? String(content.version) : 'unknown';
}
