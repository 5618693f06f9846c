// All checks, in the order in which one depends on another.
import type { Check } from './check.js';
import { capability } from './checks/capability.js';
import { config } from './checks/config.js';
import { device } from './checks/device.js';
import { drops } from './checks/drops.js';
import { duplicate } from './checks/duplicate.js';
import { firewall } from './checks/firewall.js';
import { keepalive } from './checks/keepalive.js';
import { kernelTunnel } from './checks/kernel-tunnel.js';
import { key } from './checks/key.js';
import { local } from './checks/local.js';
import { mtu } from './checks/mtu.js';
import { peer } from './checks/peer.js';
import { reversePath } from './checks/reverse-path.js';
import { route } from './checks/route.js';
import { settings } from './checks/settings.js';
import { tun } from './checks/tun.js';
import { xdp } from './checks/xdp.js';

export const CHECKS = {
  config,
  capability,
  tun,
  local,
  device,
  duplicate,
  'kernel-tunnel': kernelTunnel,
  route,
  'reverse-path': reversePath,
  firewall,
  key,
  drops,
  peer,
  keepalive,
  mtu,
  xdp,
  settings,
} as const satisfies Readonly<Record<string, Check>>;

export type CheckName = keyof typeof CHECKS;

/** In the order of the table. */
export const CHECK_NAMES: readonly CheckName[] = Object.keys(CHECKS).filter(isCheckName);

function isCheckName(name: string): name is CheckName {
  return name in CHECKS;
}
