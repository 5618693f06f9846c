// A config file written anew so that at every moment it is there, whole: a copy beside it, and its name given to that.
import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, Failure } from '../sys/failure.js';

/** Always the same name: what a killed process left is written over. */
const COPY = '.grebe-new';

/**
 * Writes what `edit` makes of the text of `file`, with its owner and its rights. Throws a Failure when that cannot be
 * done, and leaves the file as it is then.
 */
export function rewriteFile(file: string, edit: (text: string) => string): void {
  let fd: number | undefined;
  let copy = '';
  try {
    const path = realpathSync(file); // a link stays one
    const bytes = readFileSync(path);
    if (!isUtf8(bytes)) throw new Error('it is not UTF-8');
    const before = bytes.toString('utf8');
    const after = edit(before);
    if (after === before) return;
    copy = `${path}${COPY}`;
    fd = openSync(copy, 'w', 0o600);
    writeFileSync(fd, after);
    keepRights(path, fd);
    fsyncSync(fd);
    if (!readFileSync(path).equals(bytes)) throw new Error('somebody else is writing it');
    renameSync(copy, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (fd !== undefined) rmSync(copy, { force: true });
    if (error instanceof Failure) throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw new Failure(EXIT.failed, `${file} is not written: ${cause}`, 'the router has the change');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function keepRights(path: string, fd: number): void {
  const original = openSync(path, 'r');
  try {
    const { mode, uid, gid } = fstatSync(original);
    fchmodSync(fd, mode & 0o7777);
    fchownSync(fd, uid, gid);
  } finally {
    closeSync(original);
  }
}

/** The new name is on the disk, too. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
