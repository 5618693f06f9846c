import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DESCRIPTOR_DEVICE_HEADER, DESCRIPTOR_NEXT, DEVICE_HEADER_SIZE } from '../../asm/layout.js';
import {
  REASON_NONE,
  REASON_QUEUE_FULL,
  REASON_TUNNEL_DOWN,
  REASON_TX_ERROR,
} from '../../asm/reason.js';
import { createMemory, planMemory } from '../../src/ring/plan.js';
import { Ring } from '../../src/ring/ring.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { addressOf, close as closeFd, interfaceIndex } from '../../src/sys/libc.js';
import { WRITE_REFUSED } from '../../src/tun/contract.js';
import {
  addQueue,
  createTun,
  type DeviceOffload,
  LinuxTun,
  type TunOptions,
} from '../../src/tun/linux.js';
import { MemoryTun } from '../../src/tun/memory.js';
import { DeviceVectors } from '../../src/tun/vectors.js';
import { olderThan } from '../support/kernel.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';
import { internetChecksum } from '../support/packets.js';

const skip = enterOwnNamespace();
// The kernel's own router solicitations would be read as well.
if (!skip) writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
const plan = planMemory(1);
const memory = createMemory(plan);
const bytes = new Uint8Array(memory.buffer);
const encap = new Ring(memory, plan.lanes[0].encap);
const decap = new Ring(memory, plan.lanes[0].decap);
/** The slot of both rings that all of this goes through. */
const SLOT = 5;

function openTun(name: string, options: TunOptions = {}): LinuxTun {
  const vectors = new DeviceVectors(addressOf(bytes), encap);
  return new LinuxTun(name, createTun(name, options), vectors);
}

/** Puts a packet that goes alone into the slot of the decap ring, with nothing for the device to do. */
function fillDecap(packet: Uint8Array): void {
  const header = decap.deviceHeader(SLOT);
  bytes.fill(0, header, header + DEVICE_HEADER_SIZE);
  bytes.set(packet, decap.packetAddress(SLOT));
  decap.fill(SLOT, packet.length, 1, 0);
  decap.setLast(SLOT);
}

/** Reads until a packet is there or a second has passed. */
async function readSoon(device: LinuxTun): Promise<Uint8Array> {
  for (let tries = 0; tries < 100; tries++) {
    const length = device.read(encap, SLOT);
    const address = encap.packetAddress(SLOT);
    if (length > 0) return bytes.slice(address, address + length);
    await sleep(10);
  }
  throw new Error('nothing to read');
}

test('what the kernel sends into a TUN device is read whole, behind its device header', {
  skip,
}, async () => {
  const device = openTun('tun1');
  const socket = createSocket('udp4');
  try {
    ip('link set dev tun1 up');
    ip('address add 10.9.0.1/24 dev tun1');
    assert.equal(device.read(encap, SLOT), 0, 'nothing waits, nothing blocks');
    socket.send(Buffer.alloc(1000, 0x42), 9, '10.9.0.2');
    const packet = await readSoon(device);
    assert.equal(packet.length, 1028);
    assert.equal(packet[0], 0x45);
    assert.deepEqual([...packet.subarray(12, 20)], [10, 9, 0, 1, 10, 9, 0, 2]);
    assert.ok(packet.subarray(28).every((byte) => byte === 0x42));
    // The device takes unfinished checksums: flags 1, from byte 20 on, into the field 6 bytes later.
    const header = new DataView(memory.buffer, encap.deviceHeader(SLOT), DEVICE_HEADER_SIZE);
    assert.equal(header.getUint8(0), 1);
    assert.equal(header.getUint16(6, true), 20);
    assert.equal(header.getUint16(8, true), 6);
  } finally {
    socket.close();
    device.close();
  }
});

test('what is written to a TUN device reaches the kernel', { skip }, async () => {
  const device = openTun('tun2');
  const socket = createSocket('udp4');
  try {
    ip('link set dev tun2 up');
    ip('address add 10.8.0.1/24 dev tun2');
    socket.bind(4242, '10.8.0.1');
    await once(socket, 'listening');
    // 10.8.0.2 > 10.8.0.1, UDP 53 > 4242, no UDP checksum, "hello"
    const packet = Buffer.from(
      '450000210000400040112698' + '0a0800020a080001' + '00351092000d0000' + '68656c6c6f',
      'hex',
    );
    packet.writeUInt16BE(headerChecksum(packet), 10);
    fillDecap(packet);
    const received = once(socket, 'message');
    assert.equal(device.write(decap, SLOT), REASON_NONE);
    const [message] = (await received) as [Buffer];
    assert.equal(message.toString(), 'hello');
  } finally {
    socket.close();
    device.close();
  }
});

function headerChecksum(packet: Buffer): number {
  let sum = 0;
  for (let n = 0; n < 20; n += 2) if (n !== 10) sum += packet.readUInt16BE(n);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

test('a write to a device that is down is tunnel-down, one the kernel calls invalid is tx-error', {
  skip,
}, () => {
  const device = openTun('tun3');
  try {
    const packet = new Uint8Array(40);
    packet[0] = 0x45;
    fillDecap(packet);
    assert.equal(device.write(decap, SLOT), REASON_TUNNEL_DOWN);
    ip('link set dev tun3 up');
    packet[0] = 0x15; // neither IPv4 nor IPv6
    fillDecap(packet);
    assert.equal(device.write(decap, SLOT), REASON_TX_ERROR);
    ip('link del dev tun3');
    assert.equal(device.write(decap, SLOT), REASON_TUNNEL_DOWN);
  } finally {
    device.close();
  }
});

test('a run is written as one superpacket from where its pieces lie, and one that the kernel calls invalid is refused', {
  skip: skip || olderThan(6, 2), // datagrams as superpackets
}, async () => {
  const device = openTun('tun5');
  const socket = createSocket('udp4');
  try {
    ip('link set dev tun5 up');
    ip('address add 10.7.0.1/24 dev tun5');
    socket.bind(4243, '10.7.0.1');
    await once(socket, 'listening');
    // 10.7.0.2 > 10.7.0.1, UDP 53 > 4243 with the sum of the pseudo-header, "hello" "world" "!"
    const first = Buffer.from(
      '45000027000040004011' + '0000' + '0a0700020a070001' + '003510930013' + '1435' + '68656c6c6f',
      'hex',
    );
    first.writeUInt16BE(headerChecksum(first), 10);
    fillDecap(first);
    // gso_type 5: datagrams of 5 bytes behind 28 of headers.
    bytes.set([1, 5, 28, 0, 5, 0, 20, 0, 6, 0], decap.deviceHeader(SLOT));
    for (const [index, text] of ['world', '!'].entries()) {
      const position = SLOT + 1 + index;
      bytes.set(Buffer.from(text), decap.packetAddress(position));
      decap.fill(position, text.length, 1, 0);
      decap.setLast(position);
      follow(position - 1, position);
    }
    const messages: string[] = [];
    socket.on('message', (message) => messages.push(message.toString()));
    assert.equal(device.write(decap, SLOT), REASON_NONE);
    for (let tries = 0; tries < 100 && messages.length < 3; tries++) await sleep(10);
    assert.deepEqual(messages, ['hello', 'world', '!']);

    bytes[decap.deviceHeader(SLOT) + 1] = 9; // a gso_type that there is not
    assert.equal(device.write(decap, SLOT), WRITE_REFUSED);
    decap.setLast(SLOT);
    assert.equal(device.write(decap, SLOT), REASON_TX_ERROR, 'by itself it has no parts');
  } finally {
    socket.close();
    device.close();
  }
});

/** Lets the packet of slot `next` follow that of `slot` in its run. */
function follow(slot: number, next: number): void {
  const descriptor = decap.deviceHeader(slot) - DESCRIPTOR_DEVICE_HEADER;
  new DataView(memory.buffer).setUint16(descriptor + DESCRIPTOR_NEXT, next + 1, true);
}

const OURS = '020000000001';
const THEIRS = '020000000002';

/** A TAP device with an address, and a neighbour behind it that it knows. */
function openTap(name: string, net: number, offload?: DeviceOffload): LinuxTun {
  const device = openTun(name, { isTap: true, ...(offload && { offload }) });
  ip(`link set dev ${name} address ${OURS.replace(/..(?=.)/g, '$&:')} mtu 1462`);
  ip(`address add 10.${net}.0.1/24 dev ${name}`);
  ip(`link set dev ${name} up`);
  ip(`neigh add 10.${net}.0.2 lladdr ${THEIRS.replace(/..(?=.)/g, '$&:')} dev ${name}`);
  return device;
}

/** Reads until a frame of IPv4 is there or a second has passed. */
async function readIpv4(device: LinuxTun): Promise<Buffer> {
  for (;;) {
    const frame = Buffer.from(await readSoon(device));
    if (frame.readUInt16BE(12) === 0x0800) return frame;
  }
}

test('without offloads what the kernel sends into a TAP device is read as finished frames, as long as its MTU and their header', {
  skip,
}, async () => {
  const device = openTap('tap1', 6, {
    ...{ csum: false, tso4: false, tso6: false, uso4: false, uso6: false },
  });
  const socket = createSocket('udp4');
  try {
    for (const size of [0, 1, 1000, 1462 - 28]) {
      socket.send(Buffer.alloc(size, 0x42), 9, '10.6.0.2');
      const frame = await readIpv4(device);
      assert.equal(frame.length, 14 + 28 + size);
      assert.equal(frame.toString('hex', 0, 14), `${THEIRS}${OURS}0800`);
      assert.deepEqual([...frame.subarray(26, 34)], [10, 6, 0, 1, 10, 6, 0, 2]);
      assert.ok(frame.subarray(42).every((byte) => byte === 0x42));
      const udp = frame.subarray(34);
      const pseudo = Buffer.concat([frame.subarray(26, 34), Buffer.of(0, 17, 0, 0)]);
      pseudo.writeUInt16BE(udp.length, 10);
      assert.equal(internetChecksum(Buffer.concat([pseudo, udp])), 0, 'nothing is left to do');
      const header = new DataView(memory.buffer, encap.deviceHeader(SLOT), DEVICE_HEADER_SIZE);
      assert.equal(header.getUint8(0) & 1, 0);
      assert.equal(header.getUint8(1), 0);
    }
    // TCP comes in segments, whatever a socket has to send.
    const peer = connect(9, '10.6.0.2').on('error', () => {});
    const frame = await readIpv4(device);
    assert.equal(frame[23], 6);
    peer.destroy();
  } finally {
    socket.close();
    device.close();
  }
});

test('a frame that is written to a TAP device reaches the kernel, its checksum finished or not', {
  skip,
}, async () => {
  const device = openTap('tap2', 5);
  const socket = createSocket('udp4');
  try {
    socket.bind(4244, '10.5.0.1');
    await once(socket, 'listening');
    // 10.5.0.2 > 10.5.0.1, UDP 53 > 4244, "hello"
    const packet = Buffer.from(
      '4500002100004000401100000a0500020a05000100351094000d000068656c6c6f',
      'hex',
    );
    packet.writeUInt16BE(headerChecksum(packet), 10);
    const frame = Buffer.concat([Buffer.from(`${OURS}${THEIRS}0800`, 'hex'), packet]);
    for (const isPartial of [false, true]) {
      if (isPartial) frame.writeUInt16BE(0x142c, 14 + 26); // the pseudo-header's sum
      fillDecap(frame);
      // NEEDS_CSUM, from byte 34 of the frame on, into the field 6 bytes later.
      if (isPartial) bytes.set([1, 0, 0, 0, 0, 0, 34, 0, 6, 0], decap.deviceHeader(SLOT));
      const received = once(socket, 'message');
      assert.equal(device.write(decap, SLOT), REASON_NONE);
      const [message] = (await received) as [Buffer];
      assert.equal(message.toString(), 'hello');
    }
    fillDecap(frame.subarray(0, 13));
    assert.equal(device.write(decap, SLOT), REASON_TX_ERROR, 'no whole Ethernet header');
  } finally {
    socket.close();
    device.close();
  }
});

test('a run of frames is written as one superpacket', {
  skip: skip || olderThan(6, 2),
}, async () => {
  const device = openTap('tap3', 4);
  const socket = createSocket('udp4');
  try {
    socket.bind(4245, '10.4.0.1');
    await once(socket, 'listening');
    // 10.4.0.2 > 10.4.0.1, UDP 53 > 4245 with the sum of the pseudo-header, "hello" "world" "!"
    const packet = Buffer.from(
      '45000027000040004011' + '0000' + '0a0400020a040001' + '003510950013' + '142f' + '68656c6c6f',
      'hex',
    );
    packet.writeUInt16BE(headerChecksum(packet), 10);
    fillDecap(Buffer.concat([Buffer.from(`${OURS}${THEIRS}0800`, 'hex'), packet]));
    bytes.set([1, 5, 42, 0, 5, 0, 34, 0, 6, 0], decap.deviceHeader(SLOT));
    for (const [index, text] of ['world', '!'].entries()) {
      const position = SLOT + 1 + index;
      bytes.set(Buffer.from(text), decap.packetAddress(position));
      decap.fill(position, text.length, 1, 0);
      decap.setLast(position);
      follow(position - 1, position);
    }
    const messages: string[] = [];
    socket.on('message', (message) => messages.push(message.toString()));
    assert.equal(device.write(decap, SLOT), REASON_NONE);
    for (let tries = 0; tries < 100 && messages.length < 3; tries++) await sleep(10);
    assert.deepEqual(messages, ['hello', 'world', '!']);
  } finally {
    socket.close();
    device.close();
  }
});

test('a TAP device has as many queues as are asked for, and goes with the last of them', {
  skip,
}, () => {
  const first = createTun('tap4', { isTap: true, isMultiQueue: true });
  const second = addQueue('tap4', true);
  const [{ linkinfo }] = JSON.parse(ip('-j -d link show dev tap4'));
  assert.equal(linkinfo.info_data.type, 'tap');
  assert.equal(linkinfo.info_data.numqueues, 2);
  closeFd(first);
  assert.notEqual(interfaceIndex('tap4'), 0);
  closeFd(second);
  assert.equal(interfaceIndex('tap4'), 0);
});

test('a device goes with its descriptor', { skip }, () => {
  const device = openTun('tun4');
  assert.notEqual(interfaceIndex('tun4'), 0);
  device.close();
  assert.equal(interfaceIndex('tun4'), 0);
});

test('a name that is taken is refused before anything is made', { skip }, () => {
  assert.throws(
    () => createTun('lo'),
    (error: unknown) =>
      error instanceof Failure &&
      error.exitCode === EXIT.kernelRefused &&
      /interface of that name exists/.test(error.message) &&
      /ip .*link show lo/.test(error.hint ?? ''),
  );
});

test('a memory device hands packets over in order and drops the newest when it is full', () => {
  const device = new MemoryTun('mem1', memory);
  assert.equal(device.read(encap, SLOT), 0);
  let calls = 0;
  device.onReadable = () => {
    calls++;
  };
  assert.ok(device.send(Uint8Array.of(0x45, 1)));
  assert.ok(device.send(Uint8Array.of(0x45, 2)));
  assert.equal(calls, 2);
  assert.equal(device.read(encap, SLOT), 2);
  assert.equal(bytes[encap.packetAddress(SLOT) + 1], 1);
  assert.equal(device.read(encap, SLOT), 2);
  assert.equal(bytes[encap.packetAddress(SLOT) + 1], 2);
  let sent = 0;
  while (device.send(Uint8Array.of(0x45))) sent++;
  assert.equal(sent, 1000);
  fillDecap(Uint8Array.of(0x45, 2));
  let written = 0;
  while (device.write(decap, SLOT) === REASON_NONE) written++;
  assert.equal(written, 1000);
  assert.equal(device.write(decap, SLOT), REASON_QUEUE_FULL);
  assert.deepEqual(device.take(), Uint8Array.of(0x45, 2));
});
