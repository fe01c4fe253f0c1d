/**
 * Device rules as a program for the kernel: control groups v2 have no devices controller, but ask a BPF program (kernel:
 * admin-guide/cgroup-v2.rst, "Device controller"; BPF_PROG_TYPE_CGROUP_DEVICE).
 *
 *   r2 type, r3 access, r4 major, r5 minor; a block for each rule, the last rule first; what no rule is about is denied
 */
import type { DeviceRule } from './resource-limits.ts'

/** include/uapi/linux/bpf.h: BPF_DEVCG_DEV_…, BPF_DEVCG_ACC_… */
const TYPES = { b: 1, c: 2 } as const
const ACCESS: Readonly<Partial<Record<string, number>>> = { m: 1, r: 2, w: 4 }
const ANY_ACCESS = 7

/** Opcodes (kernel: bpf/standardization/instruction-set.rst). */
const Op = {
  LOAD_WORD: 0x61,
  AND_32: 0x54,
  SHIFT_RIGHT_32: 0x74,
  MOVE_32_REGISTER: 0xbc,
  MOVE: 0xb7,
  JUMP_UNLESS_EQUAL: 0x55,
  JUMP_UNLESS_EQUAL_32_REGISTER: 0x5e,
  EXIT: 0x95,
} as const

interface Instruction {
  readonly op: number
  readonly to: number
  readonly from?: number
  readonly offset?: number
  readonly value?: number
}

const READ_QUESTION: readonly Instruction[] = [
  { op: Op.LOAD_WORD, to: 2, from: 1, offset: 0 },
  { op: Op.AND_32, to: 2, value: 0xffff },
  { op: Op.LOAD_WORD, to: 3, from: 1, offset: 0 },
  { op: Op.SHIFT_RIGHT_32, to: 3, value: 16 },
  { op: Op.LOAD_WORD, to: 4, from: 1, offset: 4 },
  { op: Op.LOAD_WORD, to: 5, from: 1, offset: 8 },
]

/** @returns the program, 8 bytes an instruction */
export function deviceProgram(rules: readonly DeviceRule[]): Buffer {
  const last = rules.findLastIndex(isAboutAll)
  const blocks = rules.slice(Math.max(0, last)).reverse().flatMap(blockOf)
  // The kernel refuses code that can't be reached.
  const otherwise = last === -1 ? answer(false) : []
  return Buffer.concat([...READ_QUESTION, ...blocks, ...otherwise].map(encode))
}

function isAboutAll({ type, access }: DeviceRule): boolean {
  return type === 'a' && maskOf(access) === ANY_ACCESS
}

function maskOf(access: string): number {
  return Array.from(access).reduce((bits, letter) => bits | (ACCESS[letter] ?? 0), 0)
}

function answer(allow: boolean): Instruction[] {
  return [
    { op: Op.MOVE, to: 0, value: allow ? 1 : 0 },
    { op: Op.EXIT, to: 0 },
  ]
}

/** Every test that fails jumps over the rest of the block. */
function blockOf({ allow, type, major, minor, access }: DeviceRule): Instruction[] {
  const mask = maskOf(access)
  const unless = (register: number, value: number): Instruction => ({
    op: Op.JUMP_UNLESS_EQUAL,
    to: register,
    value,
  })
  const tests: Instruction[] = [
    ...(type === 'a' ? [] : [unless(2, TYPES[type])]),
    ...(mask === ANY_ACCESS
      ? []
      : [
          { op: Op.MOVE_32_REGISTER, to: 1, from: 3 },
          { op: Op.AND_32, to: 1, value: mask },
          { op: Op.JUMP_UNLESS_EQUAL_32_REGISTER, to: 1, from: 3 },
        ]),
    ...(type === 'a' || major === undefined ? [] : [unless(4, major)]),
    ...(type === 'a' || minor === undefined ? [] : [unless(5, minor)]),
  ]
  const block = [...tests, ...answer(allow)]
  return block.map((instruction, index) =>
    isJump(instruction) ? { ...instruction, offset: block.length - index - 1 } : instruction,
  )
}

function isJump({ op }: Instruction): boolean {
  return op === Op.JUMP_UNLESS_EQUAL || op === Op.JUMP_UNLESS_EQUAL_32_REGISTER
}

function encode({ op, to, from = 0, offset = 0, value = 0 }: Instruction): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt8(op, 0)
  bytes.writeUInt8(to | (from << 4), 1)
  bytes.writeInt16LE(offset, 2)
  bytes.writeInt32LE(value, 4)
  return bytes
}
