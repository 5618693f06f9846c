// The tunnel table: control writes it, the codec reads it.
//
//   1. build    fill the table image that is not live: records, lookup buckets, own addresses, prefixes, routes to peers
//   2. publish  name it in CONTROL_TABLE with one atomic store
//
// INVARIANT: a lane reads CONTROL_TABLE once a call of the codec and finishes that with the image it found. The image
// being written was live before the last publication: no call that began since has it. LANE_TURN tells of the calls: a
// publisher goes on once each lane has none in hand, or another than at first.
import {
  BUCKET_HASH,
  BUCKET_RECORD,
  BUCKET_SIZE,
  CONTROL_TABLE,
  IMAGE_BUCKET_MASK,
  IMAGE_BUCKETS,
  IMAGE_GENERATION,
  IMAGE_OWN,
  IMAGE_OWN_MASK,
  IMAGE_PASSES,
  IMAGE_RECORD_COUNT,
  IMAGE_RECORDS,
  IMAGE_ROUTE_MASK,
  IMAGE_ROUTES,
  LANE_TURN,
  OWN_FLAGS,
  OWN_SIZE,
  PASS_ANY,
  PASS_ANY_LOCAL,
  PASS_ANY_REMOTE,
  PASS_EXACT,
  PREFIX_ADDRESS,
  PREFIX_MASK,
  PREFIX_SIZE,
  RECORD_DEFAULT,
  RECORD_LENGTHS,
  RECORD_PREFIX_COUNT,
  RECORD_PREFIXES,
  RECORD_SIZE,
  ROUTE_ADDRESS,
  ROUTE_BITS,
  ROUTE_PEER,
  ROUTE_SIZE,
  ROUTE_TUNNEL,
  STATE_RX_NEXT,
  STATE_RX_SYNCED,
  STATE_SIZE,
  STATE_STALE_COUNT,
  STATE_STALE_NEXT,
  TUNNEL_CAPACITY,
} from '../../asm/layout.js';
import { toBlock } from '../packet/address.js';
import { type PeerRoute, peerRanges, recordsOf } from '../packet/peers.js';
import { hasPeers } from '../packet/table.js';
import { isGre, type Prefix, type Tunnel } from '../packet/tunnel.js';
import {
  BUCKET_COUNT,
  type ImagePlan,
  type MemoryPlan,
  OWN_COUNT,
  PREFIX_CAPACITY,
  ROUTE_COUNT,
} from '../ring/plan.js';
import { EXIT, Failure } from '../sys/failure.js';
import { badPrefix, collectOwn, collectRoutes, type OwnAddress } from './contents.js';
import { hashAddress, hashEndpoint, hashRoute, hashTunnel } from './hash.js';
import { encodeRecord, matchOf, modeNumber, writeMapped } from './record.js';

/** Smallest hash sets: a router of a few tunnels clears and probes a few cache lines. */
const SMALLEST_SET = 64;

/** A batch takes a lane well under a millisecond; one that is held up by the kernel, some. */
const BORDER_POLL_MS = 1;
const BORDER_LIMIT_MS = 1000;

/** Builds table images in the dataplane's memory and makes them live. */
export class TunnelTable {
  readonly #plan: MemoryPlan;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #view: DataView;
  /** Ends with the last publication that was asked for. */
  #last: Promise<void> = Promise.resolve();

  constructor(memory: WebAssembly.Memory, plan: MemoryPlan) {
    this.#plan = plan;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Int32Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /**
   * Makes `tunnels` the live table: tunnel i becomes record i + 1, the peers of all the records behind them; undefined
   * leaves a hole. Throws a Failure when they do not fit; the live table then stays as it is. For the first time, and
   * where no lane runs; else `publishWhenSafe`.
   */
  publish(tunnels: readonly (Tunnel | undefined)[]): void {
    const records = recordsOf(tunnels).map(({ tunnel }) => tunnel);
    if (records.length >= TUNNEL_CAPACITY) {
      throw new Failure(
        EXIT.config,
        `${records.length} tunnels and peers are more than a router holds (${TUNNEL_CAPACITY - 1})`,
        'split them over several routers, each with its own config',
      );
    }
    const [first, second] = this.#plan.images;
    const live = Atomics.load(this.#words, CONTROL_TABLE >>> 2);
    const image = live === first.header ? second : first;
    const generation = live === 0 ? 1 : this.#load(live + IMAGE_GENERATION) + 1;
    const buckets = setSize(records.length, BUCKET_COUNT);
    const own = collectOwn(tunnels);
    const ownSlots = setSize(own.size, OWN_COUNT);
    const routes = collectRoutes(tunnels);
    const places = setSize(routes.length, ROUTE_COUNT);

    this.#clear(image.records, (records.length + 1) * RECORD_SIZE);
    this.#clear(image.buckets, buckets * BUCKET_SIZE);
    this.#clear(image.own, ownSlots * OWN_SIZE);
    this.#clear(image.routes, places * ROUTE_SIZE);
    const passes = this.#writeRecords(image, records, buckets - 1);
    this.#writeOwn(image, own, ownSlots - 1);
    for (const { tunnel, route } of routes) this.#writeRoute(image, places - 1, tunnel, route);

    this.#store(image.header + IMAGE_GENERATION, generation);
    this.#store(image.header + IMAGE_RECORDS, image.records);
    this.#store(image.header + IMAGE_RECORD_COUNT, records.length + 1);
    this.#store(image.header + IMAGE_BUCKETS, image.buckets);
    this.#store(image.header + IMAGE_BUCKET_MASK, buckets - 1);
    this.#store(image.header + IMAGE_OWN, image.own);
    this.#store(image.header + IMAGE_OWN_MASK, ownSlots - 1);
    this.#store(image.header + IMAGE_PASSES, passes);
    this.#store(image.header + IMAGE_ROUTES, image.routes);
    this.#store(image.header + IMAGE_ROUTE_MASK, places - 1);
    Atomics.store(this.#words, CONTROL_TABLE >>> 2, image.header);
  }

  /**
   * `publish` while lanes run: waits until none has the image to be written. Publications that are asked for meanwhile
   * wait for their turn. `fresh`: records whose packets come from and go to another host than before; they are holes for
   * a moment, in which they forget their sequence numbers, and `onFresh` is told of each. Rejects with a Failure when the tunnels do not fit, or a lane
   * does not end its batch.
   */
  publishWhenSafe(
    tunnels: readonly (Tunnel | undefined)[],
    fresh: ReadonlySet<number> = new Set(),
    onFresh: (record: number) => void = () => {},
  ): Promise<void> {
    return this.#inTurn(async () => {
      await this.#batchBorder();
      if (fresh.size > 0) {
        this.publish(withHoles(tunnels, fresh));
        await this.#batchBorder();
        for (const record of fresh) {
          this.resetState(record);
          onFresh(record);
        }
      }
      this.publish(tunnels);
    });
  }

  /** Runs `work` behind what was asked for before, whatever came of that. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Resolves once no lane works with an image that is not live. */
  async #batchBorder(): Promise<void> {
    const until = performance.now() + BORDER_LIMIT_MS;
    for (const [lane, { counters }] of this.#plan.lanes.entries()) {
      const turn = (counters + LANE_TURN) >>> 2;
      const first = Atomics.load(this.#words, turn);
      while ((first & 1) === 1 && Atomics.load(this.#words, turn) === first) {
        if (performance.now() > until) {
          throw new Failure(
            EXIT.bug,
            `lane ${lane} does not end its batch; the tunnels stay as they are`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, BORDER_POLL_MS));
      }
    }
  }

  /**
   * Forgets the sequence numbers of a record, for a tunnel that takes the place of another. Only for a
   * record that the live table does not hold: a lane may be counting in it otherwise.
   */
  resetState(record: number): void {
    if (!Number.isInteger(record) || record < 0 || record >= TUNNEL_CAPACITY) {
      throw new RangeError(`no tunnel record has the index ${record}`);
    }
    const start = (this.#plan.states + record * STATE_SIZE) >>> 2;
    for (let word = start; word < start + (STATE_SIZE >>> 2); word++) {
      Atomics.store(this.#words, word, 0);
    }
  }

  /**
   * Forgets what a record expects of arriving sequence numbers. Only for one whose live tunnel does not look at them, or
   * that the live table does not hold.
   */
  resetArrival(record: number): void {
    for (const field of [STATE_RX_SYNCED, STATE_RX_NEXT, STATE_STALE_NEXT, STATE_STALE_COUNT]) {
      Atomics.store(this.#words, (this.#plan.states + record * STATE_SIZE + field) >>> 2, 0);
    }
  }

  /** Writes records, their prefixes and their buckets. Returns the passes that can match. */
  #writeRecords(
    image: ImagePlan,
    tunnels: readonly (Tunnel | undefined)[],
    bucketMask: number,
  ): number {
    let passes = 0;
    let prefixes = 0;
    for (const [index, tunnel] of tunnels.entries()) {
      if (tunnel === undefined) continue;
      const record = image.records + (index + 1) * RECORD_SIZE;
      encodeRecord(this.#bytes, record, tunnel);
      const allow = tunnel.allow === 'any' ? [] : tunnel.allow;
      if (prefixes + allow.length > PREFIX_CAPACITY) {
        throw new Failure(
          EXIT.config,
          `tunnel ${tunnel.name}: the accepted source prefixes of all tunnels are more than ${PREFIX_CAPACITY}`,
          'join neighbouring prefixes in allow, or write allow = ["any"]',
        );
      }
      this.#store(record + RECORD_PREFIXES, image.prefixes + prefixes * PREFIX_SIZE);
      this.#store(record + RECORD_PREFIX_COUNT, allow.length);
      for (const prefix of allow) {
        this.#writePrefix(image.prefixes + prefixes * PREFIX_SIZE, tunnel, prefix);
        prefixes++;
      }
      // What comes is for a peer's record, or for none.
      if (!hasPeers(tunnel)) passes |= 1 << this.#writeBucket(image, bucketMask, tunnel, index + 1);
    }
    return passes;
  }

  #writePrefix(address: number, tunnel: Tunnel, prefix: Prefix): void {
    const block = toBlock(prefix);
    if (block === null) throw badPrefix(tunnel, 'allow', prefix);
    this.#bytes.fill(0, address, address + PREFIX_SIZE);
    const bits = block.version === 4 ? 96 + block.bits : block.bits;
    writeMapped(this.#bytes, address + PREFIX_ADDRESS, block.bytes);
    for (let bit = 0; bit < bits; bit++) {
      const at = address + PREFIX_MASK + (bit >>> 3);
      this.#bytes[at] = (this.#bytes[at] ?? 0) | (0x80 >>> (bit & 7));
    }
  }

  /** Files a record under its hash. Returns the pass that can find it there. */
  #writeBucket(image: ImagePlan, mask: number, tunnel: Tunnel, record: number): number {
    const { local, remote } = matchOf(tunnel);
    const pass = passOf(local, remote);
    const key = isGre(tunnel) ? tunnel.keyIn : undefined;
    const keyed = key !== undefined && pass !== PASS_ANY ? 1 : 0;
    const words = [hashEndpoint(local), hashEndpoint(remote)] as const;
    const hash = hashTunnel(modeNumber(tunnel), ...words, key ?? 0, keyed);
    // Records are filed in the order of their index, so that of equal ones the lowest is met first.
    let slot = hash & mask;
    while (this.#load(image.buckets + slot * BUCKET_SIZE + BUCKET_RECORD) !== 0) {
      slot = (slot + 1) & mask;
    }
    this.#store(image.buckets + slot * BUCKET_SIZE + BUCKET_HASH, hash);
    this.#store(image.buckets + slot * BUCKET_SIZE + BUCKET_RECORD, record);
    return pass;
  }

  /** Files a network behind a peer. The first of two that are the same stays. */
  #writeRoute(image: ImagePlan, mask: number, tunnel: number, { block, record }: PeerRoute): void {
    const owner = image.records + tunnel * RECORD_SIZE;
    const bits = block.version === 4 ? 96 + block.bits : block.bits;
    if (bits === 0) {
      if (this.#load(owner + RECORD_DEFAULT) === 0) this.#store(owner + RECORD_DEFAULT, record);
      return;
    }
    const mapped = new Uint8Array(16);
    writeMapped(mapped, 0, block.bytes);
    const words = new DataView(mapped.buffer);
    const word = (index: number): number => words.getUint32(index * 4, true);
    let slot = hashRoute(tunnel, hashAddress(word(0), word(1), word(2), word(3)), bits) & mask;
    for (;;) {
      const place = image.routes + slot * ROUTE_SIZE;
      const owned = this.#load(place + ROUTE_TUNNEL);
      if (owned === 0) break;
      const isSame = mapped.every((byte, index) => this.#bytes[place + index] === byte);
      if (owned === tunnel && this.#load(place + ROUTE_BITS) === bits && isSame) return;
      slot = (slot + 1) & mask;
    }
    const place = image.routes + slot * ROUTE_SIZE;
    this.#bytes.set(mapped, place + ROUTE_ADDRESS);
    this.#store(place + ROUTE_TUNNEL, tunnel);
    this.#store(place + ROUTE_BITS, bits);
    this.#store(place + ROUTE_PEER, record);
    const lengths = owner + RECORD_LENGTHS + (bits > 64 ? 8 : 0);
    const bit = 1n << BigInt(bits > 64 ? 128 - bits : 64 - bits);
    this.#view.setBigUint64(lengths, this.#view.getBigUint64(lengths, true) | bit, true);
  }

  #writeOwn(image: ImagePlan, own: ReadonlyMap<string, OwnAddress>, mask: number): void {
    const mapped = new Uint8Array(16);
    const words = new DataView(mapped.buffer);
    for (const { bytes, flags } of own.values()) {
      mapped.fill(0);
      writeMapped(mapped, 0, bytes);
      const word = (index: number): number => words.getUint32(index * 4, true);
      let slot = hashAddress(word(0), word(1), word(2), word(3)) & mask;
      while (this.#load(image.own + slot * OWN_SIZE + OWN_FLAGS) !== 0) slot = (slot + 1) & mask;
      this.#bytes.set(mapped, image.own + slot * OWN_SIZE);
      this.#store(image.own + slot * OWN_SIZE + OWN_FLAGS, flags);
    }
  }

  #clear(address: number, size: number): void {
    this.#bytes.fill(0, address, address + size);
  }

  #load(address: number): number {
    return this.#view.getUint32(address, true);
  }

  #store(address: number, value: number): void {
    this.#view.setUint32(address, value, true);
  }
}

/** The tunnels without those of these records. */
function withHoles(
  tunnels: readonly (Tunnel | undefined)[],
  records: ReadonlySet<number>,
): (Tunnel | undefined)[] {
  const firstPeers = new Map(peerRanges(tunnels).map(({ device, first }) => [device, first]));
  return tunnels.map((tunnel, index) => {
    const first = firstPeers.get(index + 1);
    if (tunnel?.peers === undefined || first === undefined || records.has(index + 1)) {
      return records.has(index + 1) ? undefined : tunnel;
    }
    const peers = tunnel.peers.map((peer, at) =>
      records.has(first + at) ? { ...peer, remote: null } : peer,
    );
    // Without those before it a tunnel that is a hole would let its peers' records slip.
    return { ...tunnel, peers, peersAt: first };
  });
}

/** The lookup pass that finds a record with these endpoints (null = any). */
function passOf(local: Uint8Array | null, remote: Uint8Array | null): number {
  if (local !== null) return remote !== null ? PASS_EXACT : PASS_ANY_REMOTE;
  return remote !== null ? PASS_ANY_LOCAL : PASS_ANY;
}

/** Slots of a hash set for `count` entries: a power of two, so that it stays at most half full. */
function setSize(count: number, most: number): number {
  let size = SMALLEST_SET;
  while (size < count * 2) size *= 2;
  return Math.min(size, most);
}
