// The same lane on an event loop, for underlays and devices that call back instead of having a
// descriptor: memory and raw-socket. Devices with a descriptor are waited for on a thread of the pool.
import { decapBatch } from './decap.js';
import { BATCH, encapBatch } from './encap.js';
import type { Lane } from './lane.js';

export interface EventedLane {
  /** Ends the lane once the wait for its devices has returned. */
  stop(): Promise<void>;
}

/** How long one wait for devices lasts: the longest that a stop is delayed. */
const WAIT_MS = 100;

/** Runs a lane on the current thread's event loop. */
export function runEvented(lane: Lane): EventedLane {
  let running = true;
  let decapScheduled = false;

  const decapTurn = (): void => {
    decapScheduled = false;
    if (running && decapBatch(lane) === BATCH) scheduleDecap();
  };
  const scheduleDecap = (): void => {
    if (decapScheduled) return;
    decapScheduled = true;
    setImmediate(decapTurn);
  };
  lane.underlay.onReadable = scheduleDecap;

  lane.devices.forEach((device, record) => {
    if (device === undefined || device.fd >= 0) return;
    let scheduled = false;
    const turn = (): void => {
      scheduled = false;
      if (running && encapBatch(lane, record) === BATCH) schedule();
    };
    const schedule = (): void => {
      if (scheduled) return;
      scheduled = true;
      setImmediate(turn);
    };
    device.onReadable = schedule;
  });

  const waiting = lane.devices.some((device) => device !== undefined && device.fd >= 0)
    ? waitForDevices(lane, () => running)
    : Promise.resolve();

  return {
    async stop() {
      running = false;
      lane.underlay.onReadable = undefined;
      for (const device of lane.devices) if (device) device.onReadable = undefined;
      await waiting;
    },
  };
}

/** Moves a batch for every device that has packets, until `isRunning` says no. */
async function waitForDevices(lane: Lane, isRunning: () => boolean): Promise<void> {
  const { EventQueue } = await import('./loop.js');
  const queue = new EventQueue();
  lane.devices.forEach((device, record) => {
    if (device && device.fd >= 0) queue.add(device.fd, record);
  });
  try {
    while (isRunning()) {
      const count = await queue.waitAsync(WAIT_MS);
      for (let index = 0; index < count && isRunning(); index++) {
        const record = queue.token(index);
        if (queue.isBroken(index)) {
          const device = lane.devices[record];
          if (device) queue.remove(device.fd);
          lane.devices[record] = undefined;
        } else {
          encapBatch(lane, record);
        }
      }
    }
  } finally {
    queue.close();
  }
}
