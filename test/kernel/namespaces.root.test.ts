import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../eventually.ts'

const ROOM = path.join(import.meta.dirname, '../../src/kernel/namespaces.ts')

/** Dies when the maps are to be written: by then the child that owns the namespace is there. */
const DYING = `
  const { createMappedUserNamespace } = await import(process.argv[1])
  const ids = { get inside() { process.kill(process.pid, 'SIGKILL'); return 0 }, outside: 0, length: 1 }
  createMappedUserNamespace([ids], [ids])`

function processesWith(word: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word)
    } catch {
      return false // no process, or gone
    }
  })
}

test('createMappedUserNamespace() leaves no process when its own is killed in the middle', async () => {
  const mark = randomUUID()
  const node = ['--input-type=module', '-e', DYING, ROOM, mark]
  const child = spawn(process.execPath, node, { stdio: 'inherit' })
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  await eventually('no process', () => processesWith(mark).length === 0, 2000)
})
