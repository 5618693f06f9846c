// Level A: two routers and a host behind each, in four network namespaces, with the kernel's own devices.
//
//   hA -- rA ==== tunnels over 192.0.2.0/24 ==== rB -- hB
//
//   1. build     namespaces, cables, addresses, routes of the hosts
//   2. start     grebe run in rA and rB, one tunnel of each mode
//   3. try       per mode: pings and a bulk transfer from hA to hB, while rA's underlay is captured
//   4. read      drops, from both routers' status
import { Failure } from '../sys/failure.js';
import { pingFrom, sendFrom, startCapture, startReceiver } from './host-process.js';
import { ip, Namespaces } from './namespaces.js';
import {
  CAPTURE_COUNT,
  type DropTable,
  ECHO_SIZE,
  LARGE_ECHO_COUNT,
  LabFailure,
  type LevelOptions,
  type LevelResult,
  type ModeResult,
  newDrops,
  type OuterPacket,
  type PingResult,
  type ShownMode,
  sumDrops,
} from './result.js';
import { readStatus, startRouter } from './router-process.js';

const BULK_PORT = 5001;
const UNDERLAY = 'u0';
const ETHERNET_HEADER = 14;
const DISCOVERY_MS = 100;
/** More than two packets hold: the hosts' kernels fragment it. */
const LARGE_ECHO_SIZE = 3000;
/** IP protocol numbers of the outer packets. */
const PROTOCOLS: Readonly<Record<ShownMode, number>> = { gre: 47, ipip: 4, sit: 41 };

/** A mode's networks: behind A, behind B, and between the tunnel devices. */
interface Plan {
  readonly mode: ShownMode;
  readonly prefix: (side: 'A' | 'B') => string;
  readonly bits: number;
  readonly tunnel: (side: 'A' | 'B') => string;
}

const PLANS: readonly Plan[] = [
  plan4('gre', 1),
  plan4('ipip', 2),
  {
    mode: 'sit',
    prefix: (side) => `fd00:${side === 'A' ? 1 : 2}::`,
    bits: 64,
    tunnel: (side) => `fd00:9::${side === 'A' ? 1 : 2}/64`,
  },
];

function plan4(mode: ShownMode, net: number): Plan {
  return {
    mode,
    prefix: (side) => `10.${side === 'A' ? 1 : 2}.${net}.`,
    bits: 24,
    tunnel: (side) => `10.9.${net}.${side === 'A' ? 1 : 2}/30`,
  };
}

/** Runs level A. Throws a LabFailure when the machine does not let it. */
export async function runKernelLevel(options: LevelOptions): Promise<LevelResult> {
  const namespaces = new Namespaces('demo');
  try {
    const lab = tryBuildLab(namespaces);
    options.onReady();
    const routerA = await startRouter(namespaces, lab.rA, tunnelTables('A'));
    const routerB = await startRouter(namespaces, lab.rB, tunnelTables('B'));
    await startReceivers(namespaces, lab.hB);
    const packets: OuterPacket[] = [];
    const modes: ModeResult[] = [];
    let before: DropTable = {};
    for (const plan of PLANS) {
      const tried = await tryMode(namespaces, lab, plan, options, packets);
      const now = sumDrops(await Promise.all([routerA, routerB].map(readStatus)));
      const result = { ...tried, drops: newDrops(before, now) };
      before = now;
      modes.push(result);
      options.onMode(result);
    }
    const { codec, underlay } = await readStatus(routerA);
    await Promise.all([routerA, routerB].map(({ child }) => namespaces.stop(child)));
    return { codec, underlay, modes, packets };
  } finally {
    await namespaces.close();
  }
}

interface LabNames {
  readonly hA: string;
  readonly rA: string;
  readonly rB: string;
  readonly hB: string;
}

function tryBuildLab(namespaces: Namespaces): LabNames {
  try {
    return buildLab(namespaces);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new LabFailure(error.exitCode, error.message, 'see level B: grebe demo --level b');
  }
}

function buildLab(namespaces: Namespaces): LabNames {
  const hA = namespaces.add('hA');
  const rA = namespaces.add('rA', { forward: true });
  const rB = namespaces.add('rB', { forward: true });
  const hB = namespaces.add('hB');
  const end = (namespace: string, device: string, addresses: readonly string[]) => ({
    namespace,
    device,
    addresses,
  });
  namespaces.link(end(rA, UNDERLAY, ['192.0.2.1/24']), end(rB, UNDERLAY, ['192.0.2.2/24']));
  const addresses = (side: 'A' | 'B', host: number): string[] =>
    PLANS.map(({ prefix, bits }) => `${prefix(side)}${host}/${bits}`);
  namespaces.link(end(hA, 'eth0', addresses('A', 2)), end(rA, 'lan0', addresses('A', 1)));
  namespaces.link(end(hB, 'eth0', addresses('B', 2)), end(rB, 'lan0', addresses('B', 1)));
  // The hosts know their router and nothing of tunnels.
  for (const { prefix, bits } of PLANS) {
    const network = (side: 'A' | 'B'): string => `${prefix(side)}${bits === 64 ? '' : 0}/${bits}`;
    ip('-n', hA, 'route', 'add', network('B'), 'via', `${prefix('A')}1`);
    ip('-n', hB, 'route', 'add', network('A'), 'via', `${prefix('B')}1`);
  }
  return { hA, rA, rB, hB };
}

/** One tunnel of each mode, as TOML. */
function tunnelTables(side: 'A' | 'B'): string {
  const other = side === 'A' ? 'B' : 'A';
  const outer = { A: '192.0.2.1', B: '192.0.2.2' };
  return PLANS.map(({ mode, prefix, bits, tunnel }) =>
    [
      `[tunnel.${mode}1]`,
      `mode = "${mode}"`,
      `local = "${outer[side]}"`,
      `remote = "${outer[other]}"`,
      `address = ["${tunnel(side)}"]`,
      `routes = ["${prefix(other)}${bits === 64 ? '' : 0}/${bits}"]`,
    ].join('\n'),
  ).join('\n\n');
}

async function startReceivers(namespaces: Namespaces, namespace: string): Promise<void> {
  const started = PLANS.map(({ prefix }) =>
    startReceiver(namespaces, namespace, `${prefix('B')}2`, BULK_PORT),
  );
  await Promise.all(started);
}

async function tryMode(
  namespaces: Namespaces,
  lab: LabNames,
  plan: Plan,
  options: LevelOptions,
  packets: OuterPacket[],
): Promise<Omit<ModeResult, 'drops'>> {
  const target = `${plan.prefix('B')}2`;
  const protocol = PROTOCOLS[plan.mode];
  const capture = await startCapture(namespaces, lab.rA, UNDERLAY, protocol, CAPTURE_COUNT);
  const ping = async (count: number, size: number): Promise<PingResult> => ({
    size,
    ...(await pingFrom(namespaces, lab.hA, target, count, size)),
  });
  // The first ones let neighbours and path MTU be found: IPv6 loses a large packet each way for that.
  await pingFrom(namespaces, lab.hA, target, 1, ECHO_SIZE);
  await pingFrom(namespaces, lab.hA, target, 2, LARGE_ECHO_SIZE, DISCOVERY_MS);
  const pings = [
    await ping(options.echoCount, ECHO_SIZE),
    await ping(LARGE_ECHO_COUNT, LARGE_ECHO_SIZE),
  ];
  const bulk = await sendFrom(namespaces, lab.hA, target, BULK_PORT, options.bulkSeconds);
  await capture.stop();
  for (const { timeMs, bytes, length } of capture.frames) {
    const packet = bytes.subarray(ETHERNET_HEADER);
    packets.push({ timeMs, bytes: packet, length: length - ETHERNET_HEADER });
  }
  return { mode: plan.mode, pings, bulk };
}
