import { describe, expect, test } from 'vitest'
import { ROWS as ARM64 } from '../../src/engine/init/arm64.ts'
import { initElf } from '../../src/engine/init/program.ts'
import { ROWS as X64 } from '../../src/engine/init/x64.ts'
import { disassemble, objdumpOf } from '../disassemble.ts'

describe('init program', () => {
  test.skipIf(objdumpOf('x64') === undefined)(
    'the bytes of x64 are what its assembly says (needs binutils)',
    () => {
      const { said, found } = disassemble('x64', X64)
      expect(found).toEqual(said)
    },
  )

  test.skipIf(objdumpOf('arm64') === undefined)(
    'the bytes of arm64 are what its assembly says (needs binutils-aarch64-linux-gnu)',
    () => {
      const { said, found } = disassemble('arm64', ARM64)
      expect(found).toEqual(said)
    },
  )

  test.each(['x64', 'arm64'] as const)(
    'initElf(%s) is a program that begins with its first row',
    (machine) => {
      const elf = initElf(machine)
      const entry = Number(elf.readBigUInt64LE(24) - elf.readBigUInt64LE(80))
      const first = (machine === 'x64' ? X64 : ARM64)[0]?.[0] ?? ''
      expect(elf.toString('hex', entry, entry + first.length / 2)).toBe(first)
      expect(elf.readBigUInt64LE(96)).toBe(BigInt(elf.length))
    },
  )
})
