// Faults around a running router, each made for real, and what grebe doctor calls them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchStatus } from '../../src/control/client.js';
import { ip } from '../../src/demo/namespaces.js';
import { readStatus } from '../../src/demo/router-process.js';
import {
  assertFine,
  assertFound,
  assertHealthy,
  doctor,
  type Expected,
} from '../support/doctor.js';
import {
  eventually,
  GREBE,
  type Lab,
  lacking,
  OUTER,
  ping,
  type Side,
  tunnelStatus,
  tunnelTable,
  UNDERLAY,
  withLab,
  XDP,
} from '../support/lab.js';
import { withLoneRouter } from '../support/lone-router.js';

const KEEPALIVE = 'keepalive = { interval = "200ms", count = 2 }';
const PATIENCE_MS = 10_000;

function tunnels(side: Side): string {
  const [net, other] = side === 'A' ? [1, 2] : [2, 1];
  const inner = [`address = ["10.9.0.${net}/24"]`, `routes = ["10.3${other}.0.0/16"]`];
  return tunnelTable('gre1', side, 'mode = "gre"', 'key = 7', ...inner, KEEPALIVE);
}

interface Fault {
  readonly name: string;
  /** Commands of a shell inside A, or B, that make the fault, and those that take it away again. */
  readonly in?: 'rA' | 'rB';
  readonly make?: readonly string[];
  readonly mend?: readonly string[];
  /** What is waited for before the doctor is called: gre1 is down. */
  readonly downs?: true;
  readonly also?: (lab: Lab) => Promise<unknown>;
  readonly words?: readonly string[];
  readonly finds: Expected;
  /** What is to be done next mends it, typed as it is. */
  readonly mends?: true;
}

const gre1 = { tunnel: 'gre1', severity: 'error' } as const;
const BLOCK = [
  'nft add table ip edge',
  'nft add chain ip edge in "{ type filter hook input priority 0; }"',
  'nft add rule ip edge in ip protocol gre drop',
];

const FAULTS: readonly Fault[] = [
  {
    name: 'protocol 47 is blocked at the peer',
    ...{ in: 'rB', make: BLOCK, mend: ['nft delete table ip edge'], downs: true },
    words: ['gre1', '--probe'],
    finds: {
      ...{ check: 'peer', ...gre1 },
      found:
        /does not answer its keepalives: last heard .* answers ICMP echo, so protocol 47 is blocked/,
      next: /tcpdump -ni any 'proto 47 and host 192.0.2.1'/,
    },
  },
  {
    name: 'the peer is gone',
    ...{ in: 'rB', make: [`ip link set ${UNDERLAY} down`], mend: [`ip link set ${UNDERLAY} up`] },
    downs: true,
    words: ['gre1', '--probe'],
    finds: {
      ...{ check: 'peer', ...gre1, found: /does not answer ICMP echo either/ },
      next: /ping 192.0.2.2/,
    },
  },
  {
    name: 'the device was removed',
    make: ['ip link del gre1'],
    finds: {
      ...{ check: 'device', ...gre1, found: /gre1 is gone: something removed it/ },
      next: /^grebe reload --config \S+\.toml$/,
    },
    mends: true,
  },
  {
    name: 'the device was set down',
    ...{
      make: ['ip link set gre1 down'],
      mend: ['ip link set gre1 up', 'ip route add 10.32.0.0/16 dev gre1'],
    },
    finds: {
      ...{ check: 'device', ...gre1, found: /gre1 is set down/ },
      next: /ip link set dev gre1 up/,
    },
  },
  {
    name: 'a route into the tunnel is gone',
    make: ['ip route del 10.32.0.0/16 dev gre1'],
    mend: ['ip route replace 10.32.0.0/16 dev gre1'],
    finds: {
      ...{ check: 'route', ...gre1, found: /no route leads 10.32.0.0\/16 into gre1/ },
      next: /ip route add 10.32.0.0\/16 dev gre1/,
    },
    mends: true,
  },
  {
    name: 'the tunnel device filters strictly what has no route to it',
    make: ['ip route del 10.32.0.0/16 dev gre1', 'echo 1 > /proc/sys/net/ipv4/conf/gre1/rp_filter'],
    mend: ['echo 0 > /proc/sys/net/ipv4/conf/gre1/rp_filter', 'ip route add 10.32.0.0/16 dev gre1'],
    finds: {
      ...{ check: 'reverse-path', tunnel: 'gre1', severity: 'warning' },
      found: /strict on gre1, and 10.32.0.0\/16 is in allow but not routed/,
      next: /sysctl -w net.ipv4.conf.gre1.rp_filter=2/,
    },
  },
];

/** A tunnel that has the peer of gre1 as one of its own. */
function amongSeveral(name: string): string {
  const table = tunnelTable(name, 'A', 'mode = "gre"', 'key = 7');
  const peers = ['192.0.2.9', OUTER.B].map((remote, n) => {
    return `{ remote = "${remote}", routes = ["10.4${n}.0.0/16"] }`;
  });
  const several = table.replace(`remote = "${OUTER.B}"`, 'remote = "any"');
  return `${several}peers = [${peers.join(', ')}]\n`;
}

function lackingHere(): string | false {
  const programs = lacking('setpriv', 'ping');
  if (programs !== false || !spawnSync('nft', ['--version']).error) return programs;
  return 'needs nft (apt-get install nftables)';
}

/** Waits until the peer of gre1 has answered, and is up. */
async function isHeard(lab: Lab): Promise<void> {
  const is = async () => (await tunnelStatus(lab.a, 'gre1')).lastReceivedMs !== null;
  assert.ok(await eventually(is, PATIENCE_MS), 'gre1 hears nothing');
  await becomes(lab, 'up');
}

async function becomes(lab: Lab, state: 'up' | 'down'): Promise<void> {
  const is = async () => (await tunnelStatus(lab.a, 'gre1')).state === state;
  assert.ok(await eventually(is, PATIENCE_MS), `gre1 does not go ${state}`);
}

test('doctor finds each fault around a running router, and says what to type', {
  skip: lackingHere(),
}, async (suite) => {
  await withLab('doctors', { ipv6: false, tunnels }, async (lab) => {
    const { a, rA, rB } = lab;
    const examine = (words: readonly string[], through: readonly string[] = [], namespace = rA) =>
      doctor(namespace, [...words, '--config', a.config], through);
    await suite.test('a good tunnel is called one', async () => {
      await isHeard(lab);
      assertHealthy(await examine(['gre1', '--probe']));
    });
    await suite.test('a few drops are nothing to repair', async () => {
      lab.namespaces.run(rB, 'ip', ['address', 'replace', '10.77.0.1/32', 'dev', 'lo']);
      const before = (await tunnelStatus(a, 'gre1')).drops['inner-src-spoof'] ?? 0;
      assert.equal(before, 0);
      await ping(rB, '-c3', '-W1', '-i0.01', '-I', '10.77.0.1', '10.9.0.1');
      assert.equal((await tunnelStatus(a, 'gre1')).drops['inner-src-spoof'], 3);
      assertFine(await examine(['gre1']), 'drops');
    });
    for (const fault of FAULTS) await suite.test(fault.name, () => tryFault(lab, fault));
    await suite.test('what the peer sends is dropped, until it is not', async () => {
      const [flood, limit] = ['-i0.05', '-c60'];
      const dropped = ping(rB, limit, '-W1', flood, '-I', '10.77.0.1', '10.9.0.1');
      const isMuch = async () =>
        ((await tunnelStatus(a, 'gre1')).drops['inner-src-spoof'] ?? 0) >= 20;
      assert.ok(await eventually(isMuch, PATIENCE_MS));
      const finding = {
        check: 'drops',
        tunnel: 'gre1',
        next: /grebe trace gre1 --drops -n 3 --config/,
      };
      assertFound(await examine(['gre1']), {
        ...{ ...finding, severity: 'warning', found: /: \d+ inner-src-spoof$/ },
      });
      await dropped;
      assertFound(await examine(['gre1']), {
        ...{ ...finding, severity: 'note', found: /63 inner-src-spoof; none within 1500 ms/ },
      });
    });
    for (const [what, table] of [
      ['the same tunnel', tunnelTable('copy1', 'A', 'mode = "gre"', 'key = 7')],
      ['its peer among several', amongSeveral('copy1')],
    ] as const) {
      await suite.test(`a second router has ${what}`, async () => {
        const config = join(lab.namespaces.folder, 'copy.toml');
        writeFileSync(config, table);
        const socket = join(lab.namespaces.folder, 'copy.sock');
        const words = [GREBE, 'run', '--config', config, '--socket', socket];
        const child = lab.namespaces.start(rA, process.execPath, words);
        try {
          const runs = () =>
            fetchStatus(socket).then(
              () => true,
              () => false,
            );
          assert.ok(await eventually(runs, PATIENCE_MS));
          assertFound(await examine(['gre1']), {
            ...{ check: 'duplicate', ...gre1 },
            found: new RegExp(`router of process ${child.pid} has the same tunnel, as copy1`),
            next: /kill \d+/,
          });
        } finally {
          await lab.namespaces.stop(child);
        }
      });
    }
    await suite.test('the doctor looks in another network namespace', async () => {
      ip('-n', rB, 'link', 'del', 'gre1');
      assertFound(await examine([], [], rB), {
        ...{ check: 'device', severity: 'error', found: /runs in another network namespace/ },
        next: /ip netns exec/,
      });
    });
    await suite.test('a user without rights is told what could not be looked at', async () => {
      chmodSync(lab.namespaces.folder, 0o755);
      const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
      const { findings } = await examine(['gre1'], nobody);
      const unknown = findings.filter(({ severity }) => severity === 'unknown');
      const checks = unknown.map(({ check }) => check);
      assert.deepEqual([...new Set(checks)].sort(), [
        'config',
        'duplicate',
        'firewall',
        'key',
        'tun',
      ]);
      assert.deepEqual(
        findings.filter(({ severity }) => severity === 'error'),
        [],
      );
    });
  });
});

test('doctor finds the tunnel of which the peer has another key, though another one is near, too', {
  skip: lacking('ping'),
}, async () => {
  const two = (side: Side): string => {
    const keys = [
      `key = ${side === 'A' ? 10 : 20}`,
      `address = ["10.8.0.${side === 'A' ? 1 : 2}/24"]`,
    ];
    return tunnels(side) + tunnelTable('gre2', side, 'mode = "gre"', ...keys, KEEPALIVE);
  };
  await withLab('doctorkey', { ipv6: false, tunnels: two }, async (lab) => {
    const isCounted = async () => ((await readStatus(lab.a)).drops['no-tunnel'] ?? 0) > 0;
    assert.ok(await eventually(isCounted, PATIENCE_MS));
    await isHeard(lab);
    assertHealthy(await doctor(lab.rA, ['gre1', '--config', lab.a.config]));
    assertFound(await doctor(lab.rA, ['--config', lab.a.config]), {
      ...{ check: 'key', severity: 'error', tunnel: 'gre2' },
      found: /gre2 would take but for key 20 instead of 10/,
      next: /in \[tunnel.gre2\]: key = .*; or at the peer: key 10/,
    });
  });
});

/** Longer than a peer may be quiet before the doctor asks whether it is spoken to. */
const QUIET_MS = 11_000;

test('doctor finds a peer that has become silent, without keepalives, also one of several', {
  skip: lacking('ping'),
}, async () => {
  const plain = (side: Side): string => {
    const own = side === 'A' ? 1 : 2;
    const table = tunnelTable('gre1', side, 'mode = "gre"', `address = ["10.9.0.${own}/24"]`);
    const lines = ['mode = "gre"', 'key = 9', `address = ["10.8.0.${own}/24"]`];
    const hub = tunnelTable('hub1', side, ...lines);
    if (side === 'B') return table + hub;
    const peers = `peers = [{ remote = "${OUTER.B}", routes = ["10.8.0.2/32"] }]\n`;
    return table + hub.replace(`remote = "${OUTER.B}"`, 'remote = "any"') + peers;
  };
  await withLab('doctorquiet', { ipv6: false, tunnels: plain }, async (lab) => {
    const { a, rA, rB } = lab;
    const inner = ['10.9.0.2', '10.8.0.2'];
    for (const address of inner) await ping(rA, '-c2', '-i0.1', '-W1', address);
    for (const name of ['gre1', 'hub1']) {
      lab.namespaces.run(rB, 'ip', ['link', 'set', name, 'down']);
    }
    await sleep(QUIET_MS);
    const examine = () => doctor(rA, ['--config', a.config]);
    assertHealthy(await examine());
    const asking = inner.map((address) => ping(rA, '-c60', '-i0.1', '-W1', address));
    const found = await examine();
    for (const [tunnel, whom] of [
      ['gre1', ''],
      ['hub1', ` to ${OUTER.B}`],
    ] as const) {
      assertFound(found, {
        ...{ check: 'peer', tunnel, severity: 'warning' },
        found: new RegExp(`packets are sent${whom}, and nothing comes: last heard 1\\d s ago`),
        next: /tcpdump -ni any 'proto 47/,
      });
    }
    await Promise.all(asking);
  });
});

async function tryFault(lab: Lab, fault: Fault): Promise<void> {
  const namespace = fault.in === 'rB' ? lab.rB : lab.rA;
  const shell = (lines: readonly string[] = []): void => {
    if (lines.length > 0) lab.namespaces.run(namespace, 'sh', ['-ec', lines.join('\n')]);
  };
  shell(fault.make);
  try {
    await fault.also?.(lab);
    if (fault.downs) await becomes(lab, 'down');
    const words = fault.words ?? ['gre1'];
    const examine = () => doctor(lab.rA, [...words, '--config', lab.a.config]);
    const { check, next } = assertFound(await examine(), fault.finds);
    if (fault.mends) {
      const [step = ''] = next?.split('; ') ?? [];
      shell([step.replace(/^sudo /, '').replace(/^grebe /, `${process.execPath} ${GREBE} `)]);
      assertFine(await examine(), check);
    }
  } finally {
    shell(fault.mend);
  }
  if (fault.downs) await becomes(lab, 'up');
}

/** Longer than 100 ms times 2, which the peer is given. */
const LATE_MS = 700;
const OUTER_HEADERS = 24;

test('doctor tells a peer whose answers come too late from one that is silent', {
  skip: lacking('ping'),
}, async () => {
  const table = tunnelTable('gre1', 'B', 'mode = "gre"', 'address = ["10.9.0.2/24"]');
  const lines = 'keepalive = { interval = "100ms", count = 2 }\n';
  await withLoneRouter('doctorlate', table + lines, '', async ({ wire, b, send, answers }) => {
    await ping(wire.rB, '-c1', '-W1', OUTER.A);
    // A forwards each keepalive, as the peer's IP stack does with what comes out of its tunnel, but late.
    const later = new Set<NodeJS.Timeout>();
    const relay = setInterval(() => {
      for (const frame of answers()) {
        const packet = frame.subarray(14);
        if (packet[9] !== 47) continue;
        later.add(setTimeout(() => send(packet.subarray(OUTER_HEADERS)), LATE_MS));
      }
    }, 10);
    try {
      const isDown = async () => (await tunnelStatus(b, 'gre1')).downReason === 'keepalive';
      assert.ok(await eventually(isDown, PATIENCE_MS));
      const isHeard = async () => (await tunnelStatus(b, 'gre1')).localPackets > 0;
      assert.ok(await eventually(isHeard, PATIENCE_MS), 'no late answer is counted');
      assertFound(await doctor(wire.rB, ['gre1', '--config', b.config]), {
        ...{
          check: 'keepalive',
          ...gre1,
          found: /answers to its keepalives come, but too late.*100 ms times 2/,
        },
        next: /keepalive = \{ interval = "1000ms", count = 3 \}/,
      });
    } finally {
      clearInterval(relay);
      for (const timer of later) clearTimeout(timer);
    }
  });
});

test('rules that AF_XDP passes by are warned of, and the tunnel works', {
  skip: lackingHere(),
}, async () => {
  const options = { ipv6: false, tunnels, router: XDP };
  await withLab('doctorxdp', options, async (lab) => {
    const { a, rA } = lab;
    assert.equal((await readStatus(a)).underlay, 'xdp');
    await isHeard(lab);
    const examine = () => doctor(rA, ['gre1', '--config', a.config]);
    assertHealthy(await examine());
    lab.namespaces.run(rA, 'sh', ['-ec', BLOCK.join('\n')]);
    assertFound(await examine(), {
      ...{ check: 'firewall', tunnel: 'gre1', severity: 'warning' },
      ...{ found: /drops it; AF_XDP passes it by/, next: /nft insert rule ip edge in/ },
    });
    assert.equal((await ping(rA, '-c3', '-i0.1', '-W1', '10.9.0.2')).received, 3);
  });
});
