// Superpackets are sent into one end of a virtual cable with our mark; what comes out at the other end is
// compared byte for byte with packets made by hand.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { PacketSocket } from '../../../src/demo/packet-socket.js';
import { receiveRoom, type XskPlan } from '../../../src/ring/xsk-plan.js';
import { Failure } from '../../../src/sys/failure.js';
import { close, interfaceIndex, NativeBlock, recvfrom } from '../../../src/sys/libc.js';
import {
  AF_INET,
  AF_INET6,
  openSocket,
  SOCK_NONBLOCK,
  SOCK_RAW,
  setBuffers,
} from '../../../src/sys/socket.js';
import {
  openSegmentation,
  type Segmentation,
  segmentationMark,
} from '../../../src/underlay/packet-socket/segmentation-program.js';
import { openRedirect } from '../../../src/underlay/xdp/redirect-program.js';
import { Xsk } from '../../../src/underlay/xdp/xsk.js';
import { ethernet, FrameSender, takeFrames } from '../../support/frame-socket.js';
import { enterOwnNamespace, ip } from '../../support/own-namespace.js';
import {
  ACK,
  CWR,
  FIN,
  OUTER_DESTINATION,
  OUTER_SOURCE,
  outerLength,
  outerProtocol,
  outerType,
  outerVersion,
  PSH,
  type Superpacket,
  SuperpacketSender,
  segments,
  superpacket,
} from '../../support/superpacket.js';
import { XskFrames } from '../../support/xsk-frames.js';
import { xskMemory } from '../../support/xsk-memory.js';

const namespace = enterOwnNamespace();
const skip =
  namespace || (spawnSync('ethtool', ['--version']).error ? 'needs ethtool (ethtool)' : false);

if (!skip) {
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  for (const scope of ['all', 'default']) {
    writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/accept_local`, '1');
    writeFileSync(`/proc/sys/net/ipv4/conf/${scope}/rp_filter`, '0');
  }
  ip('link add u0 type veth peer name u1');
  ip('link set u0 up');
  ip('link set u1 up');
  ip('address add 192.0.2.2/24 dev u1');
  writeFileSync('/proc/sys/net/ipv6/conf/u1/disable_ipv6', '0');
  ip('address add 2001:db8::2/64 dev u1 nodad');
}

/** Offloads of both ends: `on` as veth has them, `off` so that a packet on the wire is a packet. */
function setOffloads(state: 'on' | 'off', checksum: 'on' | 'off' = 'on'): void {
  const set = (...words: string[]): unknown => spawnSync('ethtool', ['-K', ...words]);
  set('u0', 'tx', checksum);
  set('u0', 'tso', state, 'gso', state, 'tx-udp-segmentation', state);
  set('u1', 'gro', 'off');
}

function hardwareAddress(device: string): Uint8Array {
  const [link] = JSON.parse(ip(`-j link show dev ${device}`));
  return Buffer.from(link.address.replaceAll(':', ''), 'hex');
}

interface Wire {
  readonly segmentation: Segmentation;
  /** Sends a packet with the mark, or with one that is none, and returns the packets that arrive. */
  readonly carry: (packet: Superpacket, mark?: number) => { error: string; packets: Buffer[] };
}

function withWire(use: (wire: Wire) => void): void {
  const segmentation = openSegmentation({ link: interfaceIndex('u0'), device: 'u0' });
  const socket = new PacketSocket('u1', 70_000);
  const [source, destination] = [hardwareAddress('u0'), hardwareAddress('u1')];
  const carry: Wire['carry'] = (packet, mark = segmentation.markFor(outerLength(packet))) => {
    const sender = new SuperpacketSender('u0', mark);
    const error = sender.send(packet, destination, source);
    sender.close();
    // Whatever else there is, the other end sends: it asks for a way to answer.
    const type = outerType(packet);
    const head = Buffer.from([...destination, ...source, type >>> 8, type & 0xff]);
    const packets = takeFrames(socket)
      .filter((frame) => head.compare(frame, 0, 14) === 0)
      .map((frame) => Buffer.from(frame.subarray(14)));
    return { error, packets };
  };
  try {
    use({ segmentation, carry });
  } finally {
    segmentation.close();
    socket.close();
  }
}

const KINDS: readonly Pick<Superpacket, 'outer' | 'version'>[] = [
  { outer: 'ipip', version: 4 },
  { outer: 'sit', version: 6 },
  { outer: 'gre', version: 4 },
  { outer: 'gre', version: 6 },
  { outer: 'gre-key', version: 4 },
  { outer: 'gre-key', version: 6 },
  { outer: 'gre-udp', version: 4 },
  { outer: 'gre-udp', version: 6 },
  { outer: 'gre-udp-key', version: 4 },
  { outer: 'ip4ip6', version: 4 },
  { outer: 'ip6ip6', version: 6 },
  { outer: 'ip6gre', version: 4 },
  { outer: 'ip6gre', version: 6 },
  { outer: 'ip6gre-key', version: 4 },
  { outer: 'ip6gre-key', version: 6 },
];

for (const { outer, version } of KINDS) {
  for (const upper of ['tcp', 'udp'] as const) {
    const name = `${upper} in IPv${version} in ${outer}`;
    // With a key, TCP and IPv6 twice, 1500 bytes.
    const kind = { outer, version, upper, segmentSize: 1380 };

    test(`the kernel segments ${name}: every byte of every packet is right`, { skip }, () => {
      const flags = ACK | PSH | CWR | FIN;
      for (const checksum of ['on', 'off'] as const) {
        setOffloads('off', checksum);
        withWire(({ segmentation, carry }) => {
          // A device that finishes checksums gets the pseudo-header's sum, another the whole.
          const left = checksum === 'on' ? 'partial' : 'complete';
          for (const payloadLength of [60_000, 2760, 1381]) {
            const packet = { ...kind, payloadLength, flags };
            const { error, packets } = carry(packet);
            assert.equal(error, '');
            assert.deepEqual(packets, segments(packet, left));
          }
          assert.equal(segmentation.failures(), 0);
        });
      }
    });

    test(`${name} crosses whole where the device takes superpackets`, { skip }, () => {
      setOffloads('on');
      withWire(({ segmentation, carry }) => {
        const packet = { ...kind, payloadLength: 60_000 };
        const protocol = outerProtocol(packet);
        const family = outerVersion(packet) === 4 ? AF_INET : AF_INET6;
        const fd = openSocket(family, SOCK_RAW | SOCK_NONBLOCK, protocol, 'raw socket');
        setBuffers(fd, 1 << 20);
        const { packets } = carry(packet);
        const datagram = new NativeBlock(70_000);
        const length = recvfrom(fd, datagram.address, 70_000, 0, 0, 0);
        const second = recvfrom(fd, datagram.address + 69_000, 1000, 0, 0, 0);
        close(fd);
        assert.deepEqual(packets, [superpacket(packet)]);
        // A socket of IPv6 gets what comes behind the header.
        const own = superpacket(packet).subarray(family === AF_INET ? 0 : 40);
        assert.deepEqual(Buffer.from(datagram.bytes.subarray(0, length)), own);
        assert.equal(second, -1, 'one datagram');
        assert.equal(segmentation.failures(), 0);
      });
    });
  }
}

const GRE = { outer: 'gre', version: 4, upper: 'tcp', segmentSize: 1400 } as const;

// What an AF_XDP receiver has to know: on a virtual cable nothing tells a partial checksum from a wrong one.
test('its segments are redirected to an AF_XDP socket, their checksums as the device left them', {
  skip,
}, () => {
  const size = { receiveFrames: 128, sendFrames: 128, frameSize: 2048 } as const;
  const { memory, plans } = xskMemory(size);
  const [plan] = plans as [XskPlan];
  const target = { device: 'u1', link: interfaceIndex('u1') };
  const frameSize = receiveRoom(size);
  const redirect = openRedirect({ ...target, queueCount: 1, frameSize, maxPeers: 1 });
  const xsk = new Xsk({ ...target, memory, plan, queue: 0 });
  const frames = new XskFrames(memory, plan, xsk);
  redirect.setSocket(0, xsk.fd);
  redirect.addPeer({ source: OUTER_SOURCE, destination: OUTER_DESTINATION, protocol: 47 });
  const packet = { ...GRE, payloadLength: 60_000, flags: ACK | PSH };
  try {
    for (const checksum of ['on', 'off'] as const) {
      setOffloads('off', checksum);
      withWire(({ carry }) => {
        assert.deepEqual(carry(packet).packets, [], 'nothing passes');
        assert.deepEqual(
          frames.receiveAll().map((frame) => Buffer.from(frame.subarray(14))),
          segments(packet, checksum === 'on' ? 'partial' : 'complete'),
        );
      });
    }
  } finally {
    redirect.close();
    xsk.close();
  }
});

test('a marked packet of one segment leaves as it is', { skip }, () => {
  for (const checksum of ['on', 'off'] as const) {
    setOffloads('off', checksum);
    withWire(({ carry }) => {
      const packet = { ...GRE, payloadLength: 900 };
      const left = checksum === 'on' ? 'partial' : 'complete';
      assert.deepEqual(carry(packet).packets, segments(packet, left));
    });
  }
});

test('a superpacket too long for the device to take whole is segmented all the same', {
  skip,
}, () => {
  setOffloads('on');
  withWire(({ carry }) => {
    // The inner packet has 65535 bytes: with the outer header more than a length field holds.
    const packet = { ...GRE, payloadLength: 65_483 };
    assert.deepEqual(carry(packet).packets, segments(packet, 'partial'));
  });
});

test('a packet with a mark for another header is dropped, counted, and its sender told', {
  skip,
}, () => {
  setOffloads('off');
  withWire(({ segmentation, carry }) => {
    const packet = { ...GRE, payloadLength: 60_000 };
    const wrong = segmentation.markFor(24) + 1; // of no header that there is
    assert.deepEqual(carry(packet, wrong), { error: 'ENOBUFS', packets: [] });
    assert.equal(segmentation.failures(), 1);
    assert.deepEqual(carry(packet).packets.length, 43);
    assert.equal(segmentation.failures(), 1);
  });
});

test('without the mark, or without the program, the kernel refuses such a superpacket', {
  skip,
}, () => {
  setOffloads('off');
  withWire(({ segmentation, carry }) => {
    const packet = { ...GRE, payloadLength: 60_000 };
    assert.deepEqual(carry(packet, 0), { error: 'ENOMEM', packets: [] });
    assert.equal(segmentation.failures(), 0, 'it passed by');
    const mark = segmentation.markFor(24);
    segmentation.close();
    assert.deepEqual(carry(packet, mark), { error: 'ENOMEM', packets: [] });
  });
});

test('unmarked frames of any kind pass unchanged', { skip }, () => {
  withWire(() => {
    const socket = new PacketSocket('u1', 2048);
    const sender = new FrameSender('u0');
    for (const frame of [
      ethernet(0x0806, new Uint8Array(28)),
      ethernet(0x0800, superpacket({ ...GRE, payloadLength: 500 })),
      ethernet(0x88b5, new Uint8Array(1)),
    ]) {
      sender.send(frame);
      // The other end may still be asking for a way to answer what came before.
      const ends = Buffer.from(frame.subarray(0, 12));
      const ours = takeFrames(socket).filter((one) => ends.compare(one, 0, 12) === 0);
      assert.deepEqual(ours, [frame]);
    }
    sender.close();
    socket.close();
  });
});

test('a header that the kernel cannot copy from segment to segment has no mark', () => {
  assert.deepEqual(
    [20, 24, 28, 32, 36, 40, 44, 48].map((length) => segmentationMark(length)),
    [
      ...[0x67726514, 0x67726518, 0x6772651c, 0x67726520, 0x67726524],
      ...[0x67726528, 0x6772652c, 0x67726530],
    ],
  );
  for (const length of [0, 19, 21, 33, 52, 56, 20 + 256]) assert.equal(segmentationMark(length), 0);
});

test('a device that is not there is named', { skip }, () => {
  assert.throws(
    () => openSegmentation({ link: 9999, device: 'nosuch' }),
    (error: unknown) => error instanceof Failure && /device nosuch: .*ENODEV/.test(error.message),
  );
});
