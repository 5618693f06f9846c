import { CaptureWriter } from '../inspect/pcapng-writer.js';
import { RecordedCapture } from '../inspect/recorded-capture.js';
import type { Recording } from './contract.js';

/** A recording as a pcapng file, tunnel by tunnel: one chunk of it for each. */
export function* encodeRecording({ subjectOf, batches }: Recording): Generator<Uint8Array> {
  let blocks: Uint8Array[] = [];
  const writer = new CaptureWriter((block) => blocks.push(block), 'grebe recorder');
  const capture = new RecordedCapture(writer, subjectOf);
  yield* blocks; // a file of no packets is one, too
  for (const batch of batches) {
    blocks = [];
    for (const packet of batch) capture.add(packet);
    yield Buffer.concat(blocks);
  }
}
