// grebe top on a real terminal, beside a router that carries real packets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ip } from '../../src/demo/namespaces.js';
import { startRouter } from '../../src/demo/router-process.js';
import { PROGRAM } from '../cli/grebe.js';
import {
  assertAnswered,
  eventually,
  type Lab,
  lacking,
  OUTER,
  type Side,
  tunnelTable,
  withLab,
} from '../support/lab.js';
import { injectPackets } from '../support/packet-task.js';
import { gre, ipv4 } from '../support/packets.js';
import { Terminal, withoutTerminal } from '../support/terminal.js';

const skip = lacking('ping') || withoutTerminal;

const tunnels = (side: Side): string => {
  const n = side === 'A' ? 1 : 2;
  const gre1 = ['mode = "gre"', 'key = 7', `address = ["10.9.0.${n}/24"]`];
  const ipip1 = ['mode = "ipip"', `address = ["10.9.1.${n}/24"]`];
  return tunnelTable('gre1', side, ...gre1) + tunnelTable('ipip1', side, ...ipip1);
};

const WRONG_KEY = ipv4({
  source: OUTER.A,
  destination: OUTER.B,
  protocol: 47,
  identification: 1,
  payload: gre({
    key: 8,
    payload: ipv4({ source: '10.9.0.1', destination: '10.9.0.2', protocol: 253 }),
  }),
});

interface Opened {
  readonly lab: Lab;
  readonly terminal: Terminal;
}

async function withTop(
  label: string,
  use: (opened: Opened) => Promise<void>,
  env: readonly string[] = [],
  between = tunnels,
): Promise<void> {
  await withLab(label, { tunnels: between, ipv6: false }, async (lab) => {
    const terminal = new Terminal(110, 24, env);
    try {
      await terminal.shows(/^#/);
      terminal.type('echo before');
      terminal.press('Enter');
      terminal.grebe('top', '--socket', lab.b.socket);
      await terminal.shows(/\d tunnels? up/);
      await use({ lab, terminal });
    } finally {
      terminal.close();
    }
  });
}

/** The shell has its terminal back, as it was. */
async function assertBack(terminal: Terminal): Promise<void> {
  assert.ok(await eventually(() => terminal.tell('alternate_on') === '0'), 'the screen is back');
  assert.equal(terminal.tell('cursor_flag'), '1');
  assert.equal(terminal.tell('wrap_flag'), '1');
  await terminal.shows(/^before$/m);
  terminal.type('stty -a | grep -c " icanon" ; echo "back: $?"');
  terminal.press('Enter');
  await terminal.shows(/^1\nback: 0$/m);
}

test('traffic, a drop and a tunnel that goes down are shown, and keys lead to each', {
  skip,
}, async () => {
  await withTop('top', async ({ lab, terminal }) => {
    const { namespaces, rA, rB } = lab;
    assert.equal(terminal.tell('alternate_on'), '1');
    assert.equal(terminal.tell('cursor_flag'), '0');
    await assertAnswered(namespaces, rA, '10.9.0.2', 1000);
    await terminal.shows(/^> gre1 +up +[\d.]+ k?bit\/s +▁+[▂-█]+▁* /m);
    injectPackets(namespaces, rA, [WRONG_KEY]);
    ip('-n', rB, 'link', 'set', 'ipip1', 'down');
    await terminal.shows(/2 tunnels, 1 down[\s\S]*^ {2}ipip1 +down device/m);

    terminal.press('d');
    const drops = await terminal.shows(/^no-tunnel +1 +#+/m);
    assert.match(drops, /no-tunnel {2}received, 48 bytes, no tunnel/);
    assert.match(drops, /tunnel: none for GRE, 192\.0\.2\.1 -> 192\.0\.2\.2, key 8/);
    assert.match(drops, /next: in \[tunnel\.gre1\]: key = 8; or at the peer: key 7/);
    terminal.press('Escape');
    await terminal.shows(/^> gre1 /m);
    terminal.press('Down', 'Enter');
    await terminal.shows(/^ipip1 ipip {2}down: device$/m);
    terminal.press('k');
    await terminal.shows(/^gre1 gre {2}up$[\s\S]*3 packets, 3\.1 kB in all/m);
    terminal.press('?');
    await terminal.shows(/^q, \^C +quit$/m);
    terminal.press('q');
    await assertBack(terminal);
  });
});

/** Ten peers of B's one tunnel, of which A is the last. */
const hub = (side: Side): string => {
  if (side === 'A') return tunnelTable('spoke', 'A', 'mode = "gre"', 'address = ["10.9.0.1/24"]');
  const others = Array.from({ length: 9 }, (_, n) => `198.18.0.${n + 2}`);
  const peers = [...others, OUTER.A].map((remote) => {
    const inner = remote === OUTER.A ? '10.9.0.1' : remote.replace('198.18', '10.9');
    return `{ remote = "${remote}", routes = ["${inner}/32"] }`;
  });
  const lines = ['mode = "gre"', 'address = ["10.9.0.12/24"]', `peers = [${peers.join(', ')}]`];
  return tunnelTable('hub', 'B', ...lines).replace(`remote = "${OUTER.A}"`, 'remote = "any"');
};

test('the peers of a tunnel are shown with what passes, a page at a time', { skip }, async () => {
  const use = async ({ lab, terminal }: Opened): Promise<void> => {
    terminal.press('Enter');
    await terminal.shows(/^10 peers, 1 to 5 seen: page up, down$/m);
    terminal.press('PageDown');
    await terminal.shows(/^10 peers, 6 to 10 seen[\s\S]*^192\.0\.2\.1 +0 +0 bit\/s .* never$/m);
    const pings = assertAnswered(lab.namespaces, lab.rA, '10.9.0.12', 1000);
    await terminal.shows(/^192\.0\.2\.1 +0 +[1-9][\d.]* kbit\/s +[1-9][\d.]* kbit\/s +0 s ago$/m);
    await pings;
    terminal.press('Home');
    const first = await terminal.shows(/^10 peers, 1 to 5 seen/m);
    assert.match(first, /^198\.18\.0\.2 +0 +0 bit\/s +0 bit\/s +never$/m);
    terminal.press('q');
  };
  await withTop('toppeers', use, [], hub);
});

test('it follows the size of the terminal, down to a small one', { skip }, async () => {
  await withTop('topsize', async ({ terminal }) => {
    terminal.resize(50, 8);
    const small = await terminal.shows(/^> gre1 +up +0 bit\/s +0 bit\/s +0$/m);
    assert.match(small, /…$/m, 'what is cut says so');
    assert.equal(small.trimEnd().split('\n').length, 8);
    terminal.resize(20, 4);
    await terminal.shows(/^grebe {2}2 tunnels up…?/);
    terminal.resize(140, 30);
    await terminal.shows(/^> gre1 +up +0 bit\/s +▁{20,}/m);
    terminal.press('C-c');
    await assertBack(terminal);
  });
});

test('signals give the terminal back, and so does a stop until it goes on', { skip }, async () => {
  await withTop('topsignal', async ({ lab, terminal }) => {
    terminal.press('C-z');
    await terminal.shows(/^before$/m);
    assert.equal(terminal.tell('alternate_on'), '0');
    terminal.type('fg');
    terminal.press('Enter');
    await terminal.shows(/2 tunnels up/);
    assert.equal(terminal.tell('alternate_on'), '1');
    for (const signal of ['TERM', 'INT', 'HUP']) {
      terminal.press('C-z');
      await terminal.shows(/^before$/m);
      terminal.type(`kill -${signal} %1; fg; clear; echo before`);
      terminal.press('Enter');
      await assertBack(terminal);
      terminal.type('clear; echo before');
      terminal.press('Enter');
      terminal.grebe('top', '--socket', lab.b.socket);
      await terminal.shows(/2 tunnels up/);
    }
    terminal.press('q');
  });
});

test('colors are left out where NO_COLOR asks for it', { skip }, async () => {
  await withTop('topcolor', async ({ terminal }) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colors are control characters
    assert.match(terminal.screen(true), /\x1b\[[0-9;]*3[12]m/);
  });
  await withTop(
    'topplain',
    async ({ terminal }) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colors are control characters
      assert.doesNotMatch(terminal.screen(true), /\x1b\[[0-9;]*(?:3[12]|1|2)m/);
    },
    ['NO_COLOR=1'],
  );
});

test('a router that ends is said to be gone, and found again; one that never was ends it', {
  skip,
}, async () => {
  await withTop('topgone', async ({ lab, terminal }) => {
    await lab.namespaces.stop(lab.b.child);
    await terminal.shows(/^not connected, trying again: /m);
    await startRouter(lab.namespaces, lab.rB, tunnels('B'));
    await eventually(() => !/not connected/.test(terminal.screen()));
    await terminal.shows(/quit$/m);
    terminal.press('q');
    await assertBack(terminal);
    terminal.type(
      `clear; ${process.execPath} ${PROGRAM} top --socket /nowhere.sock; echo "code $?"`,
    );
    terminal.press('Enter');
    await terminal.shows(/no router is running: there is no \/nowhere\.sock[\s\S]*^code 69$/m);
  });
});

test('status -w stays in its place and shows rates', { skip }, async () => {
  await withTop('watch', async ({ lab, terminal }) => {
    terminal.press('q');
    await assertBack(terminal);
    terminal.type('clear');
    terminal.press('Enter');
    terminal.grebe('status', '-w', '--socket', lab.b.socket);
    await terminal.shows(/^gre1 .* pps 0 bit\/s/m);
    await assertAnswered(lab.namespaces, lab.rA, '10.9.0.2');
    const screen = await terminal.shows(/^gre1 .*3 \(252 B\)/m);
    assert.equal(screen.match(/^gre1 /gm)?.length, 1, screen);
    assert.match(screen, /^2 tunnels up/);
    terminal.press('C-c');
  });
});
