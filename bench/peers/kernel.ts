// What the kernel carries by itself: the bare cable, and its VXLAN tunnel over it.
import { CABLE, ipOf } from '../path/lab.js';
import type { Path } from './contract.js';
import { endsOf, setUpDevice } from './ends.js';

/** Outer IPv4 20, UDP 8, VXLAN 8 and inner Ethernet 14. */
const VXLAN_MTU = 1450;
const VXLAN_DEVICE = 'vxlan7';

/** No tunnel: the most that the machine can do. */
export function plainVeth(): Path {
  return {
    name: 'veth',
    missing: () => undefined,
    open: async ({ left, right }) => ({ left: left.address, right: right.address, routers: [] }),
  };
}

/** The tunnel that most kernels have. GRE of the kernel is missing from too many to compare with. */
export function kernelVxlan(): Path {
  return {
    name: 'vxlan',
    missing: () => undefined,
    open: async (lab) => {
      const ends = endsOf(lab);
      for (const end of ends) {
        const tunnel = ['id', '7', 'local', end.side.address, 'remote', end.remote];
        const underlay = ['dstport', '4789', 'dev', CABLE];
        ipOf(end.side, 'link', 'add', VXLAN_DEVICE, 'type', 'vxlan', ...tunnel, ...underlay);
        setUpDevice(end, VXLAN_DEVICE, VXLAN_MTU);
      }
      return { left: ends[0].inner, right: ends[1].inner, routers: [] };
    },
  };
}
