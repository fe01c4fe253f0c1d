import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { logFiles, LogFile } from '../../../src/engine/logs/log-file.ts'
import { formatLog, type LogRecord } from '../../../src/engine/logs/log-format.ts'
import { readLog, type ReadLogOptions } from '../../../src/engine/logs/log-reader.ts'

let directory: string
let log: LogFile

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-log-'))
})
afterEach(() => {
  log.close()
  fs.rmSync(directory, { recursive: true })
})

const time = (second: number): string =>
  `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000000Z`

function openLog(maxBytes: number, maxFiles: number): void {
  log = new LogFile(directory, { maxBytes, maxFiles })
}

function write(text: string, second = 0, stream: 'stdout' | 'stderr' = 'stdout'): void {
  log.append(formatLog(Buffer.from(text), stream, time(second)))
  log.rotateIfFull()
}

async function read(options: ReadLogOptions = {}): Promise<string[]> {
  const texts: string[] = []
  for await (const batch of readLog(directory, options))
    texts.push(...batch.map((record) => record.log))
  return texts
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${from + index}\n`)

describe('LogFile', () => {
  test('keeps so many files and no more, none much larger than its bound', () => {
    openLog(1000, 3)
    for (let index = 0; index < 1000; index++) write(`${index}\n`)
    const files = logFiles(directory)
    expect(files.map((file) => path.basename(file))).toEqual([
      'json.log',
      'json.log.1',
      'json.log.2',
    ])
    for (const file of files) expect(fs.statSync(file).size).toBeLessThan(1100)
  })

  test('one file only: the old one is dropped', () => {
    openLog(1000, 1)
    for (let index = 0; index < 100; index++) write(`${index}\n`)
    expect(logFiles(directory).length).toBe(1)
  })

  test('fewer files from now on: those beyond are dropped at the next rotation', () => {
    openLog(200, 5)
    for (let index = 0; index < 100; index++) write(`${index}\n`)
    log.bounds = { maxBytes: 200, maxFiles: 2 }
    for (let index = 0; index < 10; index++) write(`${index}\n`)
    expect(logFiles(directory).length).toBe(2)
  })

  test('a rotation that was cut short drops no file early', async () => {
    openLog(200, 4)
    for (let index = 0; index < 8; index++) write(`${index}\n`)
    const before = await read()
    const [oldest = ''] = logFiles(directory).reverse()
    fs.renameSync(oldest, path.join(directory, 'json.log.3')) // as if killed after the first rename
    expect(await read()).toEqual(before)
    while (logFiles(directory).length < 4) write('more\n')
    expect((await read()).slice(0, before.length)).toEqual(before)
  })

  test('truncate() takes back what came after', async () => {
    openLog(1e6, 2)
    write('kept\n')
    const { size } = log
    log.append(Buffer.from('{"log":"half'))
    log.truncate(size)
    write('next\n')
    expect(await read()).toEqual(['kept\n', 'next\n'])
  })
})

describe('readLog()', () => {
  test('gives all lines of all files in order', async () => {
    openLog(500, 100)
    for (const text of numbered(0, 300)) write(text)
    expect(await read()).toEqual(numbered(0, 300))
  })

  test('tail, since and until', async () => {
    openLog(300, 100)
    for (let index = 0; index < 50; index++) write(`${index}\n`, index)
    expect(await read({ tail: 3 })).toEqual(numbered(47, 50))
    expect(await read({ tail: 0 })).toEqual([])
    expect(await read({ tail: 1000 })).toEqual(numbered(0, 50))
    expect(await read({ since: time(10), until: time(12) })).toEqual(numbered(10, 13))
    expect(await read({ since: time(10), until: time(20), tail: 2 })).toEqual(numbered(19, 21))
  })

  test('puts pieces of a long line together, each stream for itself', async () => {
    openLog(1e6, 2)
    write('one ')
    write('err ', 0, 'stderr')
    write('line\n')
    write('or\n', 0, 'stderr')
    write('unfinished')
    expect(await read()).toEqual(['one line\n', 'err or\n', 'unfinished'])
    expect(await read({ tail: 1 })).toEqual(['unfinished'])
  })

  test('passes over a damaged line', async () => {
    openLog(1e6, 2)
    write('a\n')
    log.append(Buffer.from('garbage\n'))
    write('b\n')
    expect(await read()).toEqual(['a\n', 'b\n'])
  })

  test('characters may lie across the border of two reads', async () => {
    openLog(1e8, 2)
    const text = `${'é𝄞"'.repeat(100_001)}\n`
    write(text)
    expect((await read()).join('') === text).toBe(true)
  })

  test('a log that does not exist yet is empty', async () => {
    openLog(1e6, 2)
    const texts: string[] = []
    for await (const batch of readLog(path.join(directory, 'none'), {}))
      texts.push(...batch.map((record) => record.log))
    expect(texts).toEqual([])
  })

  test('a reader that follows loses nothing to rotations, however slow it is', async () => {
    openLog(400, 1000)
    const stop = new AbortController()
    const texts: string[] = []
    let written = 0
    for (; written < 30; written++) write(`${written}\n`)
    for await (const batch of readLog(directory, { follow: log, signal: stop.signal })) {
      texts.push(...batch.map((record) => record.log))
      // Rotate behind its back, several times for each batch.
      for (const until = Math.min(written + 20, 1000); written < until; written++)
        write(`${written}\n`)
      if (written === 1000) stop.abort()
    }
    expect(texts).toEqual(numbered(0, 1000))
  })

  test('a reader that is rotated away goes on with the oldest that is left', async () => {
    openLog(200, 3)
    write('first\n')
    const reader = readLog(directory, {})
    const first = (await reader.next()) as IteratorYieldResult<LogRecord[]>
    for (let index = 0; index < 100; index++) write(`${index}\n`)
    const rest: string[] = []
    for await (const batch of reader) rest.push(...batch.map((record) => record.log))
    expect(first.value.map((record) => record.log)).toEqual(['first\n'])
    expect(rest.at(-1)).toBe('99\n')
    const numbers = rest.slice(rest.findIndex((text) => text.length > 2)).map(Number)
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
  })
})
