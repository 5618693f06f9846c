// grebe recorder dump: the last packets of tunnels, which the router always keeps, as a capture
import { fetchRecorder } from '../../control/client.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import { type CaptureOutput, refuseTerminal, StdoutCapture, WholeFile } from '../capture-output.js';
import type { Call } from '../command.js';
import { askRouter } from '../socket-path.js';

const SCHEMA = 'grebe.recorder/1';

export async function runRecorder(call: Call): Promise<ExitCode> {
  const { words, json, output } = call;
  const [action, tunnel] = words;
  if (action !== 'dump') {
    const fault =
      action === undefined ? 'recorder: what is it to do?' : `recorder: it does not ${action}`;
    throw new Failure(EXIT.usage, fault, 'grebe recorder dump, or: grebe recorder dump gre1');
  }
  const file = fileOf(call, tunnel);
  const sink: CaptureOutput = file === '-' ? new StdoutCapture(() => {}) : new WholeFile(file);
  try {
    await askRouter(call, (socket) => fetchRecorder(socket, tunnel, (bytes) => sink.take(bytes)));
    sink.finish();
  } finally {
    await sink.close();
  }
  const { packets } = sink.count;
  if (json) output.print(JSON.stringify({ schema: SCHEMA, file, packets }));
  else if (file !== '-') output.print(file);
  output.say(`${packets} packets${file === '-' ? '' : `: wireshark ${file}`}`);
  return EXIT.ok;
}

/** Where it goes: `-w`, or a new file in this folder. */
function fileOf({ options, json }: Call, tunnel: string | undefined): string {
  const { write } = options;
  if (typeof write !== 'string') return newName(tunnel);
  if (write !== '-') return write;
  refuseTerminal('grebe recorder dump -w FILE, or: grebe recorder dump -w - | tshark -r -');
  if (!json) return write;
  const fault = 'recorder: -j says in JSON what was dumped; with -w - the dump itself is there';
  throw new Failure(EXIT.usage, fault, 'grebe recorder dump -j -w FILE');
}

/** `grebe-recorder-gre1-20260102T030405678Z.pcapng`. */
function newName(tunnel: string | undefined): string {
  const time = new Date().toISOString().replace(/[-:.]/g, '');
  const about = tunnel === undefined ? '' : `-${tunnel.replace(/[^A-Za-z0-9_.-]/g, '_')}`;
  return `grebe-recorder${about}-${time}.pcapng`;
}
