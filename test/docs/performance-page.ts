// docs/performance.md: advice, with the figures of bench/results/latest.json.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { generatedFrom, table } from './markdown.js';

const RESULTS = new URL('../../../bench/results/latest.json', import.meta.url);

const FIGURE = z.union([z.object({ median: z.number() }), z.null()]).optional();
const RUN = z.object({
  machine: z.object({
    cpu: z.string(),
    cores: z.number(),
    kernel: z.string(),
    node: z.string(),
    commit: z.string(),
  }),
  rows: z.array(
    z.object({
      name: z.string(),
      offloads: z.string(),
      tunnels: z.number(),
      figures: z.record(z.string(), z.unknown()),
    }),
  ),
});
type Row = z.infer<typeof RUN>['rows'][number];

/** What to set, and the row of the bench that has it. */
const WAYS: readonly (readonly [setting: string, row: string])[] = [
  ['nothing: `underlay = "raw"`', 'raw-simd'],
  ['`lanes = 2`', 'raw-2-lanes'],
  ['`offload = { gso = true }`', 'raw-gso'],
  ['`underlay = "xdp"`', 'xdp-simd'],
  ['`mode = "gre-udp"`', 'gre-udp'],
  ["for comparison: the kernel's VXLAN", 'vxlan'],
  ['for comparison: a C daemon, a system call a packet', 'c'],
];

const COLUMNS: readonly (readonly [head: string, figure: string, digits: number])[] = [
  ['TCP, 1 flow, Gbit/s', 'tcpGbits', 2],
  ['8 flows', 'tcp8Gbits', 2],
  ['UDP 64 B, k/s', 'udp64Kpps', 0],
  ['UDP 1400 B', 'udp1400Kpps', 0],
  ['round trip p50, ms', 'floodP50Ms', 3],
  ['CPU s/GB', 'machineCpuPerGigabyte', 2],
];

export function performancePage(): string {
  const { machine, rows } = RUN.parse(JSON.parse(readFileSync(RESULTS, 'utf8')));
  const { cpu, cores, kernel, node, commit } = machine;
  const find = (name: string, offloads: string, tunnels = 1): Row | undefined =>
    rows.find((row) => row.name === name && row.offloads === offloads && row.tunnels === tunnels);
  const measured = WAYS.map(([setting, name]) => {
    const off = find(name, 'off');
    return [setting, ...COLUMNS.map(([, figure, digits]) => show(off, figure, digits))];
  });
  const withOffloads = WAYS.map(([setting, name]) => [
    setting,
    show(find(name, 'on'), 'tcpGbits', 2),
    show(find(name, 'on'), 'tcp8Gbits', 2),
  ]);
  const many = [1, 100, 10_000].map((tunnels) => {
    const row = find('raw-simd', 'off', tunnels);
    return [
      tunnels.toLocaleString('en'),
      show(row, 'udp64RouterMicroseconds', 1),
      show(row, 'readyMs', 0),
      show(row, 'rssMegabytes', 0),
      show(row, 'statusMs', 0),
    ];
  });
  return `${INTRODUCTION}
Two routers and both ends on one machine: ${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}, grebe ${commit}; medians. Segmentation and
merging of the cable are off, so that a packet on the wire is a packet:

${table(['setting', ...COLUMNS.map(([head]) => head)], measured)}

With every offload of the cable on, as cards have them:

${table(['setting', 'TCP, 1 flow, Gbit/s', '8 flows'], withOffloads)}

Many tunnels, raw sockets; traffic on one of them:

${table(['tunnels', 'router us a datagram', 'ready, ms', 'memory, MB', '`grebe status`, ms'], many)}
${ADVICE}`;
}

function show(row: Row | undefined, figure: string, digits: number): string {
  const value = FIGURE.parse(row?.figures[figure]);
  return value ? value.median.toFixed(digits) : '–';
}

const INTRODUCTION = `# Performance

${generatedFrom('bench/results/latest.json and test/docs/performance-page.ts')}

Figures are of one machine and one run, and machines differ: take the ratios. All of them, with lowest and highest values, and
what was tried without gain: [bench/README.md](../bench/README.md). On your own machine: \`npm run bench -- --quick\` takes less than
a minute, \`npm run bench\` half an hour.

## What was measured
`;

const ADVICE = `
## What to set

Begin with the defaults. When they are not enough, in this order:

1. **\`offload = { gso = true }\`** when most traffic is TCP. Superpackets of the host leave whole and the kernel splits them behind the router.
   Its price: what leaves this way passes the firewall's OUTPUT by.
2. **\`underlay = "xdp"\`** when it is many small packets, or everything. It passes by the firewall and the IP stack, both ways, and does not run
   where IPsec policies are.
3. **\`lanes = 2\`** or \`"auto"\`, with more cores than traffic of one lane fills. A flow stays in its lane, so one flow
   gains nothing; on two cores that the ends of the traffic need too it loses.

\`\`\`toml
[router]
offload = { gso = true }
\`\`\`

\`\`\`toml
[router]
underlay = "xdp"
lanes = "auto"
\`\`\`

\`mode = "gre-udp"\` is for networks that drop GRE, or spread UDP flows over links by ports.

## What to look at

- \`grebe status -w\` for rates; \`queue-full\` and \`kernelDrops\` say that a lane does not keep up, \`tx-enobufs\` that the card does not.
- \`too-big\` that grows says that senders do not hear of the path's MTU: [troubleshooting](troubleshooting.md#too-big).
- a thousand TCP flows at once share less than one flow alone gets: their packets are too few of each to be merged. Open;
  the figures are in [bench/README.md](../bench/README.md).
- a lane is slower in its first second: its JavaScript is being compiled.
- \`seq\` numbers packets: such a tunnel has one lane.
`;
