import { readFileSync } from 'node:fs';
import { EXIT, Failure } from './failure.js';
import { bind, close, errno, errnoName, ioctl, NativeBlock } from './libc.js';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.js';

const SOCKADDR_SIZE = 16;
const SIOCGIFFLAGS = 0x8913;
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;
const IFF_UP = 1;

/** Throws a Failure unless every one of these IPv4 addresses is an address of this machine. */
export function requireOwnAddresses(
  addresses: readonly { readonly address: string; readonly owner: string }[],
): void {
  const socketAddress = new NativeBlock(SOCKADDR_SIZE);
  socketAddress.view.setUint16(0, AF_INET, true);
  for (const { address, owner } of addresses) {
    const fd = openSocket(AF_INET, SOCK_DGRAM, 0, owner);
    socketAddress.bytes.set(address.split('.').map(Number), 4);
    const refused = bind(fd, socketAddress.address, SOCKADDR_SIZE) !== 0;
    const error = refused ? errno() : 0;
    close(fd);
    if (!refused) continue;
    throw new Failure(
      EXIT.kernelRefused,
      `${owner}: local ${address} is not an address of this machine: ${errnoName(error)}`,
      `see which it has: ip -brief address; or add it: sudo ip address add ${address}/32 dev lo`,
    );
  }
}

/** Reads whether network devices are up, with one socket for all of them. */
export class InterfaceFlags {
  readonly #fd = openSocket(AF_INET, SOCK_DGRAM, 0, 'reading device flags');
  readonly #request = new NativeBlock(IFREQ_SIZE);

  /** Whether the device `name` exists and is administratively up. */
  isUp(name: string): boolean {
    this.#request.bytes.fill(0);
    this.#request.bytes.set(new TextEncoder().encode(name).subarray(0, 15));
    if (ioctl(this.#fd, SIOCGIFFLAGS, this.#request.address) !== 0) return false;
    return (this.#request.view.getUint16(IFREQ_FLAGS, true) & IFF_UP) !== 0;
  }

  close(): void {
    close(this.#fd);
  }
}

/** Of this network namespace, whatever namespace /sys shows. */
const DEVICES = '/proc/net/dev';
/** The columns of a line behind the name: eight of reception, then bytes, packets, errors and drops of transmission. */
const TRANSMIT_DROPS = 11;

/** tx_dropped of every device by name, one read for all; empty where the kernel does not say. */
export function transmitDrops(): Map<string, number> {
  const drops = new Map<string, number>();
  for (const line of readDevices().split('\n')) {
    const [name = '', columns] = line.split(':');
    const count = columns?.trim().split(/ +/)[TRANSMIT_DROPS];
    if (count !== undefined) drops.set(name.trim(), Number(count));
  }
  return drops;
}

function readDevices(): string {
  try {
    return readFileSync(DEVICES, 'utf8');
  } catch {
    return '';
  }
}
