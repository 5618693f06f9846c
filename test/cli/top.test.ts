// grebe top without a terminal: what keys do, and what is drawn at any size.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseKeys } from '../../src/cli/terminal.js';
import { extentsOf, frameOf } from '../../src/cli/top/frame.js';
import { fitLine, sparkline } from '../../src/cli/top/line.js';
import { press, TOP_START, type TopState } from '../../src/cli/top/state.js';
import type { Paint } from '../../src/config/diagnostic.js';
import { statusEvent } from '../../src/control/change.js';
import type { PeerStatus, RouterStatus } from '../../src/router/contract.js';
import { LiveView } from '../../src/view/live.js';
import { STATUS } from '../control/router.js';
import { grebe } from './grebe.js';
import '../support/arbitrary.js'; // its settings of fast-check

const plain: Paint = (_style, text) => text;

function viewOf(status: RouterStatus): LiveView {
  const view = new LiveView();
  view.apply(statusEvent({ timeMs: 0, steadyMs: 0, status }));
  for (let second = 1; second <= 10; second++) {
    const rx = { packets: second, bytes: second * 1000 };
    const tunnels = { gre1: { rx, tx: { packets: 0, bytes: 0 } } };
    view.apply({ kind: 'traffic', data: { timeMs: second * 1000, seconds: 1, tunnels } });
  }
  const data = { timeMs: 10_000, tunnels: { gre1: { 'inner-ttl': 7 } }, none: {}, kernel: {} };
  view.apply({ kind: 'drops', data });
  return view;
}

const VIEW = viewOf(STATUS);

function many(count: number): LiveView {
  const [one = assert.fail()] = STATUS.tunnels;
  const tunnels = Array.from({ length: count }, (_, n) => ({ ...one, name: `gre${n}` }));
  return viewOf({ ...STATUS, tunnels });
}

/** One tunnel with so many peers: the second is busy, the last has no address. */
function viewOfPeers(count: number): LiveView {
  const [one = assert.fail()] = STATUS.tunnels;
  const none = { packets: 0, bytes: 0 };
  const peers = Array.from({ length: count }, (_, n): PeerStatus => {
    const drops = { 'inner-ttl': 4 };
    return { remote: `203.0.113.${n}`, rx: none, tx: none, drops, lastReceivedMs: null };
  });
  const view = viewOf({ ...STATUS, tunnels: [{ ...one, peers: [...peers.slice(0, -1), HUB] }] });
  const busy = { rx: { packets: 1, bytes: 1000 }, tx: { packets: 2, bytes: 2000 } };
  const data = { timeMs: 11_000, seconds: 1, tunnels: { gre1: busy } };
  view.apply({ kind: 'traffic', data: { ...data, peers: { gre1: [{ peer: 1, ...busy }] } } });
  const drops = { 'inner-ttl': 2 };
  const dropped = { tunnels: {}, peers: { gre1: [{ peer: 1, drops }] }, none: {}, kernel: {} };
  view.apply({ kind: 'drops', data: { timeMs: 11_000, ...dropped } });
  const turned = [
    { peer: 1, remoteAddress: '198.51.100.123' },
    { peer: count - 1, downReason: 'it has no address' },
  ];
  view.apply({ kind: 'peers', data: { timeMs: 11_000, tunnels: { gre1: turned } } });
  return view;
}

const HUB: PeerStatus = {
  remote: 'hub.example',
  remoteAddress: '192.0.2.77',
  rx: { packets: 0, bytes: 0 },
  tx: { packets: 0, bytes: 0 },
  drops: { 'inner-ttl': 4 },
  lastReceivedMs: null,
};

test('tunnels are shown with state, rates, bars and drops, the chosen one marked', () => {
  const lines = frameOf(VIEW, { ...TOP_START, chosen: 1 }, { columns: 120, rows: 10 }, plain);
  assert.equal(lines.length, 10);
  const text = lines.join('\n');
  assert.match(text, /^grebe {2}2 tunnels, 1 down .* codec simd .* underlay raw/);
  assert.match(text, /^received {3}80\.0 kbit\/s ▁+▂▃.*▇█+ {2}sent {7}0 bit\/s/m);
  assert.match(text, /^ {2}gre1 +up +80\.0 kbit\/s +▁+▂.*█ +0 bit\/s +▁+ +19 \+7$/m);
  assert.match(text, /^> sit1 +down probe +0 bit\/s +▁+ +0 bit\/s +▁+ +0$/m);
  assert.match(lines.at(-1) ?? '', /\? help {3}q quit$/);
});

test('one tunnel is shown with its ends, counts, bars over the width, and drops by reason', () => {
  const lines = frameOf(VIEW, { ...TOP_START, shown: 'tunnel' }, { columns: 80, rows: 24 }, plain);
  const text = lines.join('\n');
  assert.match(text, /^gre1 gre {2}up$/m);
  assert.match(text, /^ends +192\.0\.2\.1 -> 192\.0\.2\.2$/m);
  assert.match(text, /^received +80\.0 kbit\/s, 10 pps {3}59 packets, 55\.3 kB in all$/m);
  assert.match(text, /^▁{70}[▂-█]{10}$/m);
  assert.match(text, /^inner-ttl +17 {2}#{40}$/m);
  assert.match(text, /^gre-checksum +2 {2}#{5}$/m);
});

test('a tunnel with several peers shows each with its rates, drops, when it was heard, and why it is down', () => {
  const view = viewOfPeers(3);
  const state: TopState = { ...TOP_START, shown: 'tunnel' };
  const text = frameOf(view, state, { columns: 90, rows: 30 }, plain).join('\n');
  assert.match(text, /^3 peers, 1 down\nPEER +DROPS +RECEIVED +SENT +HEARD$/m);
  assert.match(text, /^203\.0\.113\.0 +4 +0 bit\/s +0 bit\/s +never$/m);
  assert.match(
    text,
    /^203\.0\.113\.1 \(198\.51\.10… 6 \+2 +8\.0 kbit\/s +16\.0 kbit\/s +0 s ago$/m,
  );
  assert.match(text, /^hub\.example +4 +down: it has no address$/m);
  assert.match(text, /^\ninner-ttl +17 {2}#{40}$/m, 'reasons are below');
  const wide = frameOf(view, state, { columns: 120, rows: 30 }, plain).join('\n');
  assert.match(wide, /^203\.0\.113\.1 \(198\.51\.100\.123\) +6 \+2 +8\.0 kbit/m);
});

test('of many peers a page is seen, and the last ones with it', () => {
  const view = viewOfPeers(10_000);
  const state: TopState = { ...TOP_START, shown: 'tunnel', firstPeer: 9_998 };
  const size = { columns: 90, rows: 24 };
  assert.deepEqual(extentsOf(view, state, size).peers, { count: 10_000, page: 4 });
  const lines = frameOf(view, state, size, plain);
  assert.equal(lines.length, 24);
  const text = lines.join('\n');
  assert.match(text, /^10000 peers, 1 down, 9997 to 10000 seen: page up, down$/m);
  assert.deepEqual(text.match(/^203\.0\.113\.\d+|^hub\.example/gm), [
    ...['203.0.113.9996', '203.0.113.9997', '203.0.113.9998', 'hub.example'],
  ]);
  assert.match(text, /^inner-ttl /m);
});

test('drops are shown by reason of all tunnels and of none, with those of the kernel', () => {
  const state: TopState = { ...TOP_START, shown: 'drops', hasPackets: false };
  const text = frameOf(VIEW, state, { columns: 80, rows: 24 }, plain).join('\n');
  assert.match(text, /^inner-ttl +17 .*\nno-tunnel +5 .*\ngre-checksum +2 /m);
  assert.match(text, /^dropped by the kernel\nrawSocket +12 /m);
  assert.match(text, /not told while a grebe trace is running/);
  assert.match(text, /^none yet$/m);
});

test('a frame fits any terminal, whatever is shown', () => {
  const views = [VIEW, many(200), viewOf({ ...STATUS, tunnels: [] }), viewOfPeers(50)];
  fc.assert(
    fc.property(
      fc.constantFrom(...views),
      fc.constantFrom('tunnels', 'tunnel', 'drops', 'help'),
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 80 }),
      fc.nat({ max: 199 }),
      (view, shown, columns, rows, chosen) => {
        const state: TopState = {
          ...TOP_START,
          shown,
          chosen: Math.min(chosen, view.tunnels.size),
        };
        const lines = frameOf(view, state, { columns, rows }, plain);
        assert.ok(lines.length <= rows, `${lines.length} lines`);
        for (const line of lines) assert.ok(line.length <= columns, `${line.length}: ${line}`);
      },
    ),
  );
});

test('the chosen tunnel is among those that are seen', () => {
  const view = many(200);
  for (const chosen of [0, 1, 50, 198, 199]) {
    const lines = frameOf(view, { ...TOP_START, chosen }, { columns: 40, rows: 12 }, plain);
    assert.equal(lines.filter((line) => line.startsWith(`> gre${chosen} `)).length, 1);
    assert.equal(lines.filter((line) => /^[> ] gre\d+ /.test(line)).length, 7);
  }
});

const FIVE = { count: 5, page: 3 };
const NONE = { count: 0, page: 3 };
const NO_PEERS = { count: 0, page: 3 };

test('keys choose, open and go back', () => {
  const after = (...keys: string[]): TopState | null =>
    keys.reduce<TopState | null>(
      (state, key) => state && press(state, key, FIVE, NO_PEERS),
      TOP_START,
    );
  assert.equal(after('down', 'j', 'up')?.chosen, 1);
  assert.equal(after('up')?.chosen, 0);
  assert.equal(after('end', 'j')?.chosen, 4);
  assert.equal(after('page-down', 'k', 'k', 'k')?.chosen, 0);
  assert.equal(after('j', 'enter')?.shown, 'tunnel');
  assert.equal(after('enter', 'd')?.shown, 'drops');
  assert.equal(after('enter', 'd', 'escape')?.shown, 'tunnel');
  assert.equal(after('enter', 'd', 'escape', 'escape')?.shown, 'tunnels');
  assert.equal(after('d', 'd')?.shown, 'tunnels');
  assert.equal(after('?', '?')?.shown, 'tunnels');
  assert.equal(after('x'), TOP_START);
  assert.equal(after('q'), null);
  assert.equal(press(TOP_START, 'enter', NONE, NO_PEERS)?.shown, 'tunnels');
  assert.equal(press(TOP_START, 'down', NONE, NO_PEERS)?.chosen, 0);
});

test('with a tunnel of several peers open, pages are of these; another tunnel begins with its first', () => {
  const peers = { count: 100, page: 6 };
  const after = (...keys: string[]): TopState | null =>
    keys.reduce<TopState | null>(
      (state, key) => state && press(state, key, FIVE, peers),
      TOP_START,
    );
  const placeOf = (...keys: string[]) => {
    const { chosen, firstPeer, shown } = after(...keys) ?? assert.fail();
    return { chosen, firstPeer, shown };
  };
  const [chosen, shown] = [0, 'tunnel'];
  assert.deepEqual(placeOf('page-down'), { chosen: 3, firstPeer: 0, shown: 'tunnels' });
  assert.deepEqual(placeOf('enter', 'page-down', ' '), { chosen, firstPeer: 12, shown });
  assert.deepEqual(placeOf('enter', ' ', 'page-up', 'page-up'), { chosen, firstPeer: 0, shown });
  assert.deepEqual(placeOf('enter', 'end', 'page-down'), { chosen, firstPeer: 94, shown });
  assert.deepEqual(placeOf('enter', 'end', 'home'), { chosen, firstPeer: 0, shown });
  assert.deepEqual(placeOf('enter', 'end', 'up'), { chosen, firstPeer: 94, shown });
  assert.deepEqual(placeOf('enter', 'end', 'down'), { chosen: 1, firstPeer: 0, shown });
});

test('any order of keys ends back at the tunnels by escape, within two presses', () => {
  const keys = fc.constantFrom('enter', 'd', '?', 'j', 'escape', 'h');
  fc.assert(
    fc.property(fc.array(keys, { maxLength: 12 }), (pressed) => {
      const state = pressed.reduce((so, key) => press(so, key, FIVE, NO_PEERS) ?? so, TOP_START);
      const back = ['escape', 'escape'].reduce(
        (so, key) => press(so, key, FIVE, NO_PEERS) ?? so,
        state,
      );
      assert.equal(back.shown, 'tunnels');
    }),
  );
});

test('what a terminal sends at once is taken apart into keys', () => {
  assert.deepEqual(parseKeys('\x1b[A\x1bOBj\r\x1b[5~\x1b'), [
    ...['up', 'down', 'j', 'enter', 'page-up', 'escape'],
  ]);
  assert.deepEqual(parseKeys('\x1b[1;5Aé'), ['\x1b[1;5A', 'é']);
  assert.deepEqual(parseKeys(''), []);
});

test('a line is cut before it is painted, and shows that it is', () => {
  const red: Paint = (_style, text) => `<${text}>`;
  const line = ['abc', ['red', 'defgh']] as const;
  assert.equal(fitLine(line, 8, red), 'abc<defgh>');
  assert.equal(fitLine(line, 6, red), 'abc<de>…');
  assert.equal(fitLine(line, 1, red), '<>…');
});

test('bars are as high as values compare; without Unicode they are letters', () => {
  assert.equal(sparkline([0, 1, 50, 100], true), '▁▂▅█');
  assert.equal(sparkline([0, 0], true), '▁▁');
  assert.equal(sparkline([], true), '');
  assert.equal(sparkline([0, 100], false), '_#');
});

test('where there is no terminal, top says what to do instead', async () => {
  const { code, stdout, stderr } = await grebe(['top']);
  assert.deepEqual([code, stdout], [64, '']);
  assert.match(stderr, /grebe top needs a terminal/);
  assert.match(stderr, /grebe status -w/);
  assert.match((await grebe(['top', '-j'])).stderr, /grebe status -j/);
});
