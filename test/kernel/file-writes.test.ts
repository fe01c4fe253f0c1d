import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFileWrites, type FileWrites } from '../../src/kernel/file-writes.ts'
import { eventually } from '../eventually.ts'

let directory: string
let writes: FileWrites

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-writes-'))
  writes = openFileWrites()
})
afterEach(() => {
  writes.close()
  rmSync(directory, { recursive: true })
})

const write = (name: string): void => {
  writeFileSync(path.join(directory, name), 'text')
}

test('a write is told with the name of the file, until the watch is closed', async () => {
  const told: (string | undefined)[] = []
  const first = writes.watch(directory, () => told.push('the first listener'))
  const second = writes.watch(directory, (file) => told.push(file))
  first?.close() // the second one has taken its place
  write('a')
  await eventually('a word of it', () => told.includes('a'))
  second?.close()
  second?.close()
  const other = mkdtempSync(path.join(directory, 'other-'))
  writes.watch(other, (file) => told.push(file))
  write('b')
  writeFileSync(path.join(other, 'c'), 'text')
  await eventually('a word of what came after it', () => told.includes('c'))
  expect(new Set(told)).toEqual(new Set(['a', 'c']))
})

test('what is no directory is not watched', () => {
  write('a')
  for (const name of ['a', 'none'])
    expect(writes.watch(path.join(directory, name), () => undefined)).toBeUndefined()
})
