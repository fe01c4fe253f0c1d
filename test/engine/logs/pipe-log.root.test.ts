import { spawn, type ChildProcess } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { logFiles, LogFile } from '../../../src/engine/logs/log-file.ts'
import { parseLog } from '../../../src/engine/logs/log-format.ts'
import { PipeLog } from '../../../src/engine/logs/pipe-log.ts'
import { readLog } from '../../../src/engine/logs/log-reader.ts'
import { syscall } from '../../../src/kernel/libc.ts'
import { eventually } from '../../eventually.ts'

const READER = path.join(import.meta.dirname, '../../fixtures/pipe-log-reader.ts')
const S_IFIFO = 0o010000
const AT_FDCWD = -100
const MNT_DETACH = 2

let directory: string
let children: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-pipe-'))
  syscall('mknodat', AT_FDCWD, path.join(directory, 'fifo'), S_IFIFO | 0o600, 0)
  children = []
})
afterEach(async () => {
  await Promise.all(children.map(async (child) => endOf(child, 'SIGKILL')))
  rmSync(directory, { recursive: true })
})

async function endOf(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  if (signal !== undefined) child.kill(signal)
  await ended
}

/** A program that writes numbered lines; the fifo stays open as long as it lives, and beyond by `keeper`. */
function startWriter(lines: number): ChildProcess {
  const script = `exec seq -f '%.0f ${'x'.repeat(90)}' 1 ${lines} > "$0"`
  const child = spawn('sh', ['-c', script, path.join(directory, 'fifo')], { stdio: 'ignore' })
  children.push(child)
  return child
}

async function startReader(maxBytes: number, deathAt = ''): Promise<ChildProcess> {
  const child = spawn(process.execPath, [READER, directory, String(maxBytes), deathAt], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  await new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve()
    })
    child.stdout.once('data', () => {
      resolve()
    })
  })
  return child
}

async function numbersInLog(): Promise<number[]> {
  const numbers: number[] = []
  for await (const batch of readLog(directory, {}))
    numbers.push(...batch.map(({ log }) => Number(log.split(' ')[0])))
  return numbers
}

/** All from 1 to `last`, none lost, none doubled, in order. */
function expectAll(numbers: readonly number[], last: number): void {
  const wrong = numbers.findIndex((number, index) => number !== index + 1)
  expect(
    wrong === -1
      ? undefined
      : { at: wrong, around: numbers.slice(Math.max(0, wrong - 2), wrong + 3) },
  ).toBeUndefined()
  expect(numbers.length).toBe(last)
}

describe('PipeLog', () => {
  test(
    'kill -9 of the reader at random moments, many times: no line is lost or doubled',
    { timeout: 120_000 },
    async () => {
      const lines = 500_000
      const keeper = openSync(path.join(directory, 'fifo'), 'r+')
      const writer = startWriter(lines)
      let kills = 0
      // As fast as it comes up: it dies somewhere in its work each time.
      while (writer.exitCode === null) {
        const reader = await startReader(8 << 20)
        await new Promise((resolve) => setTimeout(resolve, (kills * 7) % 41)) // the moment of its death, not a wait
        await endOf(reader, 'SIGKILL')
        kills++
      }
      await endOf(await startReader(8 << 20), 'SIGTERM')
      closeSync(keeper)
      expect(kills).toBeGreaterThanOrEqual(10)
      expectAll(await numbersInLog(), lines)
    },
  )

  // writeSync: half a record is written. ftruncateSync: in the recovery. renameSync: in a rotation. The others: between two
  // stores into the shared page, of the first records and of later ones.
  test.each([
    'writeSync:1',
    'writeSync:2',
    '+writeSync:3',
    'renameSync:1',
    '+renameSync:2',
    'renameSync:4',
    ...[1, 2, 3, 4, 5, 6, 11, 12].map((count) => `+writeDoubleLE:${count}`),
    ...[2, 3, 4, 5, 6, 7].map((count) => `+writeUInt32LE:${count}`),
  ])('a death at %s: the next reader goes on', async (deathAt) => {
    const keeper = openSync(path.join(directory, 'fifo'), 'r+')
    const writer = startWriter(100_000)
    const victim = await startReader(1 << 20, deathAt)
    await endOf(victim)
    expect(victim.signalCode).toBe('SIGKILL')
    const reader = await startReader(1 << 20)
    await endOf(writer)
    await endOf(reader, 'SIGTERM')
    closeSync(keeper)
    expectAll(await numbersInLog(), 100_000)
  })

  test(
    '1,000,000 lines of 100 bytes: all there, in order, in files of bounded size',
    { timeout: 60_000 },
    async () => {
      const writer = startWriter(1_000_000)
      const reader = await startReader(32 << 20)
      await endOf(writer)
      await endOf(reader, 'SIGTERM')
      expectAll(await numbersInLog(), 1_000_000)
      for (const file of logFiles(directory))
        expect(statSync(file).size).toBeLessThan((32 << 20) + (4 << 20))
    },
  )

  describe('in this process', () => {
    let log: LogFile
    let pipe: PipeLog
    let writer: number
    const seen: Buffer[] = []

    beforeEach(() => {
      log = new LogFile(directory, { maxBytes: 1 << 30, maxFiles: 2 })
      seen.length = 0
      open()
      writer = openSync(path.join(directory, 'fifo'), 'w')
    })
    afterEach(() => {
      pipe.close()
      closeSync(writer)
      log.close()
    })

    function open(): void {
      pipe = new PipeLog({
        fifo: path.join(directory, 'fifo'),
        cursor: path.join(directory, 'cursor'),
        stream: 'stderr',
        log,
        onOutput: (bytes) => {
          seen.push(bytes)
        },
      })
    }

    const records = (): string[] =>
      readFileSync(path.join(directory, 'json.log'), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => parseLog(line)?.log ?? '?')

    test('an unfinished line is shown at once, and logged when it is finished', async () => {
      writeSync(writer, 'half ')
      await eventually('what is shown', () => Buffer.concat(seen).toString() === 'half ')
      expect(records()).toEqual([])
      writeSync(writer, 'line\nnext')
      await eventually('the line', () => records().length === 1)
      await eventually('the rest', () => Buffer.concat(seen).toString() === 'half line\nnext')
      pipe.close()
      expect(records()).toEqual(['half line\n', 'next'])
      expect(Buffer.concat(seen).toString()).toBe('half line\nnext')
    })

    test('a line longer than 16 KiB is logged in pieces that cut no character', async () => {
      const line = `${'€'.repeat(30_000)}\n`
      for (const bytes = Buffer.from(line), at = { offset: 0 }; at.offset < bytes.length;) {
        at.offset += writeSync(writer, bytes, at.offset, Math.min(16_385, bytes.length - at.offset))
        await eventually(
          'that it is seen',
          () => Buffer.concat(seen).length === Math.min(at.offset, bytes.length),
        )
      }
      pipe.close()
      expect(records().length).toBeGreaterThan(1)
      expect(records().join('') === line).toBe(true)
    })

    test('bytes that are no UTF-8 are replaced, and nothing around them is lost', async () => {
      writeSync(
        writer,
        Buffer.concat([Buffer.from('a\n'), Buffer.alloc(20_000, 0xbf), Buffer.from('\nb\n')]),
      )
      await eventually('the last line', () => records().at(-1) === 'b\n')
      expect([records()[0], records().join('').length]).toEqual(['a\n', 2 + 20_000 + 1 + 2])
    })

    test('close() comes to an end though somebody goes on writing', async () => {
      const flood = spawn('sh', ['-c', 'exec yes > "$0"', path.join(directory, 'fifo')], {
        stdio: 'ignore',
      })
      children.push(flood)
      await eventually('output', () => seen.length > 3)
      const before = performance.now()
      pipe.close()
      expect(performance.now() - before).toBeLessThan(5000)
    })

    test('an idle pipe with an unfinished line costs next to nothing', async () => {
      writeSync(writer, '$ ')
      await eventually('the prompt', () => seen.length === 1)
      await eventually('rest', () => records().length === 0)
      const before = process.cpuUsage()
      await new Promise((resolve) => setTimeout(resolve, 1000)) // the time that is measured
      const { user, system } = process.cpuUsage(before)
      expect((user + system) / 1000).toBeLessThan(100)
    })
  })

  test('while the disk is full nothing is lost, and all is logged when there is room', async () => {
    const small = path.join(directory, 'small')
    mkdirSync(small)
    syscall('mount', 'tsstack-test', small, 'tmpfs', 0, 'size=64k')
    try {
      const log = new LogFile(small, { maxBytes: 1 << 30, maxFiles: 2 })
      const pipe = new PipeLog({
        fifo: path.join(directory, 'fifo'),
        cursor: path.join(directory, 'cursor'),
        stream: 'stdout',
        log,
      })
      const writer = openSync(path.join(directory, 'fifo'), 'w')
      writeSync(writer, 'first\n')
      await eventually('the first line', () => log.size > 0)
      const { size } = log
      writeSync(writer, `${'y'.repeat(120_000)}\n`)
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setTimeout(resolve, 50)) // it must fail meanwhile
      expect([log.size, statSync(path.join(small, 'json.log')).size]).toEqual([size, size])
      syscall('mount', 'tsstack-test', small, 'tmpfs', 32, 'size=1m') // MS_REMOUNT
      await eventually('the rest', () => log.size > 120_000)
      pipe.close()
      log.close()
      closeSync(writer)
    } finally {
      syscall('umount2', small, MNT_DETACH)
    }
  })
})
