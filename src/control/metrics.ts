// The metrics of a router: names, labels and what they mean. Names are a promise: they are only added.
//
// A registry is made for each scrape: nothing is kept of a tunnel that is gone, and a scrape that fails on the way
// leaves no half of itself to the next.

import {
  Counter,
  type CounterConfiguration,
  Gauge,
  type GaugeConfiguration,
  Histogram,
  Registry,
  type RegistryContentType,
} from 'prom-client';
import { ABI_VERSION } from '../../asm/layout.js';
import { REASON } from '../packet/reason.js';
import type {
  BatchSizes,
  Drops,
  KernelDrops,
  RouterMetrics,
  TunnelMetrics,
} from '../router/contract.js';
import { packageVersion } from '../sys/version.js';
import { CONTENT_TYPES, type MetricsFormat } from './metrics-format.js';

/** Writes the metrics in one of the two formats. */
export async function formatMetrics(
  metrics: RouterMetrics,
  format: MetricsFormat,
): Promise<string> {
  const families = new Families(format);
  addProcess(families);
  addRouter(families, metrics);
  addIcmp(families, metrics);
  addTunnels(families, metrics);
  return families.text();
}

const VERSION = packageVersion();
/** When this process started, seconds since 1970. */
const PROCESS_START = performance.timeOrigin / 1000;

function addProcess(families: Families): void {
  const { user, system } = process.cpuUsage();
  families
    .counter('process_cpu_seconds_total', 'CPU time of all threads of the process.')
    .inc((user + system) / 1e6);
  families
    .gauge('process_resident_memory_bytes', 'Memory of the process that is in RAM.')
    .set(process.memoryUsage.rss());
  families
    .gauge('process_start_time_seconds', 'When the process started, in seconds since 1970.')
    .set(PROCESS_START);
}

function addRouter(families: Families, metrics: RouterMetrics): void {
  const { codec, underlay, received, drops, kernelDrops, lanesAnswering, lastReload } = metrics;
  families
    .gauge('grebe_build_info', 'This grebe, its codec ABI and the Node it runs on.', [
      ...['version', 'abi', 'node'],
    ])
    .set({ version: VERSION, abi: String(ABI_VERSION), node: process.versions.node }, 1);
  families.gauge('grebe_codec_info', 'The codec build that is live.', ['codec']).set({ codec }, 1);
  families.gauge('grebe_underlay_info', 'The underlay in use.', ['underlay']).set({ underlay }, 1);
  families
    .gauge(
      'grebe_config_last_reload_successful',
      'Whether the config was taken, the last time one was to be.',
    )
    .set(Number(lastReload.isSuccessful));
  families
    .gauge(
      'grebe_config_last_reload_success_timestamp_seconds',
      'When a config was last taken, in seconds since 1970.',
    )
    .set(lastReload.successMs / 1000);

  const laneUp = families.gauge(
    'grebe_lane_up',
    'Whether the lane answers within a second; one that hangs does not.',
    ['lane'],
  );
  lanesAnswering.forEach((isUp, lane) => {
    laneUp.set({ lane: String(lane) }, Number(isUp));
  });
  families
    .counter('grebe_device_receive_packets_total', 'Packets read from the tunnel devices.')
    .inc(received.device);
  families
    .counter('grebe_underlay_receive_packets_total', 'Packets received from the underlay.')
    .inc(received.underlay);
  families.batches(metrics);

  const unclaimed = families.counter(
    'grebe_drops_total',
    'Packets that no tunnel took, by why they were dropped.',
    ['reason'],
  );
  // Zeros too: what appears with its first drop has no rate before the second.
  for (const reason of Object.keys(REASON)) unclaimed.inc({ reason }, 0);
  addDrops(unclaimed, {}, drops);

  const kernel = families.counter(
    'grebe_kernel_drops_total',
    'Packets that the kernel dropped on the way from the underlay, beside all other counters.',
    ['reason'],
  );
  // The sum without a lane that does not answer would look like a restart of all.
  if (lanesAnswering.every((isUp) => isUp)) {
    for (const [name, reason] of KERNEL_REASONS) {
      const count = kernelDrops[name];
      if (count !== undefined) kernel.inc({ reason }, count);
    }
  }
}

const KERNEL_REASONS: readonly (readonly [keyof KernelDrops, string])[] = [
  ['rawSocket', 'raw-socket'],
  ['udpSocket', 'udp-socket'],
  ['xdpRingFull', 'xdp-ring-full'],
  ['xdpNoFrame', 'xdp-no-frame'],
  ['xdpInvalid', 'xdp-invalid'],
];

function addIcmp(families: Families, { icmp, generated }: RouterMetrics): void {
  const counter = (name: string, help: string, count: number): void =>
    families.counter(name, help).inc(count);
  counter(
    'grebe_icmp_errors_total',
    'ICMP errors of the underlay about packets of tunnel protocols. Those that fit no tunnel, or none that is possible, are among the drops.',
    icmp.errors,
  );
  counter(
    'grebe_icmp_errors_suppressed_total',
    'Those of them that had no effect, because there were too many.',
    icmp.errorsLimited,
  );
  counter(
    'grebe_icmp_answers_total',
    'ICMP errors that the senders of inner packets were told.',
    icmp.answers,
  );
  counter(
    'grebe_icmp_answers_suppressed_total',
    'Those that they were not told, because there were too many.',
    icmp.answersLimited,
  );
  counter(
    'grebe_generated_packets_total',
    'Packets of the router itself that went into tunnels: answers, questions.',
    generated,
  );
}

function addTunnels(families: Families, { tunnels }: RouterMetrics): void {
  // One object a tunnel for the labels of all its samples: see Sample.
  const labelled = tunnels.map((tunnel) => ({ tunnel, labels: { tunnel: tunnel.name } }));
  addTraffic(families, labelled);
  addState(families, labelled);
  addLiveness(families, labelled);
  const drops = families.counter(
    'grebe_tunnel_drops_total',
    'Packets of the tunnel that were dropped, by why. A reason appears with its first packet.',
    ['tunnel', 'direction', 'reason'],
  );
  for (const { tunnel, labels } of labelled) {
    addDrops(drops, labels, tunnel.decapDrops, { direction: 'receive' });
    addDrops(drops, labels, tunnel.encapDrops, { direction: 'transmit' });
  }
}

interface Labelled {
  readonly tunnel: TunnelMetrics;
  readonly labels: Record<string, string>;
}

function addTraffic(families: Families, tunnels: readonly Labelled[]): void {
  const traffic = (way: string, what: string): TunnelCounter =>
    families.tunnelCounter(`grebe_tunnel_${way}_total`, what);
  const receivePackets = traffic('receive_packets', 'Packets that came out of the tunnel.');
  const receiveBytes = traffic('receive_bytes', 'Bytes of these packets without outer headers.');
  const transmitPackets = traffic('transmit_packets', 'Packets that were sent into the tunnel.');
  const transmitBytes = traffic('transmit_bytes', 'Bytes of these packets without outer headers.');
  const local = traffic(
    'local_packets',
    'Packets of the peer that ended at the router itself: keepalives, and answers to what it asked.',
  );
  const queueDrops = traffic(
    'queue_drops',
    'Packets that the kernel dropped before they were read from the device of the tunnel.',
  );
  for (const { tunnel, labels } of tunnels) {
    receivePackets.add(labels, tunnel.rx.packets);
    receiveBytes.add(labels, tunnel.rx.bytes);
    transmitPackets.add(labels, tunnel.tx.packets);
    transmitBytes.add(labels, tunnel.tx.bytes);
    local.add(labels, tunnel.localPackets);
    if (tunnel.queueDrops !== undefined) queueDrops.add(labels, tunnel.queueDrops);
  }
}

function addState(families: Families, tunnels: readonly Labelled[]): void {
  const up = families.tunnelGauge('grebe_tunnel_up', 'Whether the tunnel is up.');
  const mtu = families.tunnelGauge('grebe_tunnel_mtu_bytes', 'Largest inner packet.');
  const pathMtu = families.tunnelGauge(
    'grebe_tunnel_path_mtu_bytes',
    'Largest inner packet that the path takes, where that was found to be less: for ten minutes at a time.',
  );
  const lastReceive = families.tunnelGauge(
    'grebe_tunnel_last_receive_timestamp_seconds',
    'When a packet last came out of the tunnel, or ended at the router, in seconds since 1970; 0 for never.',
  );
  const info = families.tunnelGauge('grebe_tunnel_info', 'What the tunnel is; keys that it has.', [
    ...['mode', 'local', 'remote', 'ikey', 'okey'],
  ]);
  for (const { tunnel, labels } of tunnels) {
    const { mode, local, remote, keyIn, keyOut } = tunnel;
    up.add(labels, Number(tunnel.state === 'up'));
    mtu.add(labels, tunnel.mtu);
    if (tunnel.pathMtu !== undefined) pathMtu.add(labels, tunnel.pathMtu);
    lastReceive.add(labels, (tunnel.lastReceivedMs ?? 0) / 1000);
    const what: Record<string, string> = { tunnel: tunnel.name, mode, local, remote };
    if (keyIn !== undefined) what.ikey = String(keyIn);
    if (keyOut !== undefined) what.okey = String(keyOut);
    info.add(what, 1);
  }
}

/** Of tunnels whose peer is asked whether it is there; when it was heard, of those that ask us, too. */
function addLiveness(families: Families, tunnels: readonly Labelled[]): void {
  const up = families.tunnelGauge(
    'grebe_tunnel_liveness_up',
    'Whether the peer answers, by what it is asked by.',
    ['means'],
  );
  const unanswered = families.tunnelGauge(
    'grebe_tunnel_liveness_unanswered_questions',
    'Questions in a row without an answer, the one that is under way among them.',
    ['means'],
  );
  const changes = families.tunnelCounter(
    'grebe_tunnel_liveness_changes_total',
    'How often the peer was found to be down, or up again.',
    ['means'],
  );
  const lastHeard = families.tunnelGauge(
    'grebe_tunnel_last_heard_timestamp_seconds',
    'When a keepalive of the peer or an answer last ended at the router, in seconds since 1970; 0 for never.',
  );
  for (const { tunnel, labels } of tunnels) {
    const { liveness = [], lastHeardMs } = tunnel;
    for (const one of liveness) {
      const means = { ...labels, means: one.means };
      up.add(means, Number(one.state === 'up'));
      unanswered.add(means, one.unanswered);
      changes.add(means, one.changes);
    }
    if (liveness.length > 0 || lastHeardMs !== null)
      lastHeard.add(labels, (lastHeardMs ?? 0) / 1000);
  }
}

function addDrops(
  counter: Counter<string>,
  labels: Readonly<Record<string, string>>,
  drops: Drops,
  more: Readonly<Record<string, string>> = {},
): void {
  for (const [reason, count] of Object.entries(drops)) {
    counter.inc({ ...labels, ...more, reason }, count);
  }
}

/** A registry, and the families in it. */
class Families {
  readonly #registry = new Registry<RegistryContentType>();
  readonly #format: MetricsFormat;

  constructor(format: MetricsFormat) {
    this.#format = format;
    this.#registry.setContentType(CONTENT_TYPES[format]);
  }

  counter(name: string, help: string, labelNames: readonly string[] = []): Counter<string> {
    return this.#add(new Counter({ ...this.#unregistered(name, help), labelNames }));
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Gauge<string> {
    return this.#add(new Gauge({ ...this.#unregistered(name, help), labelNames }));
  }

  /** `labelNames`: those besides `tunnel`. */
  tunnelCounter(name: string, help: string, labelNames: readonly string[] = []): TunnelCounter {
    const own = this.#unregistered(name, help);
    return this.#add(new TunnelCounter({ ...own, labelNames: ['tunnel', ...labelNames] }));
  }

  tunnelGauge(name: string, help: string, labelNames: readonly string[] = []): TunnelGauge {
    const own = this.#unregistered(name, help);
    return this.#add(new TunnelGauge({ ...own, labelNames: ['tunnel', ...labelNames] }));
  }

  batches({ encapBatches, decapBatches }: RouterMetrics): void {
    const sizes = { transmit: encapBatches, receive: decapBatches };
    this.#add(new BatchHistogram(sizes, this.#format));
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #unregistered(
    name: string,
    help: string,
  ): CounterConfiguration<string> & GaugeConfiguration<string> {
    return { name, help, registers: [] };
  }

  #add<M extends Counter<string> | Gauge<string> | Histogram<string>>(metric: M): M {
    this.#registry.registerMetric(metric);
    return metric;
  }
}

/** A sample as the registry takes it. Labels that are shared are written once for all samples with the same object. */
interface Sample {
  readonly value: number;
  readonly labels: Record<string, string>;
  readonly sharedLabels: Record<string, string>;
}

/** A counter with a sample a tunnel, each added once. By the ways of prom-client a page of 1000 tunnels takes 2 ms of 25 more. */
class TunnelCounter extends Counter<string> {
  readonly #samples: Sample[] = [];

  add(sharedLabels: Record<string, string>, value: number): void {
    this.#samples.push({ value, labels: {}, sharedLabels });
  }

  override async get() {
    return { ...(await super.get()), values: this.#samples };
  }
}

class TunnelGauge extends Gauge<string> {
  readonly #samples: Sample[] = [];

  add(sharedLabels: Record<string, string>, value: number): void {
    this.#samples.push({ value, labels: {}, sharedLabels });
  }

  override async get() {
    return { ...(await super.get()), values: this.#samples };
  }
}

type Sizes = Readonly<Record<'receive' | 'transmit', BatchSizes>>;

const BATCHES = 'grebe_batch_packets';
const BATCHES_HELP =
  'Packets that a lane took at a time from devices (transmit) and underlay (receive).';

/** A histogram whose counts were made elsewhere: prom-client has no way to set them. */
class BatchHistogram extends Histogram<string> {
  readonly #sizes: Sizes;
  readonly #format: MetricsFormat;

  constructor(sizes: Sizes, format: MetricsFormat) {
    super({ name: BATCHES, help: BATCHES_HELP, labelNames: ['direction'], registers: [] });
    this.#sizes = sizes;
    this.#format = format;
  }

  /** What prom-client asks a histogram for when it writes text; its types do not have it. */
  async getForPromString() {
    const values = Object.entries(this.#sizes).flatMap(([direction, { packets, counts }]) => {
      let count = 0;
      const buckets = counts.map((batches, size) => {
        count += batches;
        const le = size === counts.length - 1 ? '+Inf' : this.#bound(2 ** size);
        return { metricName: `${BATCHES}_bucket`, labels: { direction, le }, value: count };
      });
      return [
        ...buckets,
        { metricName: `${BATCHES}_sum`, labels: { direction }, value: packets },
        { metricName: `${BATCHES}_count`, labels: { direction }, value: count },
      ];
    });
    return { name: BATCHES, help: BATCHES_HELP, type: 'histogram', values };
  }

  /** OpenMetrics asks for canonical floats here ("Considerations: Canonical Numbers"), Prometheus text has the shortest. */
  #bound(limit: number): string {
    return this.#format === 'openmetrics' ? limit.toFixed(1) : String(limit);
  }
}
