// grebe pcap: packets of the running router as they pass, as a capture
//
// It ends by ^C, after -n packets, when its reader goes away, or with the router; capturing ends with it.
import { followPcap } from '../../control/client.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import {
  type CaptureOutput,
  GrowingFile,
  refuseTerminal,
  StdoutCapture,
} from '../capture-output.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';

const SCHEMA = 'grebe.pcap/1';

export async function runPcap(call: Call): Promise<ExitCode> {
  const { options, words, output } = call;
  const ending = new AbortController();
  const file = fileOf(call);
  const sink: CaptureOutput =
    file === '-' ? new StdoutCapture(() => ending.abort()) : new GrowingFile(file);
  const onSignal = (): void => ending.abort();
  ending.signal.addEventListener('abort', () => void sink.close());
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const query = { tunnel: words[0], snap: textOf(options.snap), count: textOf(options.count) };
  let isBegun = false;
  const take = async (bytes: Uint8Array): Promise<void> => {
    if (!isBegun) output.say('capturing: ^C ends it');
    isBegun = true;
    await sink.take(bytes);
  };
  try {
    await askRouter(call, (socket) => followPcap(socket, query, ending.signal, take));
    if (!ending.signal.aborted) sink.finish();
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await sink.close();
    if (isBegun) summarize(call, file, sink);
  }
  return EXIT.ok;
}

/** Where it goes: `-w`, or a stdout that is no terminal. */
function fileOf({ options, json }: Call): string {
  const file = textOf(options.write) ?? '-';
  if (file !== '-') return file;
  refuseTerminal('grebe pcap gre1 -w FILE, or: grebe pcap gre1 -w - | wireshark -k -i -');
  if (!json) return file;
  const fault = 'pcap: -j says in JSON what was captured; with -w - the capture itself is there';
  throw new Failure(EXIT.usage, fault, 'grebe pcap gre1 -j -w FILE');
}

function textOf(option: string | boolean | undefined): string | undefined {
  return typeof option === 'string' ? option : undefined;
}

function summarize({ json, output }: Call, file: string, { count }: CaptureOutput): void {
  const { packets, lost } = count;
  if (json) output.print(JSON.stringify({ schema: SCHEMA, file, packets, lost }));
  const missing = lost === 0 ? '' : `; ${lost} more passed too fast to be captured`;
  output.say(`${packets} packets${file === '-' ? '' : ` in ${file}`}${missing}`);
}
