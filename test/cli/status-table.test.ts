// What `grebe status` shows of tunnels with several peers, and with host names.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatStatus } from '../../src/cli/status-table.js';
import { isStatusMessage, statusMessage } from '../../src/control/message.js';
import type { PeerStatus, RouterStatus } from '../../src/router/contract.js';
import { STATUS } from '../control/router.js';

const NONE = { packets: 0, bytes: 0 };
const PEERS: readonly PeerStatus[] = [
  {
    ...{ remote: 'spoke.test', remoteAddress: '203.0.113.8' },
    ...{ rx: { packets: 2, bytes: 168 }, tx: NONE, drops: { 'inner-src-spoof': 1 } },
    lastReceivedMs: null,
  },
  {
    ...{ remote: 'far.test', downReason: 'cannot resolve far.test: it has no address' },
    ...{ rx: NONE, tx: NONE, drops: {}, lastReceivedMs: null },
  },
];

function withFirst(fields: Partial<RouterStatus['tunnels'][number]>): RouterStatus {
  const [first = assert.fail(), ...rest] = STATUS.tunnels;
  return { ...STATUS, tunnels: [{ ...first, ...fields }, ...rest] };
}

const show = (status: RouterStatus): string =>
  formatStatus(statusMessage(status), (_style, text) => text);

test('peers have a table of their own, and those without an address say why', () => {
  const status = withFirst({ remote: 'any', peers: PEERS });
  assert.ok(isStatusMessage(JSON.parse(JSON.stringify(statusMessage(status)))));
  const shown = show(status);
  assert.match(shown, /^TUNNEL +PEER +RX +TX +LAST HEARD +DROPS$/m);
  assert.match(
    shown,
    /^gre1 +spoke\.test \(203\.0\.113\.8\) +2 \(168 B\) +0 \(0 B\) +never +inner-src-spoof 1$/m,
  );
  assert.match(shown, /^gre1 +far\.test .* cannot resolve far\.test: it has no address$/m);
});

test('a tunnel whose host name has no address is down, and the reason stands below it', () => {
  const downReason = 'cannot resolve peer.test: no name server answers';
  const lines = show(withFirst({ remote: 'peer.test', state: 'down', downReason })).split('\n');
  const row = lines.findIndex((line) => line.startsWith('gre1'));
  assert.match(lines[row] ?? '', /192\.0\.2\.1 -> peer\.test +down/);
  assert.equal(lines[row + 1], `  ${downReason}`);
});

test('a host name is shown with the address it stands for', () => {
  const shown = show(withFirst({ remote: 'peer.test', remoteAddress: '192.0.2.2' }));
  assert.match(shown, /192\.0\.2\.1 -> peer\.test \(192\.0\.2\.2\) +up/);
});

test('ICMP errors stand below the tunnels, where there were any', () => {
  assert.match(
    show(STATUS),
    /^ICMP errors: 5 heard of the underlay \(1 over the rate had no effect\), 8 told to senders \(2 more were kept back\)$/m,
  );
  const none = { answers: 0, answersLimited: 0, errors: 0, errorsLimited: 0 };
  assert.doesNotMatch(show({ ...STATUS, icmp: none }), /ICMP/);
  assert.match(
    show({ ...STATUS, icmp: { ...none, errors: 3 } }),
    /^ICMP errors: 3 heard of the underlay, 0 told to senders$/m,
  );
});
