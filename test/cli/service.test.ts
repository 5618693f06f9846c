import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Service, statusText } from '../../src/cli/service.js';
import { stateFolder } from '../../src/sys/state-folder.js';
import { STATUS } from '../control/router.js';

const quiet = pino({ enabled: false });

/** What the manager is told within `limitMs` by a service with this environment, and by `use` of it. */
async function told(
  environment: NodeJS.ProcessEnv,
  use: (service: Service) => Promise<void>,
  lanes = [true],
): Promise<string[]> {
  const states: string[] = [];
  const tell = async (state: string): Promise<void> => void states.push(state);
  const router = { lanesAnswering: async () => lanes };
  const service = new Service({ router, log: quiet, environment, tell });
  await use(service);
  await service.stopping();
  return states;
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

test('the watchdog is fed twice in its interval, until the service stops', async () => {
  const states = await told({ WATCHDOG_USEC: '100000' }, async (service) => {
    await service.ready('1 tunnel up');
    await wait(280);
  });
  assert.equal(states[0], 'READY=1\nSTATUS=1 tunnel up');
  assert.equal(states.at(-1), 'STOPPING=1');
  const beats = states.filter((state) => state === 'WATCHDOG=1').length;
  assert.ok(beats >= 2 && beats <= 5, `${beats} in 280 ms`);
  await wait(150);
  assert.equal(states.at(-1), 'STOPPING=1');
});

test('a watchdog that is of another process, or none, is not fed', async () => {
  const environments = [
    { WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' },
    { WATCHDOG_USEC: '0' },
    { WATCHDOG_USEC: 'soon' },
    {},
  ];
  for (const environment of environments) {
    const states = await told(environment, async (service) => {
      await service.ready('up');
      await wait(60);
    });
    assert.deepEqual(states, ['READY=1\nSTATUS=up', 'STOPPING=1']);
  }
});

test('one lane of several that does not answer is enough to starve it', async () => {
  const use = async (service: Service): Promise<void> => {
    await service.ready('up');
    await wait(60);
  };
  const states = await told({ WATCHDOG_USEC: '20000' }, use, [true, false]);
  assert.deepEqual(states, ['READY=1\nSTATUS=up', 'STOPPING=1']);
});

test('a lane that was late once is asked again soon enough', async () => {
  const states: string[] = [];
  let asked = 0;
  const router = { lanesAnswering: async () => [++asked > 1] };
  const tell = async (state: string): Promise<void> => void states.push(state);
  const environment = { WATCHDOG_USEC: '2400000' };
  const service = new Service({ router, log: quiet, environment, tell });
  await service.ready('up');
  await wait(2350);
  assert.deepEqual(states, ['READY=1\nSTATUS=up', 'WATCHDOG=1']);
  await service.stopping();
});

test('the text of the status is told when it changes', async () => {
  const states = await told({}, async (service) => {
    await service.ready(statusText(STATUS));
    await service.show(STATUS);
    await service.show({ ...STATUS, tunnels: STATUS.tunnels.slice(0, 1) });
  });
  assert.deepEqual(states, ['READY=1\nSTATUS=1/2 tunnels up', 'STATUS=1 tunnel up', 'STOPPING=1']);
});

test('a manager that is away is said once, and nothing else happens', async () => {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const tell = () => Promise.reject(new Error('cannot notify'));
  const service = new Service({ router: { lanesAnswering: async () => [true] }, log, tell });
  await service.ready('up');
  await service.stopping();
  assert.equal(lines.length, 1);
});

test('the folder for state is the first of those that the manager names', () => {
  assert.equal(stateFolder({}), undefined);
  assert.equal(stateFolder({ STATE_DIRECTORY: '' }), undefined);
  assert.equal(stateFolder({ STATE_DIRECTORY: '/var/lib/grebe:/var/lib/other' }), '/var/lib/grebe');
});
