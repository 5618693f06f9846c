// Everything of a running router that goes with its tunnels: devices, table, lanes, next hops, and what the main thread
// keeps of each. `switchTo` is the one place where they change, while packets pass.
//
//   1. lanes      open sockets, know tunnels, can write to new devices: they work with the old table and the new one
//   2. table      published: from here on packets are for the new tunnels
//   3. lanes      read new devices, let go of those that are gone, close sockets
//   4. the rest   questions to peers, learned MTUs, traces
//
// Untouched tunnels keep record, device and sockets all along.
import type { Logger } from 'pino';
import type { CodecBuild } from '../codec/builds.js';
import type { Config } from '../config/config.js';
import { Board } from '../lane/board.js';
import type { LaneEvents } from '../lane/contract.js';
import type { LaneChange, LaneDevice } from '../lane/message.js';
import type { Tunnel } from '../packet/tunnel.js';
import { PathMtus } from '../ring/path-mtus.js';
import { createMemory, type MemoryPlan, planMemory } from '../ring/plan.js';
import { recorderRecords } from '../ring/recorder.js';
import { setCarrier } from '../tun/linux.js';
import type { RecordCounters } from '../tunnel/counters.js';
import { TunnelTable } from '../tunnel/table.js';
import type { Underlay } from '../underlay/contract.js';
import { ProtocolSinks } from '../underlay/protocol-sinks.js';
import { changedMembers } from './changed-members.js';
import { CountedRecords, recordIds } from './counted.js';
import { deviceMtus } from './device-mtu.js';
import { createDevices, type Device, removeDevices } from './devices.js';
import { endpointsOf } from './endpoints.js';
import { type Fleet, type Member, tunnelsOf } from './fleet.js';
import {
  type FleetView,
  laneDevices,
  linksOf,
  mergedKinds,
  tunnelChange,
  tunnelStart,
  xdpStart,
} from './lane-start.js';
import { Lanes, type OwnStart, type SharedStart } from './lanes.js';
import { Liveness } from './liveness.js';
import { applyNetwork, type NetworkChange, prepareDevices } from './network.js';
import { Onlookers } from './onlookers.js';
import { LearnedMtus } from './path-mtus.js';
import {
  changedRecords,
  goneTunnels,
  type RouterRecords,
  recordTunnels,
  routerRecords,
  tableTunnels,
  unsharedRecords,
} from './records.js';
import type { TellLanes } from './xdp-devices.js';
import type { XdpPath } from './xdp-path.js';

/** Tunnels that a lane is told of between two batches: a thousand at once took it 2 ms. */
const PIECE = 256;
const UNCHANGED: LaneChange = { tunnels: [], added: [], removed: [] };

export interface DataplaneOptions {
  readonly config: Config;
  readonly fleet: Fleet;
  readonly devices: Map<number, Device>;
  readonly laneCount: number;
  readonly xdp: XdpPath | undefined;
  readonly log: Logger;
}

export class Dataplane {
  readonly plan: MemoryPlan;
  readonly memory: WebAssembly.Memory;
  readonly board = new Board();
  readonly onlookers: Onlookers;
  readonly liveness: Liveness;
  readonly learnedMtus: LearnedMtus;
  readonly #options: DataplaneOptions;
  readonly #table: TunnelTable;
  readonly #devices: Map<number, Device>;
  #fleet: Fleet;
  #members: ReadonlyMap<number, Member>;
  #tunnels: readonly (Tunnel | undefined)[];
  #records: RouterRecords;
  /** Those of the live table. */
  #published: RouterRecords;
  #xdp: XdpPath | undefined;
  #lanes: Lanes | undefined;
  #sinks: ProtocolSinks | undefined;
  readonly #counted: CountedRecords;

  constructor(options: DataplaneOptions) {
    const { config, fleet, devices, laneCount, xdp, log } = options;
    this.#options = options;
    this.#fleet = fleet;
    this.#members = new Map(fleet.map((member) => [member.record, member]));
    this.#tunnels = tunnelsOf(fleet);
    this.#records = routerRecords(fleet);
    this.#published = this.#records;
    this.#devices = devices;
    this.#xdp = xdp;
    const recorder = {
      packets: config.router.recorder.keep,
      records: recorderRecords(this.#records.length),
    };
    const plan = planMemory(laneCount, (reserve) => xdp?.plan(reserve), recorder);
    this.plan = xdp?.withSpare(plan) ?? plan;
    this.memory = createMemory(this.plan);
    this.#table = new TunnelTable(this.memory, this.plan);
    this.#table.publish(tableTunnels(fleet));
    this.#counted = new CountedRecords(this.memory, this.plan, fleet);
    this.onlookers = new Onlookers({
      ...{ memory: this.memory, plan: this.plan, recorder: config.router.recorder, log },
      tunnels: () => this.#tunnels,
      records: () => this.#records,
      links: () => new Map(linksOf(this.#records).links),
    });
    const pathMtus = new PathMtus(this.memory, this.plan.states);
    this.learnedMtus = new LearnedMtus({
      tunnels: this.#tunnels,
      deviceMtus: deviceMtus(fleet),
      pathMtus,
      log,
    });
    this.liveness = new Liveness({
      ...{ fleet, board: this.board, log },
      current: (record) => this.member(record)?.tunnel,
      // Numbered packets leave by the lane that sends all of them.
      emit: (record, packet) => this.#lanes?.emit(devices.get(record)?.reader ?? 0, record, packet),
      setCarrier: (record, isUp) => this.#setCarrier(record, isUp),
      onDown: (name) => this.onlookers.dumps?.tunnelDown(name),
    });
  }

  get fleet(): Fleet {
    return this.#fleet;
  }

  get records(): RouterRecords {
    return this.#records;
  }

  get lanes(): Lanes | undefined {
    return this.#lanes;
  }

  member(record: number): Member | undefined {
    return this.#members.get(record);
  }

  /** Silences the tunnel protocols that no tunnel receives. Throws a Failure when a right is missing. */
  openSinks(): void {
    this.#sinks = new ProtocolSinks(endpointsOf(recordTunnels(this.#records)).protocols);
  }

  /** Goes on without AF_XDP: before the lanes start. */
  dropXdp(): void {
    this.#xdp = undefined;
  }

  startThreads(build: CodecBuild, events: LaneEvents): Lanes {
    const shared = this.#sharedStart(build);
    this.#lanes = Lanes.startThreads(this.plan, shared, (lane) => this.#ownStart(lane), events);
    return this.#lanes;
  }

  startEvented(build: CodecBuild, underlay: Underlay, events: LaneEvents): Lanes {
    const shared = this.#sharedStart(build);
    this.#lanes = Lanes.startEvented(this.plan, shared, this.#ownStart(0), underlay, events);
    return this.#lanes;
  }

  /** What was counted for tunnels and peers that are gone. */
  goneCounters(): RecordCounters | undefined {
    return this.#counted.gone(this.#fleet);
  }

  async makeDevices(members: Fleet): Promise<void> {
    const { laneCount, config } = this.#options;
    const made = await createDevices(members, laneCount, config.router.offload);
    for (const [record, device] of made) this.#devices.set(record, device);
    prepareDevices(members.map((member) => member.config));
  }

  async unmakeDevices(members: Fleet): Promise<void> {
    const devices = members.flatMap(({ record }) => this.#devices.get(record) ?? []);
    await removeDevices(devices);
    for (const { record } of members) this.#devices.delete(record);
  }

  changeNetwork(change: NetworkChange): Promise<() => Promise<void>> {
    return applyNetwork(change);
  }

  /** Makes `fleet` what packets go by. When it cannot, the tunnels are as they were once it has thrown its Failure. */
  async switchTo(fleet: Fleet): Promise<void> {
    const before = { fleet: this.#fleet, records: this.#records };
    const after = { fleet, records: routerRecords(fleet) };
    try {
      await this.#move(before, after);
    } catch (error) {
      // What went with the new table comes again with the old one, and goes on with its numbers.
      if (this.#published !== before.records) this.#tellGone(before, after);
      await this.#goBack(after, before).catch((lost) => {
        this.#options.log.error({ event: 'reload' }, `tunnels are not as they were: ${lost}`);
      });
      throw error;
    }
    this.#fleet = fleet;
    this.#members = new Map(fleet.map((member) => [member.record, member]));
    this.#tunnels = tunnelsOf(fleet);
    this.#records = after.records;
    this.#tellOthers(before, after);
  }

  /** Has AF_XDP on the devices that packets leave by now: raw sockets served them until then. Never rejects. */
  async followXdp(): Promise<void> {
    const { laneCount, log } = this.#options;
    const tell: TellLanes = async (of) => {
      await this.#lanes?.change((lane) => ({ ...UNCHANGED, xdp: of(lane) }));
    };
    await this.#xdp?.follow(laneCount, tell).catch((error: unknown) => {
      log.error({ event: 'xdp' }, `devices of AF_XDP stay as they were: ${String(error)}`);
    });
  }

  async #move(before: FleetView, after: FleetView): Promise<void> {
    const { first, last } = tunnelChange(before, after, this.#xdp);
    const come = this.#devicesOf(after, before);
    const gone = [...this.#devicesOf(before, after).keys()];
    const ids = recordIds(after.fleet);
    for (const record of unsharedRecords(this.#published, after.records)) {
      const tunnel = after.records[record - 1]?.tunnel;
      if (tunnel !== undefined) this.#renew(record, tunnel, ids);
    }
    this.#forgetArrivals(before, after);
    await this.#tellLanes(first, (lane) => {
      return { added: laneDevices(come, lane).map(unread), removed: [] };
    });
    await this.#publish(after, ids);
    // Silent before the lanes' sockets are closed, so that the kernel answers nobody in between.
    this.#sinks?.change(endpointsOf(recordTunnels(after.records)).protocols);
    await this.#tellLanes(last, (lane) => {
      return { added: laneDevices(come, lane), removed: gone };
    });
  }

  /** Undoes a part of a move from `before`. While the table is that of before, lanes need nothing but what they had. */
  async #goBack(after: FleetView, before: FleetView): Promise<void> {
    if (this.#published !== before.records) return this.#move(after, before);
    const { first, last } = tunnelChange(after, before, this.#xdp);
    const removed = [...this.#devicesOf(after, before).keys()];
    await this.#tellLanes({ ...first, ...last, tunnels: first.tunnels }, () => {
      return { added: [], removed };
    });
  }

  async #publish({ fleet, records }: FleetView, ids: ReadonlyMap<number, string>): Promise<void> {
    const moved = changedRecords(this.#published, records);
    const publish = async (): Promise<void> => {
      const onFresh = (record: number): void => {
        this.#count(record, ids);
        const tunnel = records[record - 1]?.tunnel;
        if (tunnel !== undefined) this.onlookers.begins(record, tunnel);
      };
      await this.#table.publishWhenSafe(tableTunnels(fleet), moved, onFresh);
      this.#published = records;
    };
    await (this.#xdp === undefined ? publish() : this.#xdp.change(records, publish));
  }

  /** Tells all lanes, where there is something to tell. */
  async #tellLanes(
    { tunnels, ...rest }: Omit<LaneChange, 'added' | 'removed'>,
    devices: (lane: number) => Pick<LaneChange, 'added' | 'removed'>,
  ): Promise<void> {
    const { added, removed } = devices(0);
    const count = tunnels.length + added.length + removed.length + Object.keys(rest).length;
    if (count === 0) return;
    await this.#lanes?.change((lane) => {
      return { ...rest, ...devices(lane), tunnels: tunnels.slice(0, PIECE) };
    });
    for (let at = PIECE; at < tunnels.length; at += PIECE) {
      const piece = tunnels.slice(at, at + PIECE);
      await this.#lanes?.change(() => ({ ...UNCHANGED, tunnels: piece }));
    }
  }

  /** Devices of the tunnels that one has and the other has not. */
  #devicesOf({ fleet }: FleetView, without: FleetView): Map<number, Device> {
    const others = new Set(without.fleet.map(({ record }) => record));
    return new Map(
      fleet.flatMap(({ record }): [number, Device][] => {
        const device = others.has(record) ? undefined : this.#devices.get(record);
        return device === undefined ? [] : [[record, device]];
      }),
    );
  }

  /** Makes a record that the live table does not hold ready for a tunnel that is about to have it. */
  #renew(record: number, tunnel: Tunnel, ids: ReadonlyMap<number, string>): void {
    this.#count(record, ids);
    this.#table.resetState(record);
    this.onlookers.begins(record, tunnel);
    this.board.reset(record);
  }

  /** Lets the counters of a record be about another tunnel or peer, where that is another. */
  #count(record: number, ids: ReadonlyMap<number, string>): void {
    const id = ids.get(record);
    if (id === undefined) return;
    if (this.#counted.isOthers(record, id)) this.onlookers.otherOwner(record);
    this.#counted.give(record, id);
  }

  /** What a tunnel expected of sequence numbers before it looked away from them is too old. */
  #forgetArrivals(before: FleetView, after: FleetView): void {
    for (const [index, record] of after.records.entries()) {
      const was = before.records[index]?.tunnel;
      const is = record?.tunnel;
      if (was === undefined || is === undefined || was === is) continue;
      const looked = 'sequenceIn' in was && was.sequenceIn;
      if (!looked && 'sequenceIn' in is && is.sequenceIn) this.#table.resetArrival(index + 1);
    }
  }

  #tellOthers(before: FleetView, after: FleetView): void {
    const { asked, paths } = changedMembers(before.fleet, after.fleet);
    this.liveness.change(asked.records, asked.members);
    const mtus = { tunnels: this.#tunnels, deviceMtus: deviceMtus(after.fleet) };
    this.learnedMtus.change(mtus, paths);
    this.#tellGone(before, after);
  }

  #tellGone(before: FleetView, after: FleetView): void {
    this.onlookers.changed(goneTunnels(before.records, after.records));
  }

  #sharedStart(build: CodecBuild): SharedStart {
    const { router } = this.#options.config;
    return {
      ...tunnelStart({ fleet: this.#fleet, records: this.#records }),
      memory: this.memory,
      codec: build,
      merge: mergedKinds(router, this.#xdp?.receives === true),
      board: this.board.buffer,
      busyPoll: router.busypoll,
    };
  }

  #ownStart(lane: number): OwnStart {
    return {
      devices: laneDevices(this.#devices, lane),
      xdp: xdpStart(this.#xdp, this.#records, lane, this.#options.laneCount),
      networkFd: lane === 0 ? this.#xdp?.watchFd : undefined,
    };
  }

  #setCarrier(record: number, isUp: boolean): void {
    const device = this.#devices.get(record);
    const [fd] = device?.fds ?? [];
    if (device === undefined || fd === undefined || setCarrier(fd, isUp)) return;
    const { name } = device;
    const message = `the carrier of ${name} stays as it is`;
    this.#options.log.debug({ event: 'carrier', tunnel: name }, message);
  }

  async stop(limitMs: number): Promise<void> {
    await this.#lanes?.stop(limitMs);
    this.#xdp?.close();
    const closed = this.close();
    await removeDevices([...this.#devices.values()]);
    await closed;
  }

  /** What is open without lanes and devices. */
  async close(): Promise<void> {
    this.liveness.stop();
    this.learnedMtus.close();
    this.#sinks?.close();
    await this.onlookers.stop();
  }
}

/** A device that a lane may write to, and does not read yet. */
function unread(device: LaneDevice): LaneDevice {
  return { ...device, isRead: false };
}
