import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { close, eventfd, NativeBlock, recvfrom, sendto } from '../../src/sys/libc.js';
import {
  AF_INET,
  bindSocket,
  openSocket,
  receiveDrops,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  shrinkReceiveBuffer,
} from '../../src/sys/socket.js';
import { addKernelDrops, sumReceiveDrops, xdpDrops } from '../../src/underlay/kernel-drops.js';
import { enterOwnNamespace } from '../support/own-namespace.js';

const skip = enterOwnNamespace();
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const PORT = 4754;
const noSocket = eventfd(0, 0);
after(() => close(noSocket));

test('the kernel counts for a socket what its receive buffer had no room for', { skip }, () => {
  const receiver = openSocket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0, 'receiver');
  const sender = openSocket(AF_INET, SOCK_DGRAM, 0, 'sender');
  shrinkReceiveBuffer(receiver);
  assert.ok(bindSocket(receiver, LOOPBACK, PORT));
  assert.equal(receiveDrops(receiver), 0);

  const count = 50;
  const name = new NativeBlock(16);
  name.view.setUint16(0, AF_INET, true);
  name.view.setUint16(2, PORT);
  name.bytes.set(LOOPBACK, 4);
  const data = new NativeBlock(1000);
  for (let n = 0; n < count; n++) {
    assert.equal(sendto(sender, data.address, 1000, 0, name.address, 16), 1000);
  }
  let received = 0;
  while (recvfrom(receiver, data.address, 1000, 0, 0, 0) > 0) received++;
  assert.ok(received > 0 && received < count, `${received} received`);
  assert.equal(receiveDrops(receiver), count - received);
  assert.equal(sumReceiveDrops([receiver, sender]), count - received);
  assert.equal(sumReceiveDrops([receiver, noSocket]), undefined);
  assert.deepEqual(xdpDrops([receiver]), {});
  for (const fd of [receiver, sender]) close(fd);
});

test('what the kernel does not say is absent, not 0', () => {
  assert.equal(receiveDrops(noSocket), undefined);
  assert.equal(sumReceiveDrops([noSocket]), undefined);
  assert.equal(sumReceiveDrops([]), undefined);
  assert.deepEqual(xdpDrops([noSocket]), {});
  assert.deepEqual(xdpDrops([]), {});
});

test('counters of several are added by name; one that none has stays absent', () => {
  assert.deepEqual(addKernelDrops([]), {});
  assert.deepEqual(addKernelDrops([{}, {}]), {});
  assert.deepEqual(
    addKernelDrops([{ rawSocket: 0 }, { rawSocket: 3, udpSocket: 1 }, { rawSocket: 4 }]),
    { rawSocket: 7, udpSocket: 1 },
  );
});
