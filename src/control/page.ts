// The files of the web page: dist/src/web, and what it imports. Read when a browser first asks.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly type: string;
  readonly content: ArrayBuffer;
}

/** The page's own room, and the one that it imports from. */
const ROOMS = ['web', 'view'];
const TYPES: { readonly [extension: string]: string } = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};
/** The page loads nothing from elsewhere, runs no text as code, sends no form, and stands in no frame. */
const POLICY =
  "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/** Headers of a file of the page. A browser asks each time: the next version of grebe is another page. */
export function pageHeaders(type: string): Readonly<Record<string, string>> {
  return {
    'Content-Type': type,
    'Content-Security-Policy': POLICY,
    'Cache-Control': 'no-cache',
    'Referrer-Policy': 'no-referrer',
  };
}

export class Page {
  #files: ReadonlyMap<string, PageFile> | undefined;

  /** The file at a path of the URL; `/` is the page itself. Undefined where there is none. */
  file(path: string): PageFile | undefined {
    this.#files ??= readFiles();
    return this.#files.get(path === '/' ? '/web/index.html' : path);
  }
}

function readFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const room of ROOMS) {
    const folder = fileURLToPath(new URL(`../${room}/`, import.meta.url));
    for (const name of readdirSync(folder)) {
      const type = TYPES[/^[a-z-]+\.([a-z]+)$/.exec(name)?.[1] ?? ''];
      if (type === undefined) continue; // declarations, source maps
      const content = new Uint8Array(readFileSync(folder + name)).buffer;
      files.set(`/${room}/${name}`, { type, content });
    }
  }
  return files;
}
