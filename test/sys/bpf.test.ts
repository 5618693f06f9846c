import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  ATTACH_TYPE,
  BpfMap,
  createLink,
  linkFailure,
  loadProgram,
  MAP_TYPE,
  PROGRAM_TYPE,
} from '../../src/sys/bpf.js';
import { BpfAssembler } from '../../src/sys/bpf-assembler.js';
import { EXIT, Failure } from '../../src/sys/failure.js';
import { close, ERRNO, interfaceIndex } from '../../src/sys/libc.js';
import { eventually } from '../support/lab.js';
import { enterOwnNamespace, ip } from '../support/own-namespace.js';

const skip = enterOwnNamespace();
if (!skip) {
  ip('link add u0 type veth peer name u1');
  ip('link set u0 up');
  ip('link set u1 up');
}
const BPF = fileURLToPath(new URL('../../src/sys/bpf.js', import.meta.url));

const XDP_PASS = 2;
const passAll = (): Uint8Array => new BpfAssembler().mov('r0', XDP_PASS).exit().assemble();
const loadPass = (): number =>
  loadProgram({ type: PROGRAM_TYPE.xdp, name: 'pass_all', code: passAll() });

const hasProgram = (device: string): boolean => /\bxdp/.test(ip(`-d link show dev ${device}`));

test('a program is attached by a link and is gone when the link is closed', { skip }, async () => {
  const program = loadPass();
  const made = createLink({
    program,
    link: interfaceIndex('u0'),
    device: 'u0',
    attachType: ATTACH_TYPE.xdp,
  });
  assert.ok('fd' in made);
  assert.ok(hasProgram('u0'));
  close(program);
  assert.ok(hasProgram('u0'), 'the link keeps the program');
  close(made.fd);
  assert.ok(await eventually(() => !hasProgram('u0')));
});

test('a second program is refused, and the first is named', { skip }, () => {
  const program = loadPass();
  const attachType = ATTACH_TYPE.xdp;
  const options = { program, link: interfaceIndex('u0'), device: 'u0', attachType };
  const first = createLink(options);
  const second = createLink(options);
  assert.ok('fd' in first && 'error' in second);
  assert.equal(second.error, ERRNO.EBUSY);
  const failure = linkFailure(options, second.error);
  close(first.fd);
  close(program);
  assert.equal(failure.exitCode, EXIT.kernelRefused);
  assert.match(failure.message, /device u0: .*EBUSY: another program is attached already/);
  assert.match(failure.message, /\(program \d+ "pass_all", native\)/);
});

test('an MTU too large for XDP is refused with what to do', { skip }, () => {
  ip('link set u0 mtu 9000');
  ip('link set u1 mtu 9000');
  const program = loadPass();
  const attachType = ATTACH_TYPE.xdp;
  const options = { program, link: interfaceIndex('u0'), device: 'u0', attachType, flags: 4 };
  const made = createLink(options);
  close(program);
  ip('link set u0 mtu 1500');
  ip('link set u1 mtu 1500');
  assert.ok('error' in made);
  const { message, hint } = linkFailure(options, made.error);
  assert.match(message, /ERANGE: its MTU is too large for XDP/);
  assert.match(hint ?? '', /ip link set dev u0 mtu 1500/);
});

test('a program that the verifier refuses fails with its words', { skip }, () => {
  const code = new BpfAssembler().load('u8', 'r0', 'r1', 9999).exit().assemble();
  assert.throws(
    () => loadProgram({ type: PROGRAM_TYPE.xdp, name: 'bad', code }),
    (error: unknown) =>
      error instanceof Failure &&
      error.exitCode === EXIT.kernelRefused &&
      /BPF program bad: the verifier refused it: EACCES: .*invalid bpf_context access/.test(
        error.message,
      ),
  );
});

test('a map gives back what was put in, tells what is not there and when it is full', {
  skip,
}, () => {
  const map = new BpfMap({
    type: MAP_TYPE.hash,
    name: 'numbers',
    keySize: 4,
    valueSize: 8,
    capacity: 2,
  });
  const key = (n: number): Uint8Array => Uint8Array.of(n, 0, 0, 0);
  const value = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const reversed = value.slice().reverse();
  map.update(key(1), value);
  map.update(key(2), reversed);
  assert.deepEqual(map.lookup(key(1)), value);
  assert.deepEqual(map.lookup(key(2)), reversed);
  assert.equal(map.lookup(key(3)), undefined);
  assert.throws(() => map.update(key(3), value), /BPF map numbers: it is full: E2BIG/);
  assert.equal(map.delete(key(1)), true);
  assert.equal(map.delete(key(1)), false);
  assert.equal(map.lookup(key(1)), undefined);
  map.close();
});

test('a killed process leaves no program on the device', { skip }, async () => {
  const script = `
    import { ATTACH_TYPE, createLink, loadProgram, PROGRAM_TYPE } from ${JSON.stringify(BPF)};
    const code = Uint8Array.from(Buffer.from(${JSON.stringify(Buffer.from(passAll()).toString('hex'))}, 'hex'));
    const program = loadProgram({ type: PROGRAM_TYPE.xdp, name: 'pass_all', code });
    const link = { program, link: ${interfaceIndex('u0')}, device: 'u0', attachType: ATTACH_TYPE.xdp };
    console.log(JSON.stringify(createLink(link)));
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data) => {
    output += String(data);
  });
  assert.ok(await eventually(() => output.includes('\n'), 10_000));
  assert.match(output, /"fd":\d+/);
  assert.ok(hasProgram('u0'));
  child.kill('SIGKILL');
  assert.ok(await eventually(() => !hasProgram('u0')));
});

test('without the capabilities the failure says which', {
  skip: skip || (spawnSync('setpriv', ['--version']).error ? 'needs setpriv (util-linux)' : false),
}, () => {
  const script = `
    import { loadProgram, PROGRAM_TYPE } from ${JSON.stringify(BPF)};
    const code = Uint8Array.from(Buffer.from(${JSON.stringify(Buffer.from(passAll()).toString('hex'))}, 'hex'));
    try {
      loadProgram({ type: PROGRAM_TYPE.xdp, name: 'pass_all', code });
    } catch ({ exitCode, message, hint }) {
      console.log(JSON.stringify({ exitCode, message, hint }));
    }
  `;
  const words = ['--bounding-set', '-all', '--inh-caps', '-all', '--', process.execPath];
  const child = spawnSync('setpriv', [...words, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  const { exitCode, message, hint } = JSON.parse(child.stdout);
  assert.equal(exitCode, EXIT.noPermission);
  assert.match(message, /BPF program pass_all: EPERM: the capability CAP_BPF or CAP_NET_ADMIN/);
  assert.match(hint, /setcap cap_bpf/);
});
