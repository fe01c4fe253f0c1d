/**
 * A static arm64 program around the call routine, made byte by byte: it calls the routine with a list, writes the list's
 * memory to standard output, and leaves. The list is laid out as src/kernel/syscall-list.ts draws it.
 */

export interface ArmEntry {
  readonly number: number
  /** A text stands for its address, `cell` for the address of one of two words at the end of the memory. */
  readonly args?: readonly (number | string | { readonly cell: 0 | 1 })[]
  readonly flags?: number
  /** Index of the entry at which the parent goes on. */
  readonly parentAt?: number
  /** The result goes into an argument of another entry; default: it is kept for `readResult`. */
  readonly resultTo?: { readonly entry: number; readonly argument: number }
}

const BASE = 0x40_0000
const CODE = 0x1000
const LIST = 0x2000
const HEADER_BYTES = 32
const ENTRY_BYTES = 80
const CELLS_BYTES = 16
const STARTUP_BYTES = 256

const entryAt = (index: number): number => BASE + LIST + HEADER_BYTES + index * ENTRY_BYTES

export function readResult(memory: Buffer, index: number): number {
  return Number(memory.readBigInt64LE(HEADER_BYTES + index * ENTRY_BYTES + 72))
}

/** Which entry failed, by index, and its result; the process that was forked, 0 for none. */
export function readHeader(memory: Buffer): {
  failed: number | undefined
  result: number
  forked: number
} {
  const failed = Number(memory.readBigInt64LE(0))
  return {
    failed: failed === 0 ? undefined : (failed - entryAt(0)) / ENTRY_BYTES,
    result: Number(memory.readBigInt64LE(8)),
    forked: Number(memory.readBigInt64LE(24)),
  }
}

export function armProgram(
  routine: string,
  list: { readonly entries: readonly ArmEntry[]; readonly cleanUp?: number | undefined },
): { readonly elf: Buffer; readonly memoryBytes: number } {
  const memory = encodeList(list.entries, list.cleanUp)
  const image = Buffer.alloc(LIST + memory.length)
  elfHeader(image.length).copy(image)
  startup(memory.length).copy(image, CODE)
  Buffer.from(routine, 'hex').copy(image, CODE + STARTUP_BYTES)
  memory.copy(image, LIST)
  return { elf: image, memoryBytes: memory.length }
}

function encodeList(entries: readonly ArmEntry[], cleanUp: number | undefined): Buffer {
  const texts = entries.flatMap((entry) =>
    (entry.args ?? []).filter((argument) => typeof argument === 'string'),
  )
  const textStart = HEADER_BYTES + entries.length * ENTRY_BYTES
  const textBytes = texts.reduce((sum, text) => sum + text.length, 0)
  const cells = (textStart + textBytes + 7) & ~7
  const memory = Buffer.alloc(cells + CELLS_BYTES)
  if (cleanUp !== undefined) memory.writeBigInt64LE(BigInt(entryAt(cleanUp)), 16)
  let nextText = textStart
  entries.forEach(({ number, args = [], flags = 0, parentAt, resultTo }, index) => {
    const at = HEADER_BYTES + index * ENTRY_BYTES
    memory.writeBigInt64LE(BigInt(number), at)
    args.forEach((argument, position) => {
      let value: number
      if (typeof argument === 'number') value = argument
      else if (typeof argument === 'string') {
        value = BASE + LIST + nextText
        nextText += memory.write(argument, nextText, 'latin1')
      } else value = BASE + LIST + cells + 8 * argument.cell
      memory.writeBigInt64LE(BigInt(value), at + 8 + position * 8)
    })
    const own = parentAt === undefined ? entryAt(index) + 72 : 0
    const result =
      resultTo === undefined ? own : entryAt(resultTo.entry) + 8 + resultTo.argument * 8
    memory.writeBigInt64LE(BigInt(result), at + 56)
    memory.writeBigInt64LE(BigInt(flags), at + 64)
    if (parentAt !== undefined) memory.writeBigInt64LE(BigInt(entryAt(parentAt)), at + 72)
  })
  return memory
}

const MOVZ = 0xd280_0000
const MOVK = 0xf280_0000
const SVC = 0xd400_0001

/** Arm Architecture Reference Manual, C6.2: MOVZ and MOVK with a shift of 16. */
function load(register: number, value: number): number[] {
  return [
    (MOVZ | ((value & 0xffff) << 5) | register) >>> 0,
    (MOVK | (1 << 21) | ((value >>> 16) << 5) | register) >>> 0,
  ]
}

function startup(memoryBytes: number): Buffer {
  const beforeCall = load(0, BASE + LIST)
  const toRoutine = (STARTUP_BYTES - beforeCall.length * 4) / 4
  const words = [
    ...beforeCall,
    (0x9400_0000 | toRoutine) >>> 0, // bl
    ...[...load(0, 1), ...load(1, BASE + LIST), ...load(2, memoryBytes), ...load(8, 64), SVC], // write
    ...[...load(0, 0), ...load(8, 94), SVC], // exit_group
  ]
  const bytes = Buffer.alloc(STARTUP_BYTES)
  words.forEach((word, index) => {
    bytes.writeUInt32LE(word, index * 4)
  })
  return bytes
}

/** One segment that may be read, written and executed (System V ABI, ELF-64). */
function elfHeader(length: number): Buffer {
  const header = Buffer.alloc(64 + 56)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(2, 16) // ET_EXEC
  header.writeUInt16LE(183, 18) // EM_AARCH64
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(BigInt(BASE + CODE), 24) // e_entry
  header.writeBigUInt64LE(64n, 32) // e_phoff
  header.writeUInt16LE(64, 52)
  header.writeUInt16LE(56, 54)
  header.writeUInt16LE(1, 56)
  header.writeUInt32LE(1, 64) // PT_LOAD
  header.writeUInt32LE(7, 68)
  header.writeBigUInt64LE(BigInt(BASE), 80)
  header.writeBigUInt64LE(BigInt(BASE), 88)
  header.writeBigUInt64LE(BigInt(length), 96)
  header.writeBigUInt64LE(BigInt(length), 104)
  header.writeBigUInt64LE(0x1000n, 112)
  return header
}
