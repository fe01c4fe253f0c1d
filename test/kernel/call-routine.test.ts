import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ROWS as ARM64 } from '../../src/kernel/call-routine/arm64.ts'
import { ROWS as X64 } from '../../src/kernel/call-routine/x64.ts'
import { SyscallList } from '../../src/kernel/syscall-list.ts'
import { disassemble, isInstalled, objdumpOf } from '../disassemble.ts'
import { armProgram, readHeader, readResult, type ArmEntry } from './arm-program.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-routine-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

describe('call routine', () => {
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

  test('jumps lead to where the comments of the rows say that they do', () => {
    for (const rows of [X64, ARM64]) {
      const starts = new Set<number>()
      let offset = 0
      for (const [bytes] of rows) {
        starts.add(offset)
        offset += bytes.length / 2
      }
      const targets = rows.flatMap(
        ([, assembly]) =>
          /^(?:j\w+|b|b\.\w+|cbn?z|tbn?z) .*?([0-9a-f]+)$/.exec(assembly)?.[1] ?? [],
      )
      expect(targets.length).toBeGreaterThan(8)
      for (const target of targets) expect(starts).toContain(parseInt(target, 16))
    }
  })

  test('this machine runs its routine', () => {
    const list = new SyscallList()
    const pid = list.call('getpid', [])
    try {
      list.runSync()
      expect(list.result(pid)).toBe(process.pid)
    } finally {
      list.free()
    }
  })
})

// The numbers of include/uapi/asm-generic/unistd.h.
const ARM = { close: 57, write: 64, exit_group: 94, getpid: 172, clone: 220, wait4: 260 } as const
const SIGCHLD = 17
const WAIT_ALL = 0x4000_0000
const EBADF = 9
const Flag = { IgnoreError: 1, LeaveParent: 2, Return: 4, Fork: 8 } as const

/** The arm64 routine on this machine's kernel, by emulation. Memory is not shared with clones there (a fork each). */
describe.skipIf(!isInstalled('qemu-aarch64'))(
  'call routine for arm64, emulated (needs qemu-user)',
  () => {
    interface Run {
      readonly status: number | null
      readonly printed: string
      readonly memory: Buffer
    }

    /** Runs a list; the program prints, and then, when the routine returns, the list's memory. */
    function run(entries: readonly ArmEntry[], cleanUp?: number): Run {
      const { elf, memoryBytes } = armProgram(ARM64.map(([bytes]) => bytes).join(''), {
        entries,
        cleanUp,
      })
      const file = path.join(directory, 'program')
      writeFileSync(file, elf, { mode: 0o755 })
      const { status, stdout } = spawnSync('qemu-aarch64', [file], { timeout: 20_000 })
      const end = Math.max(0, stdout.length - memoryBytes)
      return { status, printed: stdout.toString('latin1', 0, end), memory: stdout.subarray(end) }
    }

    const print = (text: string, flags = 0): ArmEntry => ({
      number: ARM.write,
      args: [1, text, text.length],
      flags,
    })

    test('runs calls in order and stores their results', () => {
      const { status, printed, memory } = run([
        print('one '),
        print('three '),
        { number: ARM.getpid, flags: Flag.Return },
        print('never'),
      ])
      expect([status, printed]).toEqual([0, 'one three '])
      expect([readResult(memory, 0), readResult(memory, 1)]).toEqual([4, 6])
      expect(readResult(memory, 2)).toBeGreaterThan(1)
      expect(readHeader(memory)).toEqual({ failed: undefined, result: 0, forked: 0 })
    })

    test('a result becomes the argument of a later call', () => {
      const { printed } = run([
        { number: ARM.write, args: [1, 'abcdef', 3], resultTo: { entry: 1, argument: 2 } },
        { number: ARM.write, args: [1, 'uvwxyz', 0] },
        { number: ARM.getpid, flags: Flag.Return },
      ])
      expect(printed).toBe('abcuvw')
    })

    test('an ignored error is stored, and the list goes on', () => {
      const { status, printed, memory } = run([
        { number: ARM.close, args: [99], flags: Flag.IgnoreError },
        print('on'),
        { number: ARM.getpid, flags: Flag.Return },
      ])
      expect([status, printed, readResult(memory, 0)]).toEqual([0, 'on', -EBADF])
      expect(readHeader(memory).failed).toBeUndefined()
    })

    test('an error is recorded with its entry, and ends the list', () => {
      const { status, printed, memory } = run([
        print('a'),
        { number: ARM.close, args: [99] },
        print('b'),
        { number: ARM.getpid, flags: Flag.Return },
      ])
      expect([status, printed]).toEqual([0, 'a'])
      expect(readHeader(memory)).toMatchObject({ failed: 1, result: -EBADF })
    })

    test('after an error the clean-up entries run, once', () => {
      const entries = [
        { number: ARM.close, args: [99] },
        print('never'),
        print('clean'),
        { number: ARM.close, args: [98] },
        print('no'),
      ]
      const { printed, memory } = run([...entries, { number: ARM.getpid, flags: Flag.Return }], 2)
      expect(printed).toBe('clean')
      expect(readHeader(memory)).toMatchObject({ failed: 3, result: -EBADF })
    })

    test('FORK: the child goes on with the next entry, the parent with the one named', () => {
      const { status, printed, memory } = run([
        { number: ARM.clone, args: [SIGCHLD], flags: Flag.Fork, parentAt: 3 },
        print('child '),
        { number: ARM.exit_group, args: [7] },
        { number: ARM.wait4, args: [-1, { cell: 1 }, WAIT_ALL, 0] },
        print('parent '),
        { number: ARM.getpid, flags: Flag.Return },
      ])
      expect([status, printed]).toEqual([0, 'child parent '])
      expect(readHeader(memory).forked).toBeGreaterThan(1)
      expect(memory.readUInt32LE(memory.length - 8)).toBe(7 << 8)
    })

    test('an error in a child ends it with status 127', () => {
      const { printed, memory } = run([
        { number: ARM.clone, args: [SIGCHLD], flags: Flag.Fork, parentAt: 3 },
        { number: ARM.close, args: [99] },
        print('never'),
        { number: ARM.wait4, args: [-1, { cell: 1 }, WAIT_ALL, 0] },
        { number: ARM.getpid, flags: Flag.Return },
      ])
      expect(printed).toBe('')
      expect(memory.readUInt32LE(memory.length - 8)).toBe(127 << 8)
    })

    test('LEAVE_PARENT: the parent of a nested clone leaves with status 0, its child goes on', () => {
      const { printed, memory } = run([
        { number: ARM.clone, args: [SIGCHLD], flags: Flag.Fork, parentAt: 4 },
        { number: ARM.clone, args: [SIGCHLD], flags: Flag.LeaveParent },
        print('inner '),
        { number: ARM.exit_group, args: [3] },
        { number: ARM.wait4, args: [-1, { cell: 1 }, WAIT_ALL, 0] },
        { number: ARM.getpid, flags: Flag.Return },
      ])
      expect(printed).toBe('inner ')
      expect(memory.readUInt32LE(memory.length - 8)).toBe(0)
    })
  },
)
