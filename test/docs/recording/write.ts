// Records the session of the README anew: `npm run docs:recording`, as root.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pictureOf } from './picture.js';
import { linesOf } from './screen.js';
import { COLUMNS, recordSession } from './session.js';

const FILE = fileURLToPath(new URL('../../../../docs/session.svg', import.meta.url));
const ROWS = 24;

const { lines, endMs } = linesOf(await recordSession());
const title =
  'A terminal session: grebe starts a GRE tunnel, pings pass, and after the key of the peer was changed grebe trace says why packets are dropped';
writeFileSync(FILE, pictureOf(lines, endMs, { columns: COLUMNS, rows: ROWS, title }));
