// grebe explain: the verdict that one packet would get, check by check
//
//   1. loadTunnels   the tunnels of a config
//   2. questionOf    the packet: bytes in hex, or words with the rest filled in
//   3. explain       the packet path, watched
//   4. print         JSON, or lines for people

import type { Paint } from '../config/diagnostic.js';
import { DEFAULT_CONFIG_FILE } from '../config/load.js';
import { didYouMean } from '../config/nearest.js';
import { type Direction, type Explanation, explain } from '../packet/explain.js';
import type { Tunnel } from '../packet/tunnel.js';
import { EXIT, type ExitCode, Failure } from '../sys/failure.js';
import { adviceOn } from './advice.js';
import { formatExplanation } from './format-explanation.js';
import { readHex } from './hex.js';
import { parsePacketWords, WORDS_EXAMPLE } from './packet-words.js';
import { type KnownTunnels, loadTunnels } from './tunnels.js';
import { receivedPacket, sentPacket } from './worded-packet.js';

export interface ExplainCommand {
  /** The packet in words. */
  readonly words?: string;
  /** Hex digits, `-` for standard input: from the outer IP header on, or with `isSent` as a host sends it. */
  readonly hex?: string;
  /** The tunnel that is meant: the one a packet is sent into, or whose peer sent it. */
  readonly tunnel?: string;
  /** The hex digits are a packet that a host sends into `tunnel`. */
  readonly isSent: boolean;
  readonly config?: string;
  readonly json: boolean;
  readonly paint: Paint;
  readonly out: (line: string) => void;
  readonly warn: (line: string) => void;
}

/** Explains one packet. Returns 0 whatever the verdict. */
export async function runExplain(command: ExplainCommand): Promise<ExitCode> {
  if ((command.words === undefined) === (command.hex === undefined)) {
    throw new Failure(EXIT.usage, 'explain: give a packet in words, or --hex', WORDS_EXAMPLE);
  }
  const known = await loadTunnels(command.config ?? DEFAULT_CONFIG_FILE, command.warn);
  const { packet, ...how } = questionOf(command, known);
  const explanation = explain(packet, known.tunnels, how);
  if (command.json) command.out(JSON.stringify(explainMessage(explanation, packet)));
  else command.out(formatExplanation(explanation, command.paint));
  return EXIT.ok;
}

/** An explanation as `-j` prints it. */
function explainMessage(explanation: Explanation, packet: Uint8Array): object {
  return {
    schema: 'grebe.explain/1',
    ...explanation,
    next: adviceOn(explanation),
    packet: Buffer.from(packet).toString('hex'),
  };
}

interface Question {
  readonly packet: Uint8Array;
  readonly direction: Direction;
  /** encap: the tunnel it is sent into. */
  readonly record: number;
  readonly link: number;
  readonly links: ReadonlyMap<number, string>;
}

function questionOf(command: ExplainCommand, { tunnels, links }: KnownTunnels): Question {
  const record = command.tunnel === undefined ? 0 : recordOf(tunnels, command.tunnel);
  if (command.hex !== undefined) {
    if (command.isSent && record === 0) {
      throw new Failure(
        EXIT.usage,
        'explain: --sent needs the tunnel',
        'say: --sent --tunnel NAME',
      );
    }
    const direction = command.isSent ? 'encap' : 'decap';
    return { packet: readHex(command.hex, 'explain'), direction, record, link: 0, links };
  }
  const words = parsePacketWords(command.words ?? '');
  if (words.kind === 'sent') {
    const into = recordOf(tunnels, words.tunnel);
    const tunnel = tunnels[into - 1];
    if (tunnel === undefined) throw new RangeError(`record ${into}`);
    const packet = sentPacket(words.inner, tunnel);
    return { packet, direction: 'encap', record: into, link: 0, links };
  }
  const packet = receivedPacket(words, tunnels, tunnels[record - 1]);
  return { packet, direction: 'decap', record, ...linkOf(links, words.outer.dev) };
}

/** Place of the tunnel among all, from 1. */
function recordOf(tunnels: readonly Tunnel[], name: string): number {
  const index = tunnels.findIndex((tunnel) => tunnel.name === name);
  if (index >= 0) return index + 1;
  const names = tunnels.map((tunnel) => tunnel.name);
  throw new Failure(
    EXIT.noInput,
    `there is no tunnel ${JSON.stringify(name)}${didYouMean(name, names)}`,
    names.length === 0 ? 'the config has none' : `tunnels: ${names.join(', ')}`,
  );
}

/** The number of a device among all; one that no tunnel is bound to gets a new one. */
function linkOf(
  links: ReadonlyMap<number, string>,
  name: string | undefined,
): Pick<Question, 'link' | 'links'> {
  if (name === undefined) return { link: 0, links };
  const found = [...links].find(([, one]) => one === name);
  const link = found?.[0] ?? links.size + 1;
  return { link, links: new Map([...links, [link, name]]) };
}
