// Both ends of a tunnel between the sides of a lab: 10.9.0.1 on the left, 10.9.0.2 on the right.
import { join } from 'node:path';
import { ipOf, type Lab, type Side } from '../path/lab.js';

/** One end of the tunnel, as a program sees it. */
export interface End {
  readonly side: Side;
  /** The other side's address on the underlay. */
  readonly remote: string;
  /** Address without and with its prefix length. */
  readonly inner: string;
  readonly innerPrefix: string;
  /** Of 1 and 2. */
  readonly host: number;
  /** A file or folder of this end's own. */
  file(name: string): string;
}

/** Linux gives a TUN device 500, which drops under load. */
const TRANSMIT_QUEUE = 1000;

export function endsOf(lab: Lab): [left: End, right: End] {
  return [endOf(lab, lab.left, lab.right, 1), endOf(lab, lab.right, lab.left, 2)];
}

function endOf(lab: Lab, side: Side, other: Side, host: number): End {
  const inner = `10.9.0.${host}`;
  return {
    side,
    remote: other.address,
    inner,
    innerPrefix: `${inner}/24`,
    host,
    file: (name) => join(lab.folder, `${host}-${name}`),
  };
}

/** Gives a device that a program has made its address and MTU, and sets it up. */
export function setUpDevice(end: End, device: string, mtu: number): void {
  ipOf(end.side, 'address', 'add', end.innerPrefix, 'dev', device);
  const link = ['mtu', `${mtu}`, 'txqueuelen', `${TRANSMIT_QUEUE}`, 'up'];
  ipOf(end.side, 'link', 'set', device, ...link);
}
