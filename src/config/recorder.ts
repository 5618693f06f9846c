import { resolve } from 'node:path';
import { CODE, show } from './diagnostic.js';
import { isTable } from './parse.js';
import { readTable, type TablePlace } from './read.js';
import { recorderSchema } from './schema.js';

/** `recorder` of `[router]`, defaults filled in. */
export interface RecorderConfig {
  /** Packets that every lane keeps of each tunnel sent, received and dropped, each: a power of two, or 0 for none. */
  readonly keep: number;
  /** Folder of the dumps that the router writes itself, or `off`; `auto`: DUMP_FOLDER, where STATE_FOLDER is there. */
  readonly dumps: string;
  /** Drops of one tunnel within a second that are worth a dump; 0 = never. */
  readonly burst: number;
}

export const STATE_FOLDER = '/var/lib/grebe';
export const DUMP_FOLDER = `${STATE_FOLDER}/dumps`;

const DEFAULT: RecorderConfig = { keep: 16, dumps: 'auto', burst: 1000 };

/** Reads `recorder` of `[router]`. A relative path begins at `folder`, that of the config. */
export function readRecorder(value: unknown, folder: string, place: TablePlace): RecorderConfig {
  const path = [...place.path, 'recorder'];
  if (value !== undefined && !isTable(value)) {
    const message = `recorder must be a table such as { keep = 16, dumps = "auto", burst = 1000 }, not ${show(value)}`;
    place.report.add(CODE.type, place.places.value(path), message);
  }
  const given = isTable(value) ? value : {};
  const where = { ...place, path, title: 'recorder of [router]' };
  const { values } = readTable(recorderSchema, given, where);
  const { keep = DEFAULT.keep, dumps = DEFAULT.dumps, burst = DEFAULT.burst } = values;
  return { keep, dumps: /^[./]/.test(dumps) ? resolve(folder, dumps) : dumps, burst };
}
