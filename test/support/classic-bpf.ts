// Classic BPF run one instruction at a time, as the kernel's documentation describes it: the oracle for filters.
// Of what the kernel says besides the packet (ancillary loads) there is the IP header in front of it.

const INSTRUCTION_SIZE = 8;
const U32 = 2 ** 32;

interface Machine {
  a: number;
  x: number;
  readonly memory: number[];
  readonly packet: Uint8Array;
  /** From the IP header on. */
  readonly network: Uint8Array;
}

/** linux/filter.h: SKF_NET_OFF. Loads from here on count from the IP header. */
const NETWORK = 0xfff0_0000;

/**
 * How many bytes of `packet` the filter keeps; 0 = it drops it. A load outside of the packet drops it. `network`: the
 * packet from its IP header on, where a socket has it without.
 */
export function runFilter(code: Uint8Array, packet: Uint8Array, network = packet): number {
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  const machine: Machine = { a: 0, x: 0, memory: new Array<number>(16).fill(0), packet, network };
  for (let at = 0; at * INSTRUCTION_SIZE < code.length; at++) {
    const offset = at * INSTRUCTION_SIZE;
    const operation = view.getUint16(offset, true);
    const k = view.getUint32(offset + 4, true);
    switch (operation & 0x07) {
      case 0x00:
      case 0x01: {
        const value = load(machine, operation, k);
        if (value === undefined) return 0;
        if ((operation & 0x07) === 0) machine.a = value;
        else machine.x = value;
        break;
      }
      case 0x02:
        machine.memory[k] = machine.a;
        break;
      case 0x03:
        machine.memory[k] = machine.x;
        break;
      case 0x04: {
        const result = calculate(operation, machine.a, (operation & 0x08) === 0 ? k : machine.x);
        if (result === undefined) return 0;
        machine.a = result;
        break;
      }
      case 0x05:
        at += jump(operation, machine, k, view.getUint8(offset + 2), view.getUint8(offset + 3));
        break;
      case 0x06:
        return (operation & 0x18) === 0x10 ? machine.a : k;
      default:
        if ((operation & 0xf8) === 0) machine.x = machine.a;
        else machine.a = machine.x;
    }
  }
  throw new Error('the filter ran off its end');
}

/** LD and LDX. Undefined outside of the packet. */
function load(machine: Machine, operation: number, k: number): number | undefined {
  const { x, memory, packet } = machine;
  const size = [4, 2, 1][(operation >>> 3) & 3] ?? 0;
  const at = (offset: number, length: number): number | undefined => {
    const bytes = offset >= NETWORK ? machine.network : packet;
    const from = offset >= NETWORK ? offset - NETWORK : offset;
    if (from + length > bytes.length) return undefined;
    let value = 0;
    for (let n = 0; n < length; n++) value = value * 256 + (bytes[from + n] ?? 0);
    return value;
  };
  switch (operation & 0xe0) {
    case 0x00:
      return k;
    case 0x20:
      return at(k, size);
    case 0x40:
      return at(x + k, size);
    case 0x60:
      return memory[k];
    case 0x80:
      return packet.length;
    case 0xa0: {
      const byte = at(k, 1);
      return byte === undefined ? undefined : 4 * (byte & 15);
    }
    default:
      throw new Error(`no such load: ${operation}`);
  }
}

function calculate(operation: number, a: number, operand: number): number | undefined {
  switch (operation & 0xf0) {
    case 0x00:
      return (a + operand) % U32;
    case 0x10:
      return (a - operand + U32) % U32;
    case 0x20:
      return Number((BigInt(a) * BigInt(operand)) % BigInt(U32));
    case 0x40:
      return (a | operand) >>> 0;
    case 0x50:
      return (a & operand) >>> 0;
    case 0x60:
      return (a << operand) >>> 0;
    case 0x70:
      return a >>> operand;
    case 0x90:
      return operand === 0 ? undefined : a % operand;
    case 0xa0:
      return (a ^ operand) >>> 0;
    default:
      throw new Error(`no such calculation: ${operation}`);
  }
}

/** How far a jump goes beyond the next instruction. */
function jump(operation: number, { a, x }: Machine, k: number, yes: number, no: number): number {
  const operand = (operation & 0x08) === 0 ? k : x;
  switch (operation & 0xf0) {
    case 0x00:
      return k;
    case 0x10:
      return a === operand ? yes : no;
    case 0x20:
      return a > operand ? yes : no;
    case 0x30:
      return a >= operand ? yes : no;
    case 0x40:
      return (a & operand) !== 0 ? yes : no;
    default:
      throw new Error(`no such jump: ${operation}`);
  }
}
