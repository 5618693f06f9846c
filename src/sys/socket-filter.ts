// Classic BPF at a socket, which needs no capability.
import { NativeBlock, setsockopt } from './libc.js';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** struct sock_fprog. */
const PROGRAM_SIZE = 16;
/** struct sock_filter: code, how far to jump, value. */
export const INSTRUCTION_SIZE = 8;

const RET_K = 0x06;
/** Keeps 0 bytes of any packet: it is dropped. */
const DROP_ALL = Uint8Array.of(RET_K, 0, 0, 0, 0, 0, 0, 0);

/**
 * Lets the socket `fd` receive what `program` keeps, struct sock_filter after struct sock_filter. Returns false when
 * the kernel refuses: `errno()` says why.
 */
export function attachFilter(fd: number, program: Uint8Array): boolean {
  const instructions = new NativeBlock(program.length);
  instructions.bytes.set(program);
  const header = new NativeBlock(PROGRAM_SIZE);
  header.view.setUint16(0, program.length / INSTRUCTION_SIZE, true);
  header.view.setBigUint64(8, BigInt(instructions.address), true);
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header.address, PROGRAM_SIZE) === 0;
}

/** Lets the socket `fd` receive nothing. Returns false when the kernel refuses. */
export function dropAll(fd: number): boolean {
  return attachFilter(fd, DROP_ALL);
}
