/** Logs on a disk that is full: output of a terminal, and the next file. */
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openPipeIo, prepareFifos, type ContainerIo } from '../../../src/engine/container-io.ts'
import { LogFile, logFiles } from '../../../src/engine/logs/log-file.ts'
import { readLog } from '../../../src/engine/logs/log-reader.ts'
import { TerminalLog } from '../../../src/engine/logs/terminal-log.ts'
import { syscall } from '../../../src/kernel/libc.ts'
import { eventually } from '../../eventually.ts'

const MNT_DETACH = 2
let directory: string

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-full-'))
  syscall('mount', 'tsstack-test', directory, 'tmpfs', 0, 'size=256k,nr_inodes=8')
})
afterEach(() => {
  syscall('umount2', directory, MNT_DETACH)
  rmSync(directory, { recursive: true })
})

function fill(): void {
  const { bavail, bsize } = statfsSync(directory)
  writeFileSync(path.join(directory, 'filling'), Buffer.alloc(bavail * bsize))
}

function makeRoom(): void {
  rmSync(path.join(directory, 'filling'))
}

async function lines(): Promise<string[]> {
  const found: string[] = []
  for await (const batch of readLog(directory, {}))
    found.push(...batch.map(({ log }) => log.trimEnd()))
  return found
}

test('output of a terminal waits for room, ends nobody, and is logged when there is some', async () => {
  const log = new LogFile(directory, { maxBytes: 1 << 30, maxFiles: 2 })
  const terminal = new TerminalLog(log)
  terminal.add(Buffer.from('first\n'))
  fill()
  const long = 'y'.repeat(8000)
  terminal.add(Buffer.from(`${long}\n`))
  terminal.add(Buffer.from('third\nfour'))
  expect(await lines()).toEqual(['first'])
  makeRoom()
  await eventually('the rest', async () => (await lines()).length === 3)
  terminal.add(Buffer.from('th'))
  terminal.close()
  expect(await lines()).toEqual(['first', long, 'third', 'fourth'])

  fill()
  terminal.add(Buffer.from(`${long}\n`))
  terminal.close()
  log.close()
})

test('a log goes on in its file while there is no room for another one', async () => {
  const log = new LogFile(directory, { maxBytes: 100, maxFiles: 2 })
  const terminal = new TerminalLog(log)
  const others = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => path.join(directory, name))
  for (const file of others) writeFileSync(file, '')
  for (const text of ['one\n', 'two\n', 'three\n']) terminal.add(Buffer.from(text))
  expect(logFiles(directory)).toHaveLength(1)
  for (const file of others) rmSync(file)
  terminal.add(Buffer.from('four\n'))
  expect(readdirSync(directory).sort()).toEqual(['json.log', 'json.log.1'])
  expect(await lines()).toEqual(['one', 'two', 'three', 'four'])
  log.close()
})

test('pipes are not opened where there is no room for how far their logs are, and nothing stays open', () => {
  const options = { directory, bounds: { maxBytes: 100, maxFiles: 2 }, stdinOpen: false }
  prepareFifos(options, { uid: 0, gid: 0 })
  const open = (): ContainerIo => openPipeIo(options)
  open().close() // what all pipes share stays open
  rmSync(path.join(directory, 'stderr.cursor'))
  fill()
  const before = readdirSync('/proc/self/fd').length
  expect(open).toThrow('ENOSPC') // and does not end this process, as the first touch of a hole would
  expect(readdirSync('/proc/self/fd')).toHaveLength(before)
  makeRoom()
  open().close()
})
