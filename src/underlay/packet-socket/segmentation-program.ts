// The program that lets the kernel segment a tunnel's TCP and UDP superpackets on their way out.
//
// Userspace sends one large packet through AF_PACKET: [virtio_net_hdr][Ethernet][outer header][inner packet],
// the inner header being what gso_type, gso_size and csum_start speak of, the inner ethertype as the socket
// address's protocol. As it stands the kernel could not segment it: it would have to know the outer header as
// that of a tunnel. On the way out of the device the program makes it known:
//
//   1. mark      a packet without our mark passes at once
//   2. save      the outer header, onto the stack
//   3. shrink    the packet by it, then grow it again as an encapsulation of IPv4 or IPv6 (and GRE, or UDP)
//   4. restore   the outer header's bytes
//   5. clear     the mark, and let the packet go on: whoever must segment it now can
//
// What fails is dropped and counted: half changed it must not leave.
import {
  ATTACH_TYPE,
  BpfMap,
  createLink,
  linkFailure,
  loadProgram,
  MAP_TYPE,
  PROGRAM_TYPE,
} from '../../sys/bpf.js';
import { BpfAssembler } from '../../sys/bpf-assembler.js';
import { close } from '../../sys/libc.js';

/** Results of a TCX program. */
const TCX_NEXT = -1;
const TCX_DROP = 2;
/** struct __sk_buff */
const CONTEXT_MARK = 8;
/** enum bpf_func_id */
const MAP_LOOKUP_ELEM = 1;
const SKB_STORE_BYTES = 9;
const SKB_LOAD_BYTES = 26;
const SKB_ADJUST_ROOM = 50;
/** Room is made and taken right behind the Ethernet header. */
const BPF_ADJ_ROOM_MAC = 1;
const BPF_F_ADJ_ROOM_FIXED_GSO = 1; // gso_size stays what userspace said
const BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 2;
const BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 4;
const BPF_F_ADJ_ROOM_ENCAP_L4_GRE = 8;
const BPF_F_ADJ_ROOM_ENCAP_L4_UDP = 16;

const ETHERNET_LENGTH = 14;
/**
 * Outer headers by their length: IP alone, with GRE, with GRE and a key, over IPv4 also the last two with UDP. The
 * kernel cannot count a sequence or sum a GRE checksum, nor a UDP checksum: the field is 0, which IPv6 does not allow.
 */
const ENCAPSULATIONS: ReadonlyMap<number, number> = new Map([
  [20, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4],
  [24, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE],
  [28, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE],
  [32, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP],
  [36, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP],
  [40, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6],
  [44, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE],
  [48, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE],
]);
/** Where the header is kept meanwhile. */
const STACK = -48;

/** "gre": upper three bytes of the mark, in front of the outer header's length. */
const MARK_PREFIX = 0x677265;

export interface SegmentationOptions {
  /** Index and name of the network device that the packets leave by. */
  readonly link: number;
  readonly device: string;
}

/** A device on whose way out marked superpackets are made ready for segmentation. */
export interface Segmentation {
  /**
   * The mark (SO_MARK) of packets with an outer header of this length, in all; 0 when there is none, and such packets
   * have to be segmented before they are sent.
   */
  markFor(outerLength: number): number;

  /** How many marked packets were dropped because the kernel could not do it. */
  failures(): number;

  /** Takes the program off the device; marked packets then leave as they are. Idempotent. */
  close(): void;
}

/** Attaches the program. Throws a Failure that says why not: a kernel before 6.6, a missing capability. */
export function openSegmentation(options: SegmentationOptions): Segmentation {
  return new LinkedSegmentation(options);
}

/** The mark of packets with this outer header, or 0. */
export function segmentationMark(outerLength: number): number {
  return ENCAPSULATIONS.has(outerLength) ? (MARK_PREFIX << 8) | outerLength : 0;
}

class LinkedSegmentation implements Segmentation {
  readonly #failures: BpfMap;
  readonly #link: number;
  #closed = false;

  constructor({ link, device }: SegmentationOptions) {
    this.#failures = new BpfMap({
      ...{ type: MAP_TYPE.array, name: 'grebe_failures' },
      ...{ keySize: 4, valueSize: 8, capacity: 1 },
    });
    try {
      const program = loadProgram({
        type: PROGRAM_TYPE.schedCls,
        name: 'grebe_segment',
        code: segmentationProgram(this.#failures.fd),
      });
      const target = { program, link, device, attachType: ATTACH_TYPE.tcxEgress };
      const made = createLink(target);
      close(program);
      if ('error' in made) throw linkFailure(target, made.error);
      this.#link = made.fd;
    } catch (error) {
      this.#failures.close();
      throw error;
    }
  }

  markFor(outerLength: number): number {
    return segmentationMark(outerLength);
  }

  failures(): number {
    const value = this.#failures.lookup(new Uint8Array(4));
    return value === undefined ? 0 : Number(new DataView(value.buffer).getBigUint64(0, true));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#link);
    this.#failures.close();
  }
}

/** The program over the map of failures. r6 context, r7 length of the outer header. */
export function segmentationProgram(failures: number): Uint8Array {
  const program = new BpfAssembler()
    .load('u32', 'r7', 'r1', CONTEXT_MARK)
    .mov('r2', 'r7')
    .rsh('r2', 8)
    .jumpIf('r2', 'ne', MARK_PREFIX, 'next')
    .mov('r6', 'r1')
    .and('r7', 0xff);
  for (const length of ENCAPSULATIONS.keys()) {
    program.jumpIf('r7', 'eq', length, `outer${length}`);
  }
  program.jump('failed');
  for (const [length, flags] of ENCAPSULATIONS) {
    appendEncapsulation(program.label(`outer${length}`), length, flags);
  }
  return program
    .label('done')
    .mov('r2', 0)
    .store('u32', 'r6', CONTEXT_MARK, 'r2')
    .label('next')
    .mov('r0', TCX_NEXT)
    .exit()
    .label('failed')
    .store('u32', 'r10', -4, 0)
    .loadMap('r1', failures)
    .mov('r2', 'r10')
    .add('r2', -4)
    .call(MAP_LOOKUP_ELEM)
    .jumpIf('r0', 'eq', 0, 'drop')
    .mov('r1', 1)
    .atomicAdd('r0', 0, 'r1')
    .label('drop')
    .mov('r0', TCX_DROP)
    .exit()
    .assemble();
}

/** Steps 2 to 4 for an outer header of `length` bytes; goes on at `done` or `failed`. */
function appendEncapsulation(program: BpfAssembler, length: number, flags: number): void {
  const header = (): BpfAssembler =>
    program
      .mov('r1', 'r6')
      .mov('r2', ETHERNET_LENGTH)
      .mov('r3', 'r10')
      .add('r3', STACK)
      .mov('r4', length);
  const adjust = (difference: number, flags: number): BpfAssembler =>
    program
      .mov('r1', 'r6')
      .mov('r2', difference)
      .mov('r3', BPF_ADJ_ROOM_MAC)
      .mov('r4', flags)
      .call(SKB_ADJUST_ROOM)
      .jumpIf('r0', 'ne', 0, 'failed');
  header().call(SKB_LOAD_BYTES).jumpIf('r0', 'ne', 0, 'failed');
  adjust(-length, BPF_F_ADJ_ROOM_FIXED_GSO);
  adjust(length, BPF_F_ADJ_ROOM_FIXED_GSO | flags);
  header().mov('r5', 0).call(SKB_STORE_BYTES).jumpIf('r0', 'ne', 0, 'failed').jump('done');
}
