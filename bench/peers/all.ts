// The paths of the bench, in the order of its tables.
import { perPacketC } from './command.js';
import type { Path } from './contract.js';
import { fastd } from './fastd.js';
import { grebePath } from './grebe.js';
import { kernelVxlan, plainVeth } from './kernel.js';
import { openVswitch } from './open-vswitch.js';
import { wireguardGo } from './wireguard.js';

export function builtinPaths(): Path[] {
  return [
    plainVeth(),
    kernelVxlan(),
    perPacketC(),
    openVswitch(),
    fastd(),
    wireguardGo(),
    grebePath('raw-simd', { underlay: 'raw', codec: 'simd' }),
    grebePath('raw-unrecorded', { underlay: 'raw', codec: 'simd', recorder: false }),
    grebePath('raw-gso', { underlay: 'raw', codec: 'simd', gso: true }),
    grebePath('raw-scalar', { underlay: 'raw', codec: 'scalar' }),
    grebePath('raw-2-lanes', { underlay: 'raw', codec: 'simd', lanes: 2 }),
    grebePath('xdp-simd', { underlay: 'xdp', codec: 'simd' }),
    grebePath('xdp-unrecorded', { underlay: 'xdp', codec: 'simd', recorder: false }),
    grebePath('xdp-2-lanes', { underlay: 'xdp', codec: 'simd', lanes: 2 }),
    grebePath('gre-udp', { mode: 'gre-udp', codec: 'simd' }),
    grebePath('gre-udp-gso', { mode: 'gre-udp', codec: 'simd', gso: true }),
    grebePath('raw-socket', { underlay: 'raw-socket', codec: 'simd' }),
  ];
}
