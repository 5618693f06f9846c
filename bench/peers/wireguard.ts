// wireguard-go: a userspace tunnel with encryption, for scale. It is not a fair rival of tunnels without.
//
// Its control socket has a fixed place, /var/run/wireguard. A folder of the lab lies over /run in the mount
// namespace that `ip netns exec` makes for each process, so the socket ends up in the lab.
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { hasProgram, type Lab } from '../path/lab.js';
import type { Running } from '../path/processes.js';
import { versionOf } from './compiled.js';
import type { Path } from './contract.js';
import { type End, endsOf, setUpDevice } from './ends.js';

const DEVICE = 'wg0';
const PORT = 51820;
/** Outer IPv4 20, UDP 8, WireGuard 32, rounded as `wg-quick` does for both IP versions. */
const MTU = 1420;
const ANSWER_LIMIT_MS = 5_000;

interface Keys {
  /** In hexadecimal, as the control socket takes them. */
  readonly secret: string;
  readonly open: string;
}

export function wireguardGo(): Path {
  return {
    name: 'wireguard-go',
    missing: () =>
      hasProgram('wireguard-go')
        ? undefined
        : 'wireguard-go is not installed (Debian: wireguard-go)',
    version: () => versionOf('wireguard-go'),
    open: async (lab) => {
      const [left, right] = endsOf(lab);
      const [leftKeys, rightKeys] = [makeKeys(), makeKeys()];
      const routers = [
        await start(lab, left, settings(left, leftKeys, rightKeys)),
        await start(lab, right, settings(right, rightKeys, leftKeys)),
      ];
      return { left: left.inner, right: right.inner, routers };
    },
  };
}

async function start(lab: Lab, end: End, text: string): Promise<Running> {
  const run = end.file('run');
  mkdirSync(run);
  const socket = join(run, 'wireguard', `${DEVICE}.sock`);
  const script = `mount --bind "$1" /run && exec wireguard-go -f ${DEVICE}`;
  const running = await lab.start(end.side, ['sh', '-ec', script, 'sh', run], {
    isReady: () => existsSync(socket),
  });
  await configure(socket, text);
  setUpDevice(end, DEVICE, MTU);
  return running;
}

function settings(end: End, own: Keys, other: Keys): string {
  return [
    'set=1',
    `private_key=${own.secret}`,
    `listen_port=${PORT}`,
    `public_key=${other.open}`,
    `endpoint=${end.remote}:${PORT}`,
    'allowed_ip=0.0.0.0/0',
    '\n',
  ].join('\n');
}

/** Says `text` to the control socket; it answers `errno=0` to what it took. */
function configure(socket: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: string) =>
      reject(new Failure(EXIT.failed, `wireguard-go: its control socket: ${cause}`));
    const client = connect(socket, () => client.write(text));
    client.setTimeout(ANSWER_LIMIT_MS, () => client.destroy(new Error('no answer')));
    client.on('error', (error) => fail(error.message));
    client.once('data', (answer) => {
      client.destroy();
      if (/^errno=0\n/.test(String(answer))) resolve();
      else fail(String(answer).trim());
    });
  });
}

function makeKeys(): Keys {
  const pair = generateKeyPairSync('x25519');
  const hex = (part: string | undefined) => Buffer.from(part ?? '', 'base64url').toString('hex');
  return {
    secret: hex(pair.privateKey.export({ format: 'jwk' }).d),
    open: hex(pair.publicKey.export({ format: 'jwk' }).x),
  };
}
