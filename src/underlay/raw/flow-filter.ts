// Which lane a received packet is for: a filter on each lane's raw sockets, the same but for the number of the
// lane. Every packet comes to the sockets of all lanes; the filter of one keeps it.
//
//   1. outer    where the outer header ends: a socket of IPv4 gets it too, one of IPv6 what comes behind it
//   2. gre      its options; a numbered packet belongs to the lane of its sender, whatever it carries
//   3. frame    an Ethernet header in front of IP; any other frame belongs to the lane of its two stations
//   4. inner    addresses of IPv4 or IPv6; ports of TCP and UDP, unless the packet is a fragment
//   5. lane     their sum, mixed, modulo the number of lanes
//
// A packet too short for a step is for the lane of its sender: no packet is for none.
import { EXIT, Failure } from '../../sys/failure.js';
import { errno, errnoName } from '../../sys/libc.js';
import { attachFilter, INSTRUCTION_SIZE } from '../../sys/socket-filter.js';
import type { OuterProtocol } from '../contract.js';

const ALL = 0xffff_ffff;

// linux/bpf_common.h
const LD_IMM = 0x00;
const LD_W_ABS = 0x20;
const LD_W_IND = 0x40;
const LD_H_IND = 0x48;
const LD_B_IND = 0x50;
const LD_LENGTH = 0x80;
const LD_MEM = 0x60;
const LDX_B_MSH = 0xb1; // X = 4 * (byte & 15)
const LDX_MEM = 0x61;
const ST = 0x02;
const STX = 0x03;
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
/** linux/filter.h: what is loaded from here on counts from the IP header, wherever the packet begins. */
const NETWORK = 0xfff0_0000;

const PROTOCOL_GRE = 47;
/** Ethernet frames in GRE (RFC 1701, 7), and what they carry. */
const TYPE_ETHERNET = 0x6558;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const ETHERNET_LENGTH = 14;
const MIX = 0x9e3779b1;
/** Scratch words: flags, then the sum; where the header at hand begins; the protocol type of GRE. */
const SUM = 0;
const AT = 1;
const TYPE = 2;

type Target = string;
type Step =
  | readonly [code: number, k: number]
  | readonly [code: number, k: number, yes: Target, no: Target]
  | Target;

/** Lets the raw socket `fd` receive only the flows of `lane`. Throws a Failure when the kernel refuses. */
export function filterFlows(
  fd: number,
  outer: OuterProtocol,
  lane: number,
  laneCount: number,
): void {
  if (attachFilter(fd, flowFilter(outer, lane, laneCount))) return;
  throw new Failure(
    EXIT.kernelRefused,
    `dividing received packets among ${laneCount} lanes: the kernel refused: ${errnoName(errno())}`,
    'run with lanes = 1',
  );
}

/** The filter, as struct sock_filter after struct sock_filter. */
export function flowFilter(outer: OuterProtocol, lane: number, laneCount: number): Uint8Array {
  return assemble([
    ...skipOuter(outer),
    'gre',
    ...whole(4, 'sender'),
    ...load(LD_H_IND, 2),
    [ST, TYPE],
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
    [ST, AT],
    [LD_MEM, TYPE],
    [JEQ_K, TYPE_ETHERNET, 'frame', 'inner'],
    'frame',
    ...whole(ETHERNET_LENGTH, 'sender'),
    ...load(LD_H_IND, 12),
    [JEQ_K, TYPE_IPV4, 'packet', 'not ipv4'],
    'not ipv4',
    [JEQ_K, TYPE_IPV6, 'packet', 'stations'],
    'stations',
    ...words(0, 3),
    [JA, 0, 'lane', 'lane'],
    'packet',
    [TXA, 0],
    [ADD_K, ETHERNET_LENGTH],
    [ST, AT],
    'inner',
    ...whole(1, 'sender'),
    ...load(LD_B_IND, 0),
    [RSH_K, 4],
    [JEQ_K, 4, 'ipv4', 'other'],
    'other',
    [JEQ_K, 6, 'ipv6', 'sender'],
    'ipv4',
    ...whole(20, 'sender'),
    ...words(12, 2),
    ...load(LD_H_IND, 6),
    [JSET_K, 0x3fff, 'lane', 'unbroken'],
    'unbroken',
    [LD_B_IND, 9],
    [JEQ_K, 6, 'ports4', 'datagram4'],
    'datagram4',
    [JEQ_K, 17, 'ports4', 'lane'],
    'ports4',
    [LD_B_IND, 0],
    [AND_K, 15],
    [LSH_K, 2], // words to bytes
    [ADD_X, 0],
    [ST, AT],
    ...whole(4, 'lane'),
    ...word(0),
    [JA, 0, 'lane', 'lane'],
    'ipv6',
    ...whole(40, 'sender'),
    ...words(8, 8),
    ...load(LD_B_IND, 6),
    [JEQ_K, 6, 'ports6', 'datagram6'],
    'datagram6',
    [JEQ_K, 17, 'ports6', 'lane'],
    'ports6',
    ...whole(44, 'lane'),
    ...word(40),
    [JA, 0, 'lane', 'lane'],
    'sender',
    ...(outer.version === 4 ? sender4() : sender6()),
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

/** Sets AT to the end of the outer header; goes on at `gre`, which follows, or `inner`. */
function skipOuter({ version, protocol }: OuterProtocol): Step[] {
  const start: Step[] =
    version === 4
      ? [[LDX_B_MSH, 0]]
      : [
          [LD_IMM, 0],
          [TAX, 0],
        ];
  const isGre: Step[] = protocol === PROTOCOL_GRE ? [] : [[JA, 0, 'inner', 'inner']];
  return [...start, [STX, AT], ...isGre];
}

/** The address of an IPv4 sender as the sum. */
function sender4(): Step[] {
  return [
    [LD_W_ABS, 12],
    [ST, SUM],
  ];
}

/** The same of IPv6, from the header that the packet no longer has in front. */
function sender6(): Step[] {
  const source = NETWORK + 8;
  return [
    [LD_W_ABS, source],
    [ST, SUM],
    ...[4, 8, 12].flatMap((offset): Step[] => [[LD_W_ABS, source + offset], ...mixIn()]),
  ];
}

/** Loads from the header at hand. X is where that begins. */
function load(code: number, offset: number): Step[] {
  return [
    [LDX_MEM, AT],
    [code, offset],
  ];
}

/** Adds the word at `offset` of the header at hand to the sum. */
function word(offset: number): Step[] {
  return [...load(LD_W_IND, offset), ...mixIn()];
}

/** Makes a new sum of `count` words from `offset` on. */
function words(offset: number, count: number): Step[] {
  const more = Array.from({ length: count - 1 }, (_, index) => word(offset + (index + 1) * 4));
  return [...load(LD_W_IND, offset), [ST, SUM], ...more.flat()];
}

/** Adds the accumulator to the sum. */
function mixIn(): Step[] {
  return [
    [TAX, 0],
    [LD_MEM, SUM],
    [MUL_K, MIX],
    [XOR_X, 0],
    [ST, SUM],
  ];
}

/** Goes on where the header at hand has `count` bytes, else at `short`. */
function whole(count: number, short: Target): Step[] {
  const next = `whole ${guards++}`;
  return [[LD_MEM, AT], [ADD_K, count], [TAX, 0], [LD_LENGTH, 0], [JGE_X, 0, next, short], next];
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
    const distance = (target: Target | undefined): number => {
      if (target === undefined) return 0;
      const steps = (places.get(target) ?? Number.NaN) - at - 1;
      if (steps >= 0 && steps <= 255) return steps;
      throw new RangeError(`label ${target} is not within reach`);
    };
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
