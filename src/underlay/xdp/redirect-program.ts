// The XDP program that gives a tunnel's packets to AF_XDP sockets, before the kernel's IP stack sees them.
//
//   1. frame      untagged Ethernet, no longer than a frame of the sockets
//   2. header     IPv4 with or without options, or IPv6; no fragment
//   3. protocol   GRE, IPIP or SIT, or GRE in UDP; in IPv6 right behind its header
//   4. peer       (source, destination, protocol) is one that a tunnel has
//   5. socket     of the receive queue that the frame came in by
//
// Whatever fails a step passes on to the kernel, unchanged: its raw sockets take what is a tunnel's after
// all (fragments, tagged frames, tunnels to any remote). Nothing is dropped here.

import { addressBytes, parseAddress } from '../../packet/address.js';
import { IPV6_HEADER } from '../../packet/ipv6.js';
import {
  ATTACH_TYPE,
  BpfMap,
  createLink,
  linkFailure,
  loadProgram,
  MAP_TYPE,
  PROGRAM_TYPE,
} from '../../sys/bpf.js';
import { BpfAssembler, type Register, wire16 } from '../../sys/bpf-assembler.js';
import { EXIT, Failure } from '../../sys/failure.js';
import { close, ERRNO, errnoName } from '../../sys/libc.js';

const XDP_PASS = 2;
/** enum bpf_func_id */
const MAP_LOOKUP_ELEM = 1;
const REDIRECT_MAP = 51;
/** Fields of struct xdp_md. */
const CONTEXT_DATA = 0;
const CONTEXT_DATA_END = 4;
const CONTEXT_QUEUE = 16;
/** if_link.h: where the program runs. */
const XDP_FLAGS_SKB_MODE = 2;
const XDP_FLAGS_DRV_MODE = 4;

const ETHERNET_LENGTH = 14;
const ETHERTYPE = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const IPV4_LENGTH = 20;
const IPV4_FRAGMENT = 6;
/** MF and the offset (RFC 791, 3.1). DF and the reserved bit do not matter. */
const IPV4_FRAGMENT_MASK = 0x3fff;
const IPV4_PROTOCOL = 9;
const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;
const IPV6_NEXT_HEADER = 6;
const IPV6_SOURCE = 8;
const IPV6_DESTINATION = 24;
const UDP_LENGTH = 8;
const UDP_DESTINATION = 2;

const PROTOCOL_UDP = 17;
/** IPIP, SIT, GRE: told apart from UDP, whose port counts too. */
const TUNNEL_PROTOCOLS = [47, 4, 41] as const;
/** GRE in UDP (RFC 8086, 8.1). */
const GRE_UDP_PORT = 4754;

/** Key of the map of peers: version u8, protocol u8, six zeros, source and destination of 16 wire bytes each. */
const KEY_SOURCE = 8;
const KEY_DESTINATION = 24;
const KEY_SIZE = 40;
/** Second half of the first 16 bytes of ::ffff:a.b.c.d, as a little-endian word: 0, 0, ff, ff. */
const MAPPED_WORD = -65536;
const KEY = -KEY_SIZE; // on the stack

export type PeerProtocol = 47 | 4 | 41 | 17;

/** Packets to redirect, as they come in: their source is the tunnel's remote, their destination its local address. */
export interface Peer {
  readonly source: string;
  readonly destination: string;
  readonly protocol: PeerProtocol;
}

export interface RedirectOptions {
  /** Index and name of the network device. */
  readonly link: number;
  readonly device: string;
  /** Receive queues of the device: see receiveQueueCount. */
  readonly queueCount: number;
  /** Longest Ethernet frame that a socket's frame has room for: see receiveRoom. */
  readonly frameSize: number;
  readonly maxPeers: number;
}

/** A device whose tunnel packets go to AF_XDP sockets, as far as peers and sockets have been named. */
export interface Redirect {
  /** `native`: in the driver; `generic`: later, on a copy, which only sockets in copy mode can take. */
  readonly mode: 'native' | 'generic';
  /** Why the driver did not take the program: the name of the kernel's error; '' in native mode. */
  readonly genericCause: string;

  /** Takes effect at once, also on frames under way. A peer that is there already stays. */
  addPeer(peer: Peer): void;

  /** Returns whether it was there. */
  removePeer(peer: Peer): boolean;

  /** Frames of a queue go to the AF_XDP socket `fd`, which is bound to this device and queue; until then they pass. */
  setSocket(queue: number, fd: number): void;

  /** Takes the program off the device: all frames pass. The sockets are the caller's. Idempotent. */
  close(): void;
}

/** Attaches the program to a device: in its driver, or where that is not possible in generic mode. */
export function openRedirect(options: RedirectOptions): Redirect {
  return new LinkedRedirect(options);
}

class LinkedRedirect implements Redirect {
  readonly mode: 'native' | 'generic';
  readonly genericCause: string;
  readonly #peers: BpfMap;
  readonly #sockets: BpfMap;
  readonly #link: number;
  #closed = false;

  constructor({ link, device, queueCount, frameSize, maxPeers }: RedirectOptions) {
    const maps: BpfMap[] = [];
    const makeMap = (options: ConstructorParameters<typeof BpfMap>[0]): BpfMap => {
      const map = new BpfMap(options);
      maps.push(map);
      return map;
    };
    try {
      const word = { keySize: 4, valueSize: 4 };
      this.#peers = makeMap({
        ...{ type: MAP_TYPE.hash, name: 'grebe_peers' },
        ...{ keySize: KEY_SIZE, valueSize: 4, capacity: maxPeers },
      });
      this.#sockets = makeMap({
        ...{ type: MAP_TYPE.xskmap, name: 'grebe_sockets', ...word, capacity: queueCount },
      });
      const program = loadProgram({
        type: PROGRAM_TYPE.xdp,
        name: 'grebe_redirect',
        code: redirectProgram(this.#peers.fd, this.#sockets.fd, frameSize),
      });
      try {
        const attached = attach(program, link, device);
        this.#link = attached.fd;
        this.mode = attached.mode;
        this.genericCause = attached.genericCause;
      } finally {
        close(program);
      }
    } catch (error) {
      for (const map of maps) map.close();
      throw error;
    }
  }

  addPeer(peer: Peer): void {
    this.#peers.update(peerKey(peer), new Uint8Array(4));
  }

  removePeer(peer: Peer): boolean {
    return this.#peers.delete(peerKey(peer));
  }

  setSocket(queue: number, fd: number): void {
    this.#sockets.update(wordBytes(queue), wordBytes(fd));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#link);
    this.#sockets.close();
    this.#peers.close();
  }
}

interface Attached {
  readonly fd: number;
  readonly mode: 'native' | 'generic';
  readonly genericCause: string;
}

function attach(program: number, link: number, device: string): Attached {
  const options = { program, link, device, attachType: ATTACH_TYPE.xdp };
  const native = createLink({ ...options, flags: XDP_FLAGS_DRV_MODE });
  if ('fd' in native) return { fd: native.fd, mode: 'native', genericCause: '' };
  // Where a program is attached already, or a right is missing, another mode does not help.
  const isFinal = [ERRNO.EBUSY, ERRNO.EEXIST, ERRNO.EPERM, ERRNO.ENODEV].includes(native.error);
  const generic = isFinal ? native : createLink({ ...options, flags: XDP_FLAGS_SKB_MODE });
  if ('error' in generic) throw linkFailure(options, generic.error);
  return { fd: generic.fd, mode: 'generic', genericCause: errnoName(native.error) };
}

/**
 * The program over the maps of these descriptors. r6 context, r7 protocol, r2 frame, r3 its end, r5 length
 * of the IP header.
 */
export function redirectProgram(peers: number, sockets: number, frameSize: number): Uint8Array {
  const program = new BpfAssembler()
    .mov('r6', 'r1')
    .load('u32', 'r2', 'r6', CONTEXT_DATA)
    .load('u32', 'r3', 'r6', CONTEXT_DATA_END)
    .mov('r4', 'r2')
    .add('r4', ETHERNET_LENGTH + IPV4_LENGTH)
    .jumpIf('r4', 'gt', 'r3', 'pass')
    .mov('r4', 'r2')
    .add('r4', frameSize)
    .jumpIf('r4', 'lt', 'r3', 'pass')
    .load('u16', 'r4', 'r2', ETHERTYPE)
    .jumpIf('r4', 'eq', wire16(ETHERTYPE_IPV6), 'ipv6')
    .jumpIf('r4', 'ne', wire16(ETHERTYPE_IPV4), 'pass');
  appendIpv4(program);
  appendIpv6(program.label('ipv6'));
  for (const protocol of TUNNEL_PROTOCOLS) program.jumpIf('r7', 'eq', protocol, 'peer');
  program.jumpIf('r7', 'ne', PROTOCOL_UDP, 'pass');
  appendUdp(program);
  return program
    .label('peer')
    .loadMap('r1', peers)
    .mov('r2', 'r10')
    .add('r2', KEY)
    .call(MAP_LOOKUP_ELEM)
    .jumpIf('r0', 'eq', 0, 'pass')
    .loadMap('r1', sockets)
    .load('u32', 'r2', 'r6', CONTEXT_QUEUE)
    .mov('r3', XDP_PASS) // what becomes of a frame whose queue has no socket
    .call(REDIRECT_MAP)
    .exit()
    .label('pass')
    .mov('r0', XDP_PASS)
    .exit()
    .assemble();
}

/** Checks the IPv4 header and writes the key; goes on at `protocol`. */
function appendIpv4(program: BpfAssembler): void {
  const field = (offset: number): number => ETHERNET_LENGTH + offset;
  program
    .load('u8', 'r5', 'r2', field(0))
    .mov('r4', 'r5')
    .and('r4', 0xf0)
    .jumpIf('r4', 'ne', 0x40, 'pass')
    .and('r5', 0x0f)
    .jumpIf('r5', 'lt', IPV4_LENGTH / 4, 'pass')
    .lsh('r5', 2)
    .load('u16', 'r4', 'r2', field(IPV4_FRAGMENT))
    .jumpIf('r4', 'set', wire16(IPV4_FRAGMENT_MASK), 'pass')
    .load('u8', 'r7', 'r2', field(IPV4_PROTOCOL));
  appendKeyHead(program, 4);
  for (const [from, to] of [
    [IPV4_SOURCE, KEY_SOURCE],
    [IPV4_DESTINATION, KEY_DESTINATION],
  ] as const) {
    program
      .store('u64', 'r10', KEY + to, 0)
      .store('u32', 'r10', KEY + to + 8, MAPPED_WORD)
      .load('u32', 'r4', 'r2', field(from))
      .store('u32', 'r10', KEY + to + 12, 'r4');
  }
  program.jump('protocol');
}

/** Checks the IPv6 header and writes the key; goes on at `protocol`. A fragment has another next header. */
function appendIpv6(program: BpfAssembler): void {
  const field = (offset: number): number => ETHERNET_LENGTH + offset;
  program
    .mov('r4', 'r2')
    .add('r4', field(IPV6_HEADER))
    .jumpIf('r4', 'gt', 'r3', 'pass')
    .load('u8', 'r4', 'r2', field(0))
    .and('r4', 0xf0)
    .jumpIf('r4', 'ne', 0x60, 'pass')
    .mov('r5', IPV6_HEADER)
    .load('u8', 'r7', 'r2', field(IPV6_NEXT_HEADER));
  appendKeyHead(program, 6);
  for (const [from, to] of [
    [IPV6_SOURCE, KEY_SOURCE],
    [IPV6_DESTINATION, KEY_DESTINATION],
  ] as const) {
    for (const half of [0, 8]) {
      program
        .load('u64', 'r4', 'r2', field(from + half))
        .store('u64', 'r10', KEY + to + half, 'r4');
    }
  }
  program.label('protocol');
}

function appendKeyHead(program: BpfAssembler, version: 4 | 6): void {
  const head: Register = 'r4';
  program.mov(head, 'r7').lsh(head, 8).or(head, version).store('u64', 'r10', KEY, head);
}

/**
 * Passes a UDP packet to any other port. A case for each length of the IP header: an offset that is not known
 * beforehand the verifier allows only with CAP_PERFMON.
 */
function appendUdp(program: BpfAssembler): void {
  const lengths = Array.from({ length: 11 }, (_, words) => IPV4_LENGTH + words * 4);
  for (const length of lengths) program.jumpIf('r5', 'eq', length, `udp${length}`);
  program.jump('pass');
  for (const length of lengths) {
    const udp = ETHERNET_LENGTH + length;
    program
      .label(`udp${length}`)
      .mov('r4', 'r2')
      .add('r4', udp + UDP_LENGTH)
      .jumpIf('r4', 'gt', 'r3', 'pass')
      .load('u16', 'r4', 'r2', udp + UDP_DESTINATION)
      .jump('port');
  }
  program.label('port').jumpIf('r4', 'ne', wire16(GRE_UDP_PORT), 'pass');
}

/** The key of a peer. Throws a Failure unless both addresses are of one family. */
function peerKey({ source, destination, protocol }: Peer): Uint8Array {
  const [from, to] = [parseAddress(source), parseAddress(destination)];
  if (from === null || to === null || from.version !== to.version) {
    throw new Failure(EXIT.bug, `no peer of a tunnel: ${source} to ${destination}`);
  }
  const key = new Uint8Array(KEY_SIZE);
  key[0] = from.version;
  key[1] = protocol;
  for (const [address, offset] of [
    [from, KEY_SOURCE],
    [to, KEY_DESTINATION],
  ] as const) {
    if (address.version === 4) key.fill(0xff, offset + 10, offset + 12);
    key.set(addressBytes(address), offset + (address.version === 4 ? 12 : 0));
  }
  return key;
}

function wordBytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
