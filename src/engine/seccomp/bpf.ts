/**
 * Classic BPF as seccomp takes it (kernel: userspace-api/seccomp_filter.rst; include/uapi/linux/{filter,seccomp}.h).
 * Programs are lists of instructions whose jumps are forward and relative, so that they can be put behind each other.
 */
import type { SeccompAction, SeccompCondition } from './profile.ts'

/** struct sock_filter. */
export interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

const Code = {
  LOAD: 0x20,
  JUMP: 0x05,
  JEQ: 0x15,
  JGT: 0x25,
  JGE: 0x35,
  AND: 0x54,
  RETURN: 0x06,
} as const
/** Offsets in struct seccomp_data. */
export const DATA_NUMBER = 0
export const DATA_ARCH = 4
const DATA_ARGUMENTS = 16
const MAX_JUMP = 255

const RETURNS = {
  'kill-thread': 0,
  'kill-process': 0x8000_0000,
  trap: 0x0003_0000,
  errno: 0x0005_0000,
  trace: 0x7ff0_0000,
  log: 0x7ffc_0000,
  allow: 0x7fff_0000,
} as const

/** The value that a filter returns for an action. */
export function actionValue(action: SeccompAction): number {
  return RETURNS[action.kind] + ('value' in action ? action.value & 0xffff : 0)
}

export function load(offset: number): Instruction {
  return { code: Code.LOAD, jt: 0, jf: 0, k: offset }
}

export function give(value: number): Instruction {
  return { code: Code.RETURN, jt: 0, jf: 0, k: value }
}

/** If the accumulator is at least `limit` goes on with `then`, else with `otherwise`; both must end in a return. */
export function branch(
  test: 'ge' | 'eq',
  limit: number,
  then: readonly Instruction[],
  otherwise: readonly Instruction[],
): Instruction[] {
  const code = test === 'ge' ? Code.JGE : Code.JEQ
  const far = otherwise.length > MAX_JUMP
  const head: Instruction[] = far
    ? [
        { code, jt: 0, jf: 1, k: limit },
        { code: Code.JUMP, jt: 0, jf: 0, k: otherwise.length },
      ]
    : [{ code, jt: otherwise.length, jf: 0, k: limit }]
  return [...head, ...otherwise, ...then]
}

/** Where a comparison goes on; the others fall through. */
const PASS = -1
const FAIL = -2

function jump(code: number, k: bigint, jt: number, jf: number): Instruction {
  return { code, jt, jf, k: Number(k) }
}

/** The comparison of one 64-bit argument, by halves, with open jumps. */
function compare({ index, operator, value, masked = 0n }: SeccompCondition): Instruction[] {
  const low = load(DATA_ARGUMENTS + index * 8)
  const high = load(DATA_ARGUMENTS + index * 8 + 4)
  const [h, l] = [value >> 32n, value & 0xffff_ffffn]
  const ordered = (code: number, onPass: number, onFail: number): Instruction[] => [
    high,
    jump(Code.JGT, h, onPass, 0),
    jump(Code.JEQ, h, 0, onFail),
    low,
    jump(code, l, onPass, onFail),
  ]
  switch (operator) {
    case 'eq':
      return [high, jump(Code.JEQ, h, 0, FAIL), low, jump(Code.JEQ, l, PASS, FAIL)]
    case 'ne':
      return [high, jump(Code.JEQ, h, 0, PASS), low, jump(Code.JEQ, l, FAIL, PASS)]
    case 'ge':
      return ordered(Code.JGE, PASS, FAIL)
    case 'gt':
      return ordered(Code.JGT, PASS, FAIL)
    case 'lt':
      return ordered(Code.JGE, FAIL, PASS)
    case 'le':
      return ordered(Code.JGT, FAIL, PASS)
    case 'masked-eq':
      return [
        ...[high, jump(Code.AND, h, 0, 0), jump(Code.JEQ, masked >> 32n, 0, FAIL)],
        ...[low, jump(Code.AND, l, 0, 0), jump(Code.JEQ, masked & 0xffff_ffffn, PASS, FAIL)],
      ]
  }
}

/** `return value` where all conditions hold; where one doesn't, goes on behind the last instruction. */
export function rule(conditions: readonly SeccompCondition[], value: number): Instruction[] {
  const parts = conditions.map(compare)
  const length = parts.reduce((sum, part) => sum + part.length, 0) + 1
  const code: Instruction[] = []
  for (const part of parts) {
    const start = code.length
    part.forEach((instruction, position) => {
      const close = (offset: number): number => {
        if (offset >= 0) return offset
        return (offset === PASS ? start + part.length : length) - (start + position) - 1
      }
      const { jt, jf } = instruction
      code.push({ ...instruction, jt: close(jt), jf: close(jf) })
    })
  }
  return [...code, give(value)]
}

/** struct sock_filter[], little-endian as both machines are. */
export function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(({ code, jt, jf, k }, index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jt, index * 8 + 2)
    bytes.writeUInt8(jf, index * 8 + 3)
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  })
  return bytes
}
