// Which lane a received packet is for: a filter on each lane's raw sockets, the same but for the number of the
// lane. Every packet comes to the sockets of all lanes; the filter of one keeps it.
//
//   1. outer    IPv4 header, and what a tunnel puts behind it: GRE with its options, or nothing
//   2. order    a numbered GRE packet belongs to the lane of its sender, whatever it carries
//   3. inner    addresses of IPv4 or IPv6; ports of TCP and UDP, unless the packet is a fragment
//   4. lane     their sum, mixed, modulo the number of lanes
//
// Classic BPF, which needs no capability. A packet too short for a step is for the lane of its sender: no packet
// is for none.
import { EXIT, Failure } from '../sys/failure.js';
import { errno, errnoName, NativeBlock, setsockopt } from '../sys/libc.js';

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
/** struct sock_fprog and sock_filter. */
const PROGRAM_SIZE = 16;
const INSTRUCTION_SIZE = 8;
const ALL = 0xffff_ffff;

// linux/bpf_common.h
const LD_W_ABS = 0x20;
const LD_B_ABS = 0x30;
const LD_W_IND = 0x40;
const LD_H_IND = 0x48;
const LD_B_IND = 0x50;
const LD_LENGTH = 0x80;
const LD_MEM = 0x60;
const LDX_B_MSH = 0xb1; // X = 4 * (byte & 15)
const LDX_MEM = 0x61;
const ST = 0x02;
const ADD_K = 0x04;
const ADD_X = 0x0c;
const LSH_K = 0x64;
const AND_K = 0x54;
const RSH_K = 0x74;
const MUL_K = 0x24;
const MOD_K = 0x94;
const XOR_X = 0xac;
const JA = 0x05;
const JEQ_K = 0x15;
const JSET_K = 0x45;
const JGE_X = 0x3d;
const RET_K = 0x06;
const TAX = 0x07;
const TXA = 0x87;

const PROTOCOL_GRE = 47;
const MIX = 0x9e3779b1;
/** Scratch words: flags, then the sum; what is saved of A and X. */
const SUM = 0;
const SAVED_A = 1;
const SAVED_X = 2;

type Target = string;
type Step =
  | readonly [code: number, k: number]
  | readonly [code: number, k: number, yes: Target, no: Target]
  | Target;

/** Lets the raw socket `fd` receive only the flows of `lane`. Throws a Failure when the kernel refuses. */
export function filterFlows(fd: number, lane: number, laneCount: number): void {
  const code = flowFilter(lane, laneCount);
  const instructions = new NativeBlock(code.length);
  instructions.bytes.set(code);
  const program = new NativeBlock(PROGRAM_SIZE);
  program.view.setUint16(0, code.length / INSTRUCTION_SIZE, true);
  program.view.setBigUint64(8, BigInt(instructions.address), true);
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program.address, PROGRAM_SIZE) === 0) return;
  throw new Failure(
    EXIT.kernelRefused,
    `dividing received packets among ${laneCount} lanes: the kernel refused: ${errnoName(errno())}`,
    'run with lanes = 1',
  );
}

/** The filter, as struct sock_filter after struct sock_filter. */
export function flowFilter(lane: number, laneCount: number): Uint8Array {
  const words = (from: number, count: number): Step[] =>
    Array.from({ length: count }, (_, index) => from + index * 4).flatMap((offset): Step[] => [
      [LD_W_IND, offset],
      ...mixIn(),
    ]);
  return assemble([
    // outer
    [LDX_B_MSH, 0],
    [LD_B_ABS, 9],
    [JEQ_K, PROTOCOL_GRE, 'gre', 'inner'],
    'gre',
    ...whole(4, 'sender'),
    [LD_H_IND, 0],
    [JSET_K, 0x1000, 'sender', 'unnumbered'], // S
    'unnumbered',
    // C, K: four bytes each
    [ST, SUM],
    [AND_K, 0x8000],
    [RSH_K, 13],
    [ADD_X, 0],
    [TAX, 0],
    [LD_MEM, SUM],
    [AND_K, 0x2000],
    [RSH_K, 11],
    [ADD_X, 0],
    [ADD_K, 4], // the first four bytes
    [TAX, 0],
    'inner',
    ...whole(1, 'sender'),
    [LD_B_IND, 0],
    [RSH_K, 4],
    [JEQ_K, 4, 'ipv4', 'other'],
    'other',
    [JEQ_K, 6, 'ipv6', 'sender'],
    'ipv4',
    ...whole(20, 'sender'),
    [LD_W_IND, 12],
    [ST, SUM],
    ...words(16, 1),
    [LD_H_IND, 6],
    [JSET_K, 0x3fff, 'lane', 'whole'],
    'whole',
    [LD_B_IND, 9],
    [JEQ_K, 6, 'ports4', 'datagram4'],
    'datagram4',
    [JEQ_K, 17, 'ports4', 'lane'],
    'ports4',
    [LD_B_IND, 0],
    [AND_K, 15],
    [LSH_K, 2], // words to bytes
    [ADD_X, 0],
    [TAX, 0],
    ...whole(4, 'lane'),
    ...words(0, 1),
    [JA, 0, 'lane', 'lane'],
    'ipv6',
    ...whole(40, 'sender'),
    [LD_W_IND, 8],
    [ST, SUM],
    ...words(12, 7),
    [LD_B_IND, 6],
    [JEQ_K, 6, 'ports6', 'datagram6'],
    'datagram6',
    [JEQ_K, 17, 'ports6', 'lane'],
    'ports6',
    ...whole(44, 'lane'),
    ...words(40, 1),
    [JA, 0, 'lane', 'lane'],
    'sender',
    [LD_W_ABS, 12],
    [ST, SUM],
    'lane',
    [LD_MEM, SUM],
    [MUL_K, MIX],
    [RSH_K, 16],
    [MOD_K, laneCount],
    [JEQ_K, lane, 'keep', 'drop'],
    'keep',
    [RET_K, ALL],
    'drop',
    [RET_K, 0],
  ]);
}

/** Adds the accumulator to the sum. X keeps its value. */
function mixIn(): Step[] {
  return [
    [ST, SAVED_A],
    [TXA, 0],
    [ST, SAVED_X],
    [LDX_MEM, SAVED_A],
    [LD_MEM, SUM],
    [MUL_K, MIX],
    [XOR_X, 0],
    [ST, SUM],
    [LDX_MEM, SAVED_X],
  ];
}

/** Goes on where the packet has `count` bytes from X on, else at `short`. X keeps its value. */
function whole(count: number, short: Target): Step[] {
  const next = `whole ${guards++}`;
  return [
    [TXA, 0],
    [ST, SAVED_X],
    [ADD_K, count],
    [TAX, 0],
    [LD_LENGTH, 0],
    [JGE_X, 0, next, short],
    next,
    [LDX_MEM, SAVED_X],
  ];
}

let guards = 0;

function assemble(steps: readonly Step[]): Uint8Array {
  const places = new Map<Target, number>();
  let count = 0;
  for (const step of steps) {
    if (typeof step === 'string') places.set(step, count);
    else count++;
  }
  const view = new DataView(new ArrayBuffer(count * INSTRUCTION_SIZE));
  let at = 0;
  for (const step of steps) {
    if (typeof step === 'string') continue;
    const [code, k, yes, no] = step;
    const distance = (target: Target | undefined): number =>
      target === undefined ? 0 : (places.get(target) ?? Number.NaN) - at - 1;
    const offset = at * INSTRUCTION_SIZE;
    view.setUint16(offset, code, true);
    if (code === JA) {
      view.setUint32(offset + 4, distance(yes), true);
    } else {
      view.setUint8(offset + 2, distance(yes));
      view.setUint8(offset + 3, distance(no));
      view.setUint32(offset + 4, k, true);
    }
    at++;
  }
  return new Uint8Array(view.buffer);
}
