import type {
  Router,
  RouterMetrics,
  RouterStatus,
  Trace,
  TraceRequest,
} from '../../src/router/contract.js';
import { EXIT, Failure } from '../../src/sys/failure.js';

/** A router's status with every kind of field in it. */
export const STATUS: RouterStatus = {
  codec: 'simd',
  underlay: 'raw',
  lanes: 1,
  uptimeSeconds: 192,
  received: { device: 3, underlay: 21 },
  generated: 6,
  icmp: { answers: 8, answersLimited: 2, errors: 5, errorsLimited: 1 },
  tunnels: [
    {
      name: 'gre1',
      mode: 'gre',
      local: '192.0.2.1',
      remote: '192.0.2.2',
      state: 'up',
      mtu: 1476,
      pathMtu: 1300,
      rx: { packets: 4, bytes: 336 },
      tx: { packets: 3, bytes: 1_500_000 },
      localPackets: 9,
      drops: { 'gre-checksum': 2, 'inner-ttl': 10 },
      queueDrops: 7,
      lastReceivedMs: 1_700_000_000_000,
      lastHeardMs: 1_699_999_999_000,
    },
    {
      name: 'sit1',
      mode: 'sit',
      local: 'any',
      remote: '192.0.2.3',
      state: 'down',
      downReason: 'probe',
      mtu: 1480,
      rx: { packets: 0, bytes: 0 },
      tx: { packets: 0, bytes: 0 },
      localPackets: 0,
      drops: {},
      lastReceivedMs: null,
      lastHeardMs: null,
      liveness: [
        { means: 'keepalive', state: 'up', unanswered: 1, changes: 2 },
        { means: 'probe', state: 'down', unanswered: 4, changes: 3 },
      ],
    },
  ],
  drops: { 'no-tunnel': 5 },
  kernelDrops: { rawSocket: 12, xdpRingFull: 0 },
};

/** The metrics that go with a status: its drops are all of the way in. */
export function metricsOf(status: RouterStatus): RouterMetrics {
  return {
    ...status,
    tunnels: status.tunnels.map((tunnel) => ({
      ...tunnel,
      decapDrops: tunnel.drops,
      encapDrops: {},
    })),
    encapBatches: { packets: status.received.device, counts: [1, 1, 0, 0, 0, 0, 0, 0] },
    decapBatches: { packets: status.received.underlay, counts: [2, 0, 1, 1, 0, 0, 0, 0] },
    lanesAnswering: Array.from({ length: status.lanes }, () => true),
    lastReload: { isSuccessful: true, successMs: 1_700_000_000_000 },
  };
}

/** The contract's router without a packet path: shows `status`, takes the builds of this version. */
export function createRouter(status: RouterStatus = STATUS): Router {
  let { codec } = status;
  let end: (failure: Failure | null) => void = () => {};
  const finished = new Promise<Failure | null>((resolve) => {
    end = resolve;
  });
  return {
    status: async () => ({ ...status, codec }),
    lanesAnswering: async () => Array.from({ length: status.lanes }, () => true),
    metrics: async () => ({ ...metricsOf(status), codec }),
    async useCodec(name) {
      if (!['simd', 'scalar', 'js'].includes(name)) {
        throw new Failure(EXIT.failed, `codec ${name} is refused: ABI 9`, 'grebe codec list');
      }
      codec = name;
      return name;
    },
    trace() {
      throw new Failure(EXIT.failed, 'nothing passes here', 'grebe run');
    },
    recorded() {
      throw new Failure(EXIT.failed, 'nothing passes here', 'grebe run');
    },
    capture() {
      throw new Failure(EXIT.failed, 'nothing passes here', 'grebe run');
    },
    async stop() {
      end(null);
    },
    finished,
  };
}

/** A router that has a packet at every look, and says whether a trace is open. */
export function tracedRouter(packetsAtOnce = 1) {
  const asked: TraceRequest[] = [];
  let isOpen = false;
  const bytes = new Uint8Array(128).fill(7);
  const packet = {
    ...{ lane: 0, direction: 'decap', record: 0, reason: 'no-tunnel', link: 0, length: 150 },
    ...{ packets: 1, timeMs: 1.5, bytes },
  } as const;
  const trace: Trace = {
    tunnels: [],
    links: new Map([[3, 'eth0']]),
    read: () => ({ packets: Array(packetsAtOnce).fill(packet), missed: 2 }),
    isEnded: () => !isOpen,
    close: () => {
      isOpen = false;
    },
  };
  const open = (wanted: TraceRequest): Trace => {
    asked.push(wanted);
    isOpen = true;
    return trace;
  };
  return { router: { ...createRouter(), trace: open }, asked, isOpen: () => isOpen };
}
