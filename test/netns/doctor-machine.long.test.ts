// Faults of the machine and of the config, each made for real, and what grebe doctor calls them: no router runs.
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import {
  assertFine,
  assertFound,
  assertHealthy,
  doctor,
  type Expected,
  type Finding,
} from '../support/doctor.js';
import { lacking, OUTER, ping, UNDERLAY, type Wire, withWire } from '../support/lab.js';

interface Fault {
  readonly name: string;
  /** Commands of a shell inside A that make the fault, and those that take it away again. */
  readonly make?: readonly string[];
  readonly mend?: readonly string[];
  /** What is done beside. */
  readonly also?: (wire: Wire) => Promise<unknown> | undefined;
  /** Lines of the `[router]` table, and more of the tunnel's. */
  readonly router?: string;
  readonly lines?: readonly string[];
  readonly words?: readonly string[];
  /** What the doctor's process goes through. */
  readonly through?: readonly string[];
  readonly finds: Expected;
  /** What is to be done next mends it, typed as it is. */
  readonly mends?: true;
  /** What it leaves to its reader, and what that puts there. */
  readonly fill?: readonly [from: string, to: string];
}

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const WITH_NET = ['--inh-caps=+net_admin,+net_raw', '--ambient-caps=+net_admin,+net_raw'];
/** A mount namespace of its own, prepared by a line of shell. */
const mounted = (line: string): string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', `${line}; exec "$@"`, 'sh'],
];
const gre1 = { tunnel: 'gre1', severity: 'error' } as const;

const FAULTS: readonly Fault[] = [
  {
    name: 'a capability is missing',
    through: ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-all'],
    finds: {
      ...{ check: 'capability', severity: 'error' },
      ...{ found: /^CAP_NET_RAW is missing$/, next: /setcap cap_net_admin,cap_net_raw/ },
    },
  },
  {
    name: 'the TUN device may not be opened',
    through: [
      ...mounted('mount -t tmpfs none /dev/net; mknod -m 0600 /dev/net/tun c 10 200'),
      ...[...NOBODY, ...WITH_NET],
    ],
    finds: {
      ...{ check: 'tun', severity: 'error' },
      ...{
        found: /\/dev\/net\/tun cannot be opened: EACCES; its mode is 0600/,
        next: /chmod 0666/,
      },
    },
  },
  {
    name: 'there is no TUN device',
    through: mounted('mount -t tmpfs none /dev/net'),
    finds: {
      ...{ check: 'tun', severity: 'error' },
      ...{ found: /there is no \/dev\/net\/tun/, next: /modprobe tun/ },
    },
  },
  {
    name: 'something else has the name of the TUN device',
    through: mounted('mount --bind /dev/null /dev/net/tun'),
    finds: {
      ...{ check: 'tun', severity: 'error' },
      ...{ found: /is not the TUN driver's file/, next: /mknod \/dev\/net\/tun c 10 200/ },
    },
  },
  {
    name: 'the local address is absent',
    make: [
      `ip address del ${OUTER.A}/24 dev ${UNDERLAY}`,
      `ip address add 192.0.2.7/24 dev ${UNDERLAY}`,
    ],
    mend: [`ip address flush dev ${UNDERLAY}`, `ip address add ${OUTER.A}/24 dev ${UNDERLAY}`],
    mends: true,
    finds: {
      ...{ check: 'local', ...gre1, found: /local 192.0.2.1 is no address of this machine/ },
      next: /ip address add 192.0.2.1\/32 dev u0/,
    },
  },
  {
    name: 'the device of the local address is down',
    make: [`ip link set ${UNDERLAY} down`],
    mend: [`ip link set ${UNDERLAY} up`],
    mends: true,
    finds: {
      ...{ check: 'local', ...gre1, found: /192.0.2.1 is on u0, which is down/ },
      next: /ip link set dev u0 up/,
    },
  },
  {
    name: 'there is no route to the remote',
    make: [`ip route del 192.0.2.0/24 dev ${UNDERLAY}`],
    mend: [`ip route add 192.0.2.0/24 dev ${UNDERLAY} src ${OUTER.A}`],
    finds: {
      ...{ check: 'route', ...gre1, found: /no route to the remote 192.0.2.2/ },
      next: /ip route replace 192.0.2.2\/32 via/,
    },
  },
  {
    name: 'the route to the remote leads nowhere',
    make: ['ip route add blackhole 192.0.2.2'],
    mend: ['ip route del 192.0.2.2'],
    finds: {
      ...{ check: 'route', ...gre1, found: /no route to the remote 192.0.2.2/ },
      next: /ip route replace 192.0.2.2\/32 via GATEWAY/,
    },
    fill: ['via GATEWAY', `dev ${UNDERLAY}`],
    mends: true,
  },
  {
    name: 'the route to the remote leads into the tunnel',
    make: [
      'ip tuntap add gre1 mode tun',
      'ip link set gre1 up',
      'ip route add 192.0.2.2/32 dev gre1',
    ],
    mend: ['ip tuntap del gre1 mode tun'],
    finds: {
      ...{ check: 'route', ...gre1, found: /192.0.2.2 leads into the tunnel itself/ },
      next: /ip route replace 192.0.2.2\/32 via/,
    },
  },
  {
    name: 'the name of the device is taken',
    make: ['ip link add gre1 type veth peer name other'],
    mend: ['ip link del gre1'],
    finds: {
      ...{ check: 'device', ...gre1, found: /there is a veth device gre1 already/ },
      next: /ip link del dev gre1/,
    },
  },
  {
    name: 'strict rp_filter is on at a device that has a dot in its name',
    make: [
      'ip link add u0.100 type veth peer name end',
      'ip link set u0.100 up',
      'ip address add 198.51.100.1/32 dev u0.100',
      'echo 1 > /proc/sys/net/ipv4/conf/u0.100/rp_filter',
    ],
    mend: ['ip link del u0.100'],
    lines: ['[tunnel.vlan1]', 'mode = "gre"', 'local = "198.51.100.1"', `remote = "${OUTER.B}"`],
    words: ['vlan1'],
    finds: {
      ...{ check: 'reverse-path', tunnel: 'vlan1', severity: 'warning' },
      found: /strict on u0.100.* leaves by u0/,
      next: /sysctl -w net.ipv4.conf.u0\/100.rp_filter=2/,
    },
    mends: true,
  },
  {
    name: 'strict rp_filter drops what comes by another device than the way back',
    make: [
      'ip link add back type veth peer name end',
      'ip link set back up',
      'ip link set end up',
      'ip route add 192.0.2.2/32 dev back',
      `echo 1 > /proc/sys/net/ipv4/conf/${UNDERLAY}/rp_filter`,
    ],
    also: async ({ rA, rB }) => {
      // The filter takes questions for the hardware address, too, and does not count those.
      const [{ address }] = JSON.parse(ip('-n', rA, '-j', 'link', 'show', 'dev', UNDERLAY));
      const entry = [OUTER.A, 'lladdr', address, 'nud', 'permanent', 'dev', UNDERLAY];
      ip('-n', rB, 'neigh', 'replace', ...entry);
      await ping(rB, '-c2', '-i0.2', '-W1', OUTER.A);
    },
    mend: [`echo 0 > /proc/sys/net/ipv4/conf/${UNDERLAY}/rp_filter`, 'ip link del back'],
    finds: {
      ...{ check: 'reverse-path', ...gre1 },
      found: /strict on u0.* leaves by back: the kernel drops them \([1-9]\d* dropped/,
      next: /sysctl -w net.ipv4.conf.u0.rp_filter=2/,
    },
    mends: true,
  },
  {
    name: 'a rule drops protocol 47 that comes in',
    make: [
      'nft add table inet filter',
      'nft add chain inet filter input "{ type filter hook input priority 0; }"',
      'nft add chain inet filter strangers',
      'nft add rule inet filter input tcp dport 22 accept',
      'nft add rule inet filter input ip saddr 192.0.2.0/25 jump strangers',
      'nft add rule inet filter strangers meta l4proto { esp, gre } counter drop',
    ],
    mend: ['nft delete table inet filter'],
    finds: {
      ...{ check: 'firewall', ...gre1 },
      found: /protocol 47 from 192.0.2.2: rule \d+ of chain inet filter strangers drops it/,
      next: /nft insert rule inet filter input ip saddr 192.0.2.2 meta l4proto 47 accept/,
    },
    mends: true,
  },
  {
    name: 'a policy drops protocol 47 that goes out',
    make: [
      'nft add table ip edge',
      'nft add chain ip edge out "{ type filter hook output priority 0; policy drop; }"',
      'nft add rule ip edge out ip protocol icmp accept',
    ],
    mend: ['nft delete table ip edge'],
    finds: {
      ...{ check: 'firewall', ...gre1, found: /to 192.0.2.2: the policy of chain ip edge out/ },
      next: /nft insert rule ip edge out ip daddr 192.0.2.2 meta l4proto 47 accept/,
    },
    mends: true,
  },
  {
    name: 'a chain of the device itself drops what a set has in it',
    make: [
      'nft add table netdev edge',
      'nft "add set netdev edge bad { type ipv4_addr; flags interval; }"',
      'nft add element netdev edge bad { 192.0.2.0/25 }',
      `nft add chain netdev edge in "{ type filter hook ingress device ${UNDERLAY} priority 0; }"`,
      'nft add rule netdev edge in ip saddr @bad ip protocol gre drop',
    ],
    mend: ['nft delete table netdev edge'],
    finds: {
      ...{ check: 'firewall', ...gre1, found: /from 192.0.2.2: rule \d+ of chain netdev edge in/ },
      next: /nft insert rule netdev edge in ip saddr 192.0.2.2 meta l4proto 47 accept/,
    },
    mends: true,
  },
  {
    name: 'a policy lets in only what connection tracking takes for an answer',
    make: [
      'nft add table ip edge',
      'nft add chain ip edge in "{ type filter hook input priority 0; policy drop; }"',
      'nft add rule ip edge in ct state established,related accept',
    ],
    mend: ['nft delete table ip edge'],
    finds: {
      ...{ check: 'firewall', tunnel: 'gre1', severity: 'note' },
      ...{
        found: /drops it, unless a rule before it takes it for an answer/,
        next: /nft insert rule/,
      },
    },
  },
  {
    name: 'packets of full size vanish on the way',
    also: async ({ rB }) => ip('-n', rB, 'link', 'set', UNDERLAY, 'mtu', '1300'),
    words: ['gre1', '--probe'],
    finds: {
      ...{ check: 'mtu', ...gre1 },
      // The far end of a veth pair takes 4 bytes more, for a VLAN tag.
      found: /up to 130[0-4] bytes to 192.0.2.2 are answered, those of 1500 vanish.*black hole/,
      next: /mtu = 127[2-6]; and let ICMP/,
    },
  },
  {
    name: 'the MTU of the config is more than the way takes',
    lines: ['mtu = 1476'],
    make: [`ip link set ${UNDERLAY} mtu 1400`],
    mend: [`ip link set ${UNDERLAY} mtu 1500`],
    finds: {
      ...{ check: 'mtu', tunnel: 'gre1', severity: 'warning' },
      ...{ found: /1504 bytes outside, and the way to 192.0.2.2 takes 1400/, next: /mtu = 1372/ },
    },
  },
  {
    name: 'AF_XDP lacks a capability',
    router: 'underlay = "xdp"',
    through: ['setpriv', '--bounding-set=-bpf,-sys_admin', '--inh-caps=-all'],
    finds: {
      ...{ check: 'xdp', severity: 'warning' },
      ...{ found: /CAP_BPF .* are needed/, next: /AmbientCapabilities=CAP_BPF/ },
    },
  },
  {
    name: 'AF_XDP may not lock its frames',
    router: 'underlay = "xdp"',
    through: [
      ...['prlimit', '--memlock=65536:65536', 'setpriv'],
      ...['--bounding-set=-ipc_lock,-sys_resource', '--inh-caps=-all'],
    ],
    finds: {
      ...{ check: 'xdp', severity: 'warning' },
      ...{ found: /only 64 KiB of memory may be locked/, next: /LimitMEMLOCK=infinity/ },
    },
  },
  {
    name: 'AF_XDP has no way to the remote',
    router: 'underlay = "xdp"',
    make: [`ip route del 192.0.2.0/24 dev ${UNDERLAY}`],
    mend: [`ip route add 192.0.2.0/24 dev ${UNDERLAY} src ${OUTER.A}`],
    finds: {
      ...{ check: 'xdp', tunnel: 'gre1', severity: 'note' },
      ...{ found: /no frames to 192.0.2.2: there is no route/, next: /ip route get 192.0.2.2/ },
    },
  },
  {
    name: 'two tunnels of the config take the same packets',
    lines: [
      '[tunnel.gre2]',
      'mode = "gre"',
      `local = "${OUTER.A}"`,
      `remote = "${OUTER.B}"`,
      'key = 7',
    ],
    words: [],
    finds: {
      ...{ check: 'config', severity: 'error' },
      ...{ found: /\[E112\] gre2 takes the same packets as gre1/, next: /grebe check/ },
    },
  },
  {
    name: 'hosts behind the machine are not forwarded',
    lines: ['routes = ["10.20.0.0/16"]'],
    finds: {
      ...{ check: 'settings', severity: 'note' },
      ...{ found: /ip_forward is 0/, next: /sysctl -w net.ipv4.ip_forward=1/ },
    },
  },
  {
    name: 'a user without rights cannot read the rules',
    through: NOBODY,
    finds: {
      ...{ check: 'firewall', severity: 'unknown' },
      ...{ found: /the rules cannot be read/, next: /sudo grebe doctor/ },
    },
  },
];

/** The first of the steps, without the rights that the test has. */
function typed({ next }: Finding): string {
  return (next ?? '').split('; ')[0]?.replace(/^sudo /, '') ?? '';
}

function lackingHere(): string | false {
  const programs = lacking('setpriv', 'unshare', 'ping');
  if (programs !== false || !spawnSync('nft', ['--version']).error) return programs;
  return 'needs nft (apt-get install nftables)';
}

test('doctor finds each fault of machine and config, and says what to type', {
  skip: lackingHere(),
}, async (suite) => {
  await withWire('doctor', { ipv6: false }, async (wire) => {
    const { namespaces, rA } = wire;
    const config = join(namespaces.folder, 'a.toml');
    chmodSync(namespaces.folder, 0o755);
    const socket = join(namespaces.folder, 'nobody.sock');
    const examine = ({
      router = '',
      lines = [],
      words = ['gre1'],
      through = [],
    }: Omit<Fault, 'name' | 'finds'>) => {
      const table = [
        '[tunnel.gre1]',
        'mode = "gre"',
        `local = "${OUTER.A}"`,
        `remote = "${OUTER.B}"`,
        'key = 7',
      ];
      writeFileSync(config, ['[router]', router, ...table, ...lines, ''].join('\n'));
      return doctor(rA, [...words, '--config', config, '--socket', socket], through);
    };
    const shell = (lines: readonly string[] = []): void => {
      if (lines.length > 0) namespaces.run(rA, 'sh', ['-ec', lines.join('\n')]);
    };
    await suite.test('a good machine is called one, and nothing was changed', async () => {
      const before = ip('-n', rA, 'address');
      assertHealthy(await examine({ words: ['gre1', '--probe'] }));
      assertHealthy(await examine({ words: [] }));
      shell([`test "$(ip address)" = '${before.trim()}'`]);
    });
    for (const fault of FAULTS) {
      await suite.test(fault.name, async () => {
        shell(fault.make);
        try {
          await fault.also?.(wire);
          const found = assertFound(await examine(fault), fault.finds);
          if (fault.mends) {
            shell([typed(found).replace(...(fault.fill ?? ['', '']))]);
            assertFine(await examine(fault), found.check);
          }
        } finally {
          shell(fault.mend);
        }
      });
    }
  });
});
