import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { findKeeper, type KeeperIdentity } from '../../src/kernel/descriptor-keeper.ts'
import { processStartTime } from '../../src/kernel/process.ts'
import { eventually } from '../eventually.ts'

const PROGRAM = path.join(import.meta.dirname, '../fixtures/keeper-of-a-process.ts')

/** A keeper whose process has been killed. */
async function orphan(state: 'settled' | 'unsettled'): Promise<KeeperIdentity> {
  const child = spawn(process.execPath, [PROGRAM, state], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  return JSON.parse(line.toString()) as KeeperIdentity
}

test('a keeper that nobody has written down ends with its process', async () => {
  const { pid, startTime } = await orphan('unsettled')
  await eventually('its end', () => processStartTime(pid) !== startTime)
})

test('a keeper that is written down outlives its process, has what it was given, and ends when it is told', async () => {
  const identity = await orphan('settled')
  const found = findKeeper(identity)
  const fd = found?.take(1) ?? -1
  expect(readFileSync(fd, 'utf8')).toBe(readFileSync(PROGRAM, 'utf8'))
  closeSync(fd)
  found?.close()
  await eventually('its end', () => findKeeper(identity) === undefined)
})
