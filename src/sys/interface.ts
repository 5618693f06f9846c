import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { addressBytes } from './address-bytes.js';
import { EXIT, Failure } from './failure.js';
import { close, errno, errnoName, interfaceIndex, ioctl, NativeBlock } from './libc.js';
import { AF_INET, AF_INET6, bindSocket, openSocket, SOCK_DGRAM } from './socket.js';

const SIOCGIFFLAGS = 0x8913;
const IFNAMSIZ = 16;
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;
const IFF_UP = 1;
const IFA_F_TENTATIVE = 0x40;

/** The kernel takes a second or two over a new address, longer where it is told to ask several times. */
const PROBE_LIMIT_MS = 5000;
const PROBE_POLL_MS = 50;

export interface OwnAddress {
  /** IPv4 or IPv6 text. */
  readonly address: string;
  /** Whose it is: shown when it is not of this machine. */
  readonly owner: string;
  /** The device of a link-local address. */
  readonly dev?: string | undefined;
}

/** Resolves once every one of these is an address of this machine that can be used; rejects with a Failure if not. */
export async function requireOwnAddresses(addresses: readonly OwnAddress[]): Promise<void> {
  const until = Date.now() + PROBE_LIMIT_MS;
  for (const { address, owner, dev } of addresses) {
    const bytes = addressBytes(address);
    const link = dev === undefined ? 0 : interfaceIndex(dev);
    let error = bindError(bytes, link, owner);
    while (error !== 0 && isProbed(bytes) && Date.now() < until) {
      await sleep(PROBE_POLL_MS);
      error = bindError(bytes, link, owner);
    }
    if (error === 0) continue;
    const bits = bytes.length * 8;
    throw new Failure(
      EXIT.kernelRefused,
      `${owner}: local ${address} is not an address of this machine: ${errnoName(error)}`,
      `see which it has: ip -brief address; or add it: sudo ip address add ${address}/${bits} dev ${dev ?? 'lo'}`,
    );
  }
}

/** 0, or the error number that a socket of ours cannot have the address with. */
function bindError(address: Uint8Array, link: number, owner: string): number {
  const fd = openSocket(address.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, owner);
  const error = bindSocket(fd, address, 0, link) ? 0 : errno();
  close(fd);
  return error;
}

/** Whether the kernel still asks if another machine has this IPv6 address (RFC 4862, 5.4): not to be used before. */
function isProbed(address: Uint8Array): boolean {
  if (address.length === 4) return false;
  const text = Buffer.from(address).toString('hex');
  try {
    // Address, index, prefix length, scope, flags and name of the device, a line each.
    const lines = readFileSync('/proc/net/if_inet6', 'utf8').split('\n');
    const flags = lines.find((line) => line.startsWith(text))?.split(/ +/)[4] ?? '';
    return (Number.parseInt(flags, 16) & IFA_F_TENTATIVE) !== 0;
  } catch {
    return false; // a kernel without IPv6
  }
}

const encoder = new TextEncoder();

/** Reads whether network devices are up, with one socket for all of them. */
export class InterfaceFlags {
  readonly #fd = openSocket(AF_INET, SOCK_DGRAM, 0, 'reading device flags');
  readonly #request = new NativeBlock(IFREQ_SIZE);

  /** Whether the device `name` exists and is administratively up. */
  isUp(name: string): boolean {
    const { bytes } = this.#request;
    bytes.fill(0);
    encoder.encodeInto(name, bytes.subarray(0, IFNAMSIZ - 1));
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
