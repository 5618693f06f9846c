// grebe run: the router in the foreground.
//
//   1. config     judged whole; nothing is touched when it is wrong
//   2. control    claims the socket, so that a second router on it ends here; and the port of /metrics
//   3. router     devices, table, lane
//   4. ready      one line in the log, READY=1 to the service manager
//   5. wait       for a signal, or for the router's own end
//   6. stop       devices and socket are gone, exit 0

import type { Logger } from 'pino';
import { listBuilds, loadBuild } from '../../codec/builds.js';
import { verifyBuild } from '../../codec/verify.js';
import type { Config } from '../../config/config.js';
import { countDiagnostics, type Diagnostic, formatDiagnostic } from '../../config/diagnostic.js';
import { DEFAULT_CONFIG_FILE, loadConfig } from '../../config/load.js';
import { resolveNames } from '../../config/names.js';
import { openMetrics } from '../../control/metrics-listener.js';
import { type ControlServer, openControl } from '../../control/server.js';
import { formatPrefix } from '../../packet/address.js';
import type { Router } from '../../router/contract.js';
import type { ReloadHooks } from '../../router/reload.js';
import { resolveTunnels } from '../../router/resolve.js';
import { startRouter } from '../../router/router.js';
import { EXIT, type ExitCode, Failure } from '../../sys/failure.js';
import { favourThreads } from '../../sys/priority.js';
import { requireCapabilities } from '../capability.js';
import type { Call } from '../command.js';
import { DropLog, PERIOD_MS } from '../drop-log.js';
import { logSettings, openLog } from '../log.js';
import { Service } from '../service.js';
import { namedSocket } from '../socket-path.js';

/** A router that does not stop in this time is left behind: the kernel removes the devices of a dead process. */
const STOP_LIMIT_MS = 900;

/**
 * How much nicer than lanes all other threads are: docs/decisions/0029-lanes-go-first.md. A lane that fills a core leaves them
 * a tenth of it.
 */
const CONTROL_NICENESS = 10;

export async function runRun(call: Call): Promise<ExitCode> {
  const { config, warnings } = readConfig(call);
  if (call.options.dryRun === true) return showPlan(config, call);
  const log = openLog(logSettings(config.router.log, call.verbosity));
  const end = watchForEnd(log);
  for (const { code, file, line, column, message } of warnings) {
    log.warn({ event: 'config', code }, `${file}:${line}:${column} ${message}`);
  }
  if (config.router.underlay !== 'memory') requireCapabilities();
  const socket = call.socket === undefined ? config.router.socket : namedSocket(call.socket);
  const listeners = await openListeners(config, socket);
  const hangup = watchForHangup(log);
  let service: Service | undefined;
  const hooks = reloadHooks(log, call, () => service);
  const router = await startRouter(config, log, hooks).catch(async (error: unknown) => {
    await closeAll(listeners);
    throw error;
  });
  service = new Service({ router, log });
  favourLanes(router, log);
  for (const listener of listeners) listener.serve(router);
  await announce(config, socket, log, service);
  hangup.serve(router);
  const watch = watchStatus(router, service, log);
  const cause = await Promise.race([end, router.finished]);
  clearInterval(watch);
  await service.stopping();
  return stop(cause, router, listeners, log);
}

/** Lets packets go before everything else that the router does. */
function favourLanes({ laneThreads = [] }: Router, log: Logger): void {
  if (laneThreads.length === 0 || favourThreads(new Set(laneThreads), CONTROL_NICENESS)) return;
  log.info(
    { event: 'priority' },
    'the kernel lets no thread be nicer: a reload may hold packets up for some milliseconds (setpriority is refused)',
  );
}

/** SIGHUP lets the router reload; one that comes before it is ready, once it is. What comes of it is in the log. */
function watchForHangup(log: Logger): { readonly serve: (router: Router) => void } {
  let reload: (() => void) | undefined;
  let isAsked = false;
  process.on('SIGHUP', () => {
    log.info({ event: 'signal', signal: 'SIGHUP' }, 'SIGHUP: reloading');
    isAsked = true;
    reload?.();
  });
  return {
    serve: ({ reloads }) => {
      reload = () => void reloads?.reload().catch(() => {});
      if (isAsked) reload();
    },
  };
}

/** Lets the service manager and the log follow. */
function reloadHooks(
  log: Logger,
  { verbosity }: Call,
  service: () => Service | undefined,
): ReloadHooks {
  return {
    onBegin: async () => service()?.reloading(),
    onEnd: async ({ router, tunnels }, isSuccessful) => {
      log.level = logSettings(router.log, verbosity).level;
      await service()?.reloaded(`${countTunnels(tunnels.length)} up`, isSuccessful);
    },
  };
}

function countTunnels(count: number): string {
  return `${count} tunnel${count === 1 ? '' : 's'}`;
}

/** Looks at the counters now and then: drops go to the log, how many tunnels are up to the service manager. */
function watchStatus(router: Router, service: Service, log: Logger): NodeJS.Timeout {
  const drops = new DropLog(log, performance.now());
  const look = async (): Promise<void> => {
    const status = await router.status();
    drops.take(status, performance.now());
    await service.show(status);
  };
  const onError = (error: unknown): void => log.warn({ event: 'status' }, String(error));
  return setInterval(() => void look().catch(onError), PERIOD_MS);
}

type Listener = Pick<ControlServer, 'serve' | 'close'>;

/** Opens the control socket and, where the config has one, the listener of /metrics. */
async function openListeners({ router }: Config, socket: string): Promise<readonly Listener[]> {
  const control = await openControl(socket, listBuilds, router.api);
  if (router.metrics === undefined) return [control];
  try {
    return [control, await openMetrics(router.metrics)];
  } catch (error) {
    await control.close();
    throw error;
  }
}

async function closeAll(listeners: readonly Listener[]): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.close()));
}

/** Reads the config. One with errors is shown like in `grebe check`, and ends the command. */
function readConfig({ config: file = DEFAULT_CONFIG_FILE, output }: Call): {
  readonly config: Config;
  readonly warnings: readonly Diagnostic[];
} {
  const { config, diagnostics } = loadConfig(file);
  if (config !== undefined) return { config, warnings: diagnostics };
  const shown = diagnostics.map((one) => formatDiagnostic(one, output.paintMessage));
  output.warn(shown.join('').trimEnd());
  throw new Failure(
    EXIT.config,
    `${file}: ${countDiagnostics(diagnostics)}`,
    'nothing was changed',
  );
}

/** What a start with this config would make, with the MTUs that this machine's routes give. */
async function showPlan(config: Config, { output, json, socket }: Call): Promise<ExitCode> {
  const { codec, socket: configured } = config.router;
  await verifyBuild(loadBuild(codec));
  const found = await resolveNames(config);
  const addressOf = (tunnel: string, name: string): string | undefined => {
    const one = found.find((answered) => answered.tunnel === tunnel && answered.name === name);
    return one !== undefined && 'address' in one.answer ? one.answer.address : undefined;
  };
  const resolved = await resolveTunnels(config.tunnels, addressOf);
  const tunnels = config.tunnels.map(({ name, mode, local, remote, address, routes }, index) => ({
    name,
    mode,
    local,
    remote,
    mtu: resolved[index]?.mtu,
    address: address.map(formatPrefix),
    routes: routes.map(formatPrefix),
  }));
  const path = socket === undefined ? configured : namedSocket(socket);
  if (json) {
    output.print(JSON.stringify({ schema: 'grebe.plan/1', tunnels, socket: path }));
    return EXIT.ok;
  }
  for (const { name, mode, local, remote, mtu, address, routes } of tunnels) {
    output.print(`device ${name}: ${mode}, ${local} -> ${remote}, MTU ${mtu}`);
    for (const prefix of address) output.print(`  address ${prefix}`);
    for (const prefix of routes) output.print(`  route ${prefix}`);
  }
  output.print(`control socket ${path}`);
  return EXIT.ok;
}

/** Resolves at the first reason to stop: null for a signal, the error for one that nobody caught. */
function watchForEnd(log: Logger): Promise<unknown> {
  return new Promise((resolve) => {
    let isAsked = false;
    // npx and the terminal both pass a Ctrl-C on, so one wish comes twice; a later one means it.
    const onEnd = (signal: NodeJS.Signals): void => {
      if (isAsked) return;
      isAsked = true;
      log.info({ event: 'signal', signal }, `${signal}: stopping`);
      setTimeout(() => process.off('SIGTERM', onEnd).off('SIGINT', onEnd), STOP_LIMIT_MS).unref();
      resolve(null);
    };
    process.on('SIGTERM', onEnd).on('SIGINT', onEnd);
    process.once('uncaughtException', resolve);
    process.once('unhandledRejection', resolve);
  });
}

async function announce(
  config: Config,
  socket: string,
  log: Logger,
  service: Service,
): Promise<void> {
  const tunnels = config.tunnels.length;
  const up = `${countTunnels(tunnels)} up`;
  // Whoever waits for this line gets it at every log level.
  const always = log.isLevelEnabled('info') ? log : log.child({}, { level: 'info' });
  always.info(
    // performance.now() counts from the start of the process.
    { event: 'ready', tunnels, socket, startMs: Math.round(performance.now()) },
    `ready: ${up}`,
  );
  await service.ready(up);
}

async function stop(
  cause: unknown,
  router: Router,
  listeners: readonly Listener[],
  log: Logger,
): Promise<ExitCode> {
  const limit = setTimeout(() => {
    log.error({ event: 'stop' }, `not stopped after ${STOP_LIMIT_MS} ms: leaving`);
    process.exit(EXIT.failed);
  }, STOP_LIMIT_MS);
  await Promise.all([router.stop(), closeAll(listeners)]);
  clearTimeout(limit);
  if (cause !== null) throw cause;
  log.info({ event: 'stopped' }, 'stopped');
  return EXIT.ok;
}
