// An assembler for the few BPF instructions that grebe's programs need (RFC 9669).
//
//   opcode u8 | destination and source register, 4 bits each | jump offset i16 | immediate i32
//
// Programs are written for little-endian machines, as all that Node runs on but s390x: a 16-bit field
// of a packet is compared with `wire16(value)`.

/** r0 result, r1 to r5 arguments (lost in a call), r6 to r9 kept, r10 end of the stack (read only). */
export type Register = 'r0' | 'r1' | 'r2' | 'r3' | 'r4' | 'r5' | 'r6' | 'r7' | 'r8' | 'r9' | 'r10';

/** A register, or a signed 32-bit immediate (sign-extended to 64 bits). */
export type Operand = Register | number;

export type Width = 'u8' | 'u16' | 'u32' | 'u64';

/** Unsigned comparisons of 64 bits; `set`: some bit of the operand is set. */
export type Condition = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'set';

// Instruction classes and modes (RFC 9669, 3.1, 4 and 5).
const LD_IMM64 = 0x18;
const LDX_MEM = 0x61;
const ST_MEM = 0x62;
const STX_MEM = 0x63;
const STX_ATOMIC_64 = 0xdb;
const ALU64 = 0x07;
const JMP = 0x05;
const CALL = 0x85;
const EXIT = 0x95;
/** Bit of an opcode: the operand is a register, not the immediate. */
const SOURCE_REGISTER = 0x08;
/** Source register of LD_IMM64: the immediate is a map's descriptor (RFC 9669, 5.4.1). */
const PSEUDO_MAP_FD = 1;

const WIDTHS: Readonly<Record<Width, number>> = { u32: 0x00, u16: 0x08, u8: 0x10, u64: 0x18 };
const OPERATIONS = { add: 0x00, sub: 0x10, or: 0x40, and: 0x50, lsh: 0x60, rsh: 0x70, mov: 0xb0 };
const CONDITIONS: Readonly<Record<Condition, number>> = {
  eq: 0x10,
  gt: 0x20,
  ge: 0x30,
  set: 0x40,
  ne: 0x50,
  lt: 0xa0,
  le: 0xb0,
};

const INSTRUCTION_SIZE = 8;

interface Instruction {
  readonly opcode: number;
  readonly destination: Register;
  readonly source: Register | typeof PSEUDO_MAP_FD;
  readonly offset: number;
  readonly immediate: number;
  /** Label that `offset` is to lead to. */
  readonly target?: string | undefined;
}

/** Collects instructions; each method appends one and returns the assembler. */
export class BpfAssembler {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();

  /** Names the place of the next instruction. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new RangeError(`label ${name} is there twice`);
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  mov(destination: Register, operand: Operand): this {
    return this.#calculate('mov', destination, operand);
  }

  add(destination: Register, operand: Operand): this {
    return this.#calculate('add', destination, operand);
  }

  sub(destination: Register, operand: Operand): this {
    return this.#calculate('sub', destination, operand);
  }

  and(destination: Register, operand: Operand): this {
    return this.#calculate('and', destination, operand);
  }

  or(destination: Register, operand: Operand): this {
    return this.#calculate('or', destination, operand);
  }

  /** Shifts left. */
  lsh(destination: Register, operand: Operand): this {
    return this.#calculate('lsh', destination, operand);
  }

  /** Shifts right, zeros coming in. */
  rsh(destination: Register, operand: Operand): this {
    return this.#calculate('rsh', destination, operand);
  }

  /** destination = *(width *)(base + offset), zero-extended. */
  load(width: Width, destination: Register, base: Register, offset: number): this {
    return this.#append(LDX_MEM | WIDTHS[width], destination, base, offset, 0);
  }

  /** *(width *)(base + offset) = operand. */
  store(width: Width, base: Register, offset: number, operand: Operand): this {
    return typeof operand === 'number'
      ? this.#append(ST_MEM | WIDTHS[width], base, 'r0', offset, operand)
      : this.#append(STX_MEM | WIDTHS[width], base, operand, offset, 0);
  }

  /** *(u64 *)(base + offset) += source, atomically. */
  atomicAdd(base: Register, offset: number, source: Register): this {
    return this.#append(STX_ATOMIC_64, base, source, offset, 0);
  }

  /** destination = the map that `fd` stands for; takes the room of two instructions. */
  loadMap(destination: Register, fd: number): this {
    this.#append(LD_IMM64, destination, PSEUDO_MAP_FD, 0, fd);
    return this.#append(0, 'r0', 'r0', 0, 0);
  }

  /** Goes on at `target`, which lies further down, if `left` compares with `right`. */
  jumpIf(left: Register, condition: Condition, right: Operand, target: string): this {
    const opcode = JMP | CONDITIONS[condition];
    return typeof right === 'number'
      ? this.#append(opcode, left, 'r0', 0, right, target)
      : this.#append(opcode | SOURCE_REGISTER, left, right, 0, 0, target);
  }

  jump(target: string): this {
    return this.#append(JMP, 'r0', 'r0', 0, 0, target);
  }

  /** Calls helper number `helper`: arguments in r1 to r5, result in r0. */
  call(helper: number): this {
    return this.#append(CALL, 'r0', 'r0', 0, helper);
  }

  /** Ends the program with r0 as its result. */
  exit(): this {
    return this.#append(EXIT, 'r0', 'r0', 0, 0);
  }

  /** The program as the kernel takes it. Throws a RangeError for a label that is not there. */
  assemble(): Uint8Array {
    const bytes = new Uint8Array(this.#instructions.length * INSTRUCTION_SIZE);
    const view = new DataView(bytes.buffer);
    this.#instructions.forEach((instruction, index) => {
      const at = index * INSTRUCTION_SIZE;
      const source = instruction.source === PSEUDO_MAP_FD ? 1 : numberOf(instruction.source);
      view.setUint8(at, instruction.opcode);
      view.setUint8(at + 1, (source << 4) | numberOf(instruction.destination));
      view.setInt16(at + 2, this.#offsetOf(instruction, index), true);
      view.setInt32(at + 4, instruction.immediate, true);
    });
    return bytes;
  }

  #calculate(operation: keyof typeof OPERATIONS, destination: Register, operand: Operand): this {
    const opcode = ALU64 | OPERATIONS[operation];
    return typeof operand === 'number'
      ? this.#append(opcode, destination, 'r0', 0, operand)
      : this.#append(opcode | SOURCE_REGISTER, destination, operand, 0, 0);
  }

  #append(
    opcode: number,
    destination: Register,
    source: Register | typeof PSEUDO_MAP_FD,
    offset: number,
    immediate: number,
    target?: string,
  ): this {
    if ((immediate | 0) !== immediate) throw new RangeError(`${immediate} is no 32-bit integer`);
    this.#instructions.push({ opcode, destination, source, offset, immediate, target });
    return this;
  }

  /** Jumps count from the instruction behind them. */
  #offsetOf({ offset, target }: Instruction, index: number): number {
    if (target === undefined) return offset;
    const place = this.#labels.get(target);
    if (place === undefined) throw new RangeError(`no label ${target}`);
    // A program that only goes forward ends; the kernel would have to prove it of any other.
    if (place <= index) throw new RangeError(`label ${target} lies behind its jump`);
    return place - index - 1;
  }
}

/** A 16-bit wire field as a little-endian load sees it. */
export function wire16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

function numberOf(register: Register): number {
  return Number(register.slice(1));
}
