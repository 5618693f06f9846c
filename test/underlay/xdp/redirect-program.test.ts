// Frames are sent into one end of a virtual cable; at the other the program decides which go to an AF_XDP
// socket and which pass on to the kernel, where a packet socket sees them.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { PacketSocket } from '../../../src/demo/packet-socket.js';
import { receiveRoom, type XskPlan } from '../../../src/ring/xsk-plan.js';
import { Failure } from '../../../src/sys/failure.js';
import { interfaceIndex } from '../../../src/sys/libc.js';
import {
  openRedirect,
  type Peer,
  type Redirect,
} from '../../../src/underlay/xdp/redirect-program.js';
import { Xsk } from '../../../src/underlay/xdp/xsk.js';
import { ethernet, FrameSender, takeFrames } from '../../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import { gre, ipv4, ipv6 } from '../../support/packets.js';
import { XskFrames } from '../../support/xsk-frames.js';
import { xskMemory } from '../../support/xsk-memory.js';

const skip = enterOwnNamespace();
const SIZE = { receiveFrames: 32, sendFrames: 32, frameSize: 2048 } as const;

const PEER = { source: '192.0.2.2', destination: '192.0.2.1' };
const V6 = {
  source: '20010db8000000000000000000000002',
  destination: '20010db8000000000000000000000001',
};
const PEER6 = { source: '2001:db8::2', destination: '2001:db8::1' };
const PEERS: readonly Peer[] = [47, 4, 41, 17].flatMap((protocol) => [
  { ...PEER, protocol: protocol as Peer['protocol'] },
  { ...PEER6, protocol: protocol as Peer['protocol'] },
]);

/** A device whose frames are told apart. */
class Receiver {
  readonly redirect: Redirect;
  readonly xsk: Xsk;
  readonly frames: XskFrames;
  readonly passed: PacketSocket;
  readonly sender: FrameSender;

  constructor(from: string, to: string) {
    const link = interfaceIndex(to);
    this.passed = new PacketSocket(to, 65536);
    this.sender = new FrameSender(from);
    const frameSize = receiveRoom(SIZE);
    this.redirect = openRedirect({ link, device: to, queueCount: 1, frameSize, maxPeers: 16 });
    const copy = this.redirect.mode === 'generic';
    const { memory, plans } = xskMemory(SIZE);
    const [plan] = plans as [XskPlan];
    this.xsk = new Xsk({ memory, plan, device: to, link, queue: 0, copy });
    this.frames = new XskFrames(memory, plan, this.xsk);
    this.redirect.setSocket(0, this.xsk.fd);
    for (const peer of PEERS) this.redirect.addPeer(peer);
  }

  /** Where a frame goes; it arrives there whole and unchanged. */
  way(frame: Uint8Array, seen = frame): 'redirected' | 'passed' {
    this.sender.send(frame);
    const passed = takeFrames(this.passed);
    const redirected = this.frames.receiveAll();
    assert.deepEqual([...passed, ...redirected], [seen], 'one frame, once');
    return redirected.length === 1 ? 'redirected' : 'passed';
  }

  close(): void {
    this.redirect.close();
    this.xsk.close();
    this.passed.close();
    this.sender.close();
  }
}

if (!skip) {
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  for (const [name, mtu] of [
    ['n', 2000],
    ['g', 9000],
  ]) {
    ip(`link add ${name}0 mtu ${mtu} type veth peer name ${name}1 mtu ${mtu}`);
    ip(`link set ${name}0 up`);
    ip(`link set ${name}1 up`);
  }
}
const INNER = ipv4({ source: '10.1.0.2', destination: '10.2.0.2', payload: new Uint8Array(8) });
const GRE = gre({ payload: INNER });
const outer = (fields: Partial<Parameters<typeof ipv4>[0]>): Uint8Array =>
  ethernet(0x0800, ipv4({ ...PEER, protocol: 47, payload: GRE, ...fields }));
const outer6 = (fields: Partial<Parameters<typeof ipv6>[0]>): Uint8Array =>
  ethernet(0x86dd, ipv6({ ...V6, nextHeader: 47, payload: GRE, ...fields }));
const udp = (port: number): Uint8Array => {
  const datagram = Buffer.alloc(8 + GRE.length);
  datagram.writeUInt16BE(49152, 0);
  datagram.writeUInt16BE(port, 2);
  datagram.set(GRE, 8);
  return Uint8Array.from(datagram);
};
/** Of a frame whose Ethernet header says 802.1Q, VLAN 5. */
const tagged = (frame: Uint8Array): Uint8Array =>
  Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0, 5, ...frame.subarray(12)]);
const sized = (length: number): Uint8Array =>
  outer({ payload: new Uint8Array(length - 34).map((_, index) => index) });

for (const { device, mtu, mode } of [
  { device: 'n', mtu: 2000, mode: 'native' },
  { device: 'g', mtu: 9000, mode: 'generic' }, // too large for the driver
]) {
  const receiver = skip ? undefined : new Receiver(`${device}0`, `${device}1`);
  const way = (frame: Uint8Array, seen?: Uint8Array): string | undefined =>
    receiver?.way(frame, seen);
  after(() => receiver?.close());

  test(`in ${mode} mode the packets of a peer are redirected`, { skip }, () => {
    assert.equal(receiver?.redirect.mode, mode);
    assert.equal(receiver?.redirect.genericCause, mode === 'native' ? '' : 'ERANGE');
    assert.equal(way(outer({})), 'redirected');
    assert.equal(way(outer({ protocol: 4, payload: INNER })), 'redirected');
    assert.equal(way(outer({ protocol: 41, payload: ipv6(V6) })), 'redirected');
    assert.equal(way(outer({ protocol: 17, payload: udp(4754) })), 'redirected');
    assert.equal(way(outer({ fragment: 0x4000 })), 'redirected', 'DF is no fragment');
    assert.equal(way(outer6({})), 'redirected');
    assert.equal(way(outer6({ nextHeader: 4, payload: INNER })), 'redirected');
    assert.equal(way(outer6({ nextHeader: 41, payload: ipv6(V6) })), 'redirected');
    assert.equal(way(outer6({ nextHeader: 17, payload: udp(4754) })), 'redirected');
  });

  test(`in ${mode} mode a packet with IPv4 options is redirected whole`, { skip }, () => {
    for (const size of [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]) {
      const options = new Uint8Array(size).fill(1);
      assert.equal(way(outer({ options })), 'redirected');
      assert.equal(way(outer({ options, protocol: 17, payload: udp(4754) })), 'redirected');
      assert.equal(way(outer({ options, protocol: 17, payload: udp(4755) })), 'passed');
    }
  });

  test(`in ${mode} mode what is no tunnel of ours passes`, { skip }, () => {
    assert.equal(way(outer({ source: '192.0.2.3' })), 'passed');
    assert.equal(way(outer({ destination: '192.0.2.3' })), 'passed');
    assert.equal(
      way(outer({ source: PEER.destination, destination: PEER.source })),
      'passed',
      'the other direction',
    );
    assert.equal(way(outer6({ source: V6.destination, destination: V6.source })), 'passed');
    assert.equal(way(outer({ protocol: 6 })), 'passed');
    assert.equal(way(outer({ protocol: 17, payload: udp(4789) })), 'passed');
    assert.equal(way(outer6({ nextHeader: 17, payload: udp(53) })), 'passed');
    assert.equal(way(outer6({ nextHeader: 0, payload: GRE })), 'passed', 'extension header');
    assert.equal(way(ethernet(0x0806, new Uint8Array(28))), 'passed', 'ARP');
    const mapped = '00000000000000000000ffff';
    const source = `${mapped}c0000202`;
    const destination = `${mapped}c0000201`;
    assert.equal(way(outer6({ source, destination })), 'passed', 'mapped addresses are not IPv4');
  });

  test(`in ${mode} mode fragments pass`, { skip }, () => {
    assert.equal(way(outer({ fragment: 0x2000 })), 'passed');
    assert.equal(way(outer({ fragment: 0x0001 })), 'passed');
    assert.equal(way(outer({ fragment: 0x1f00 })), 'passed');
    assert.equal(way(outer({ fragment: 0x2003 })), 'passed');
    assert.equal(way(outer6({ nextHeader: 44 })), 'passed');
  });

  test(`in ${mode} mode tagged, malformed and short frames pass`, { skip }, () => {
    // A packet socket shows the frame without its tag.
    assert.equal(way(tagged(outer({})), outer({})), 'passed');
    assert.equal(way(outer({ version: 5 })), 'passed');
    assert.equal(way(outer({ headerWords: 4 })), 'passed');
    assert.equal(way(outer6({ version: 4 })), 'passed');
    for (const length of [14, 15, 33]) {
      assert.equal(way(outer({}).subarray(0, length)), 'passed');
    }
    assert.equal(way(outer({}).subarray(0, 34)), 'redirected', 'the codec judges what is inside');
    for (const length of [34, 53]) assert.equal(way(outer6({}).subarray(0, length)), 'passed');
    const datagram = outer({ protocol: 17, payload: udp(4754) });
    for (const length of [34, 41]) assert.equal(way(datagram.subarray(0, length)), 'passed');
    assert.equal(way(datagram.subarray(0, 42)), 'redirected');
    // Options that the frame is too short for: the port would lie behind its end.
    const options = new Uint8Array(40).fill(1);
    const long = outer({ options, protocol: 17, payload: udp(4754) });
    assert.equal(way(long.subarray(0, 81)), 'passed');
  });

  test(`in ${mode} mode the longest frame that has room is redirected`, { skip }, () => {
    const room = receiveRoom(SIZE);
    assert.equal(way(sized(room)), 'redirected');
    assert.equal(way(sized(room + 1)), 'passed');
    assert.equal(way(sized(mtu + 14)), 'passed');
    assert.equal(receiver?.xsk.statistics().receiveDropped, 0);
  });

  test(`in ${mode} mode peers come and go while frames flow`, { skip }, () => {
    const peer: Peer = { source: '198.51.100.1', destination: '192.0.2.1', protocol: 47 };
    const frame = outer({ source: peer.source });
    assert.equal(way(frame), 'passed');
    receiver?.redirect.addPeer(peer);
    receiver?.redirect.addPeer(peer);
    assert.equal(way(frame), 'redirected');
    assert.equal(way(outer({ source: peer.source, protocol: 4 })), 'passed');
    assert.equal(receiver?.redirect.removePeer(peer), true);
    assert.equal(receiver?.redirect.removePeer(peer), false);
    assert.equal(way(frame), 'passed');
    for (let n = 0; n < 8; n++) receiver?.redirect.addPeer({ ...peer, source: `198.51.100.${n}` });
    assert.throws(() => receiver?.redirect.addPeer({ ...peer, source: '198.51.100.9' }), /E2BIG/);
  });

  test(`in ${mode} mode closing it lets everything pass`, { skip }, () => {
    assert.throws(() => new Receiver(`${device}0`, `${device}1`), /EBUSY|EEXIST/);
    receiver?.redirect.close();
    assert.equal(way(outer({})), 'passed');
    assert.doesNotMatch(ip(`-d link show dev ${device}1`), /\bxdp/);
  });
}

test('a peer of two families is refused', { skip }, () => {
  const link = interfaceIndex('n1');
  const options = { link, device: 'n1', queueCount: 1, frameSize: 1792, maxPeers: 1 };
  const redirect = openRedirect(options);
  const peer: Peer = { source: '2001:db8::1', destination: '192.0.2.1', protocol: 47 };
  assert.throws(() => redirect.addPeer(peer), Failure);
  redirect.close();
});
