// Loaded before a program: from there on the kernel has no IPv6 for it, as if started with ipv6.disable=1. What socket(2)
// says is what it says there; systemd does the same for RestrictAddressFamilies=.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { NativeBlock } from '../../src/sys/libc.js';
import { AF_INET6 } from '../../src/sys/socket.js';

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
/** socket(2), by the name that Node has for the processor. */
const SOCKET_CALL: Readonly<Record<string, number>> = { x64: 41, arm64: 198 };
const EAFNOSUPPORT = 97;
const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_ERRNO = 0x00050000;
/** Of struct seccomp_data: number of the call, low word of its first argument. */
const CALL = 0;
const FAMILY = 16;

// linux/bpf_common.h
const LD_W_ABS = 0x20;
const JEQ_K = 0x15;
const RET_K = 0x06;

/** Words in front of a command. */
export const WITHOUT_IPV6 = ['env', `NODE_OPTIONS=--import=${fileURLToPath(import.meta.url)}`];

function denyIpv6(): void {
  const steps = [
    [LD_W_ABS, 0, 0, CALL],
    [JEQ_K, 0, 3, SOCKET_CALL[process.arch] ?? -1],
    [LD_W_ABS, 0, 0, FAMILY],
    [JEQ_K, 0, 1, AF_INET6],
    [RET_K, 0, 0, SECCOMP_RET_ERRNO | EAFNOSUPPORT],
    [RET_K, 0, 0, SECCOMP_RET_ALLOW],
  ];
  const filter = new NativeBlock(steps.length * 8);
  for (const [index, [code = 0, yes = 0, no = 0, k = 0]] of steps.entries()) {
    filter.view.setUint16(index * 8, code, true);
    filter.view.setUint8(index * 8 + 2, yes);
    filter.view.setUint8(index * 8 + 3, no);
    filter.view.setUint32(index * 8 + 4, k, true);
  }
  const program = new NativeBlock(16);
  program.view.setUint16(0, steps.length, true);
  program.view.setBigUint64(8, BigInt(filter.address), true);
  const prctl: (option: number, second: number, third: number, ...rest: number[]) => number = koffi
    .load('libc.so.6')
    .func('int prctl(int option, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e)');
  assert.equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  assert.equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program.address, 0, 0), 0);
}

if (process.env.NODE_OPTIONS?.includes(fileURLToPath(import.meta.url))) denyIpv6();
