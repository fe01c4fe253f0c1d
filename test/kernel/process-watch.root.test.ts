import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { describe, expect, test } from 'vitest'
import { Clone } from '../../src/kernel/constants.ts'
import { adoptProcess, watchChild } from '../../src/kernel/process-watch.ts'
import { decodeWaitStatus, processStartTime } from '../../src/kernel/process.ts'
import {
  blockSignals,
  cloneArguments,
  CLONE_ARGUMENTS_BYTES,
} from '../../src/kernel/signal-mask.ts'
import { SyscallList } from '../../src/kernel/syscall-list.ts'
import { eventually } from '../eventually.ts'

/** A child that libuv knows nothing of. */
async function startShell(script: string): Promise<number> {
  const list = new SyscallList()
  const signals = blockSignals(list)
  const fork = list.fork('clone3', [
    cloneArguments(list, Clone.VM | Clone.VFORK | Clone.CLEAR_SIGHAND),
    CLONE_ARGUMENTS_BYTES,
  ])
  signals.clear()
  list.call('execve', [
    '/bin/sh',
    list.strings(['sh', '-c', script]),
    list.strings(['PATH=/usr/bin:/bin']),
  ])
  list.parent(fork, () => {
    signals.restore()
  })
  await list.run()
  const pid = list.forkedPid()
  list.free()
  return pid
}

/** Somebody else's child, which is reaped by nobody but its parent. The script prints its pid when it is ready. */
async function startForeign(
  script: string,
): Promise<{ readonly pid: number; readonly parent: ChildProcess }> {
  const parent = spawn('sh', ['-c', 'sh -c "$0" & wait; exec sleep 1000', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await new Promise<string>((resolve) =>
    parent.stdout.once('data', (bytes: Buffer) => {
      resolve(bytes.toString())
    }),
  )
  return { pid: Number(line), parent }
}

function knowsExitOfOthers(): boolean {
  const [major = 0, minor = 0] = os.release().split('.').map(Number)
  return major > 6 || (major === 6 && minor >= 15)
}

describe('watchChild()', () => {
  test.each([
    ['exit 0', 0, 0],
    ['exit 42', 42, 0],
    ['kill -9 $$', 137, 9],
    ['kill -15 $$', 143, 15],
  ])('tells how %j ended, and reaps', async (script, exitCode, signal) => {
    const child = watchChild(await startShell(script))
    expect(await child.exited).toEqual({ exitCode, signal })
    expect(processStartTime(child.pid)).toBeUndefined()
    expect(() => readFileSync(`/proc/${child.pid}/stat`)).toThrow()
    expect(child.signal(9)).toBe(false)
  })

  test('signals go to the process, not to a later one of that number', async () => {
    const child = watchChild(await startShell('exec sleep 1000'))
    expect(child.startTime).toBe(processStartTime(child.pid))
    expect(child.signal(15)).toBe(true)
    expect(await child.exited).toEqual({ exitCode: 143, signal: 15 })
  })
})

describe('adoptProcess()', () => {
  test("follows somebody else's child to its exit code (Linux 6.15)", async () => {
    const { pid, parent } = await startForeign(
      "trap 'exit 23' HUP; echo $$; while :; do sleep 0.02; done",
    )
    try {
      const adopted = adoptProcess(pid, processStartTime(pid) ?? 0)
      expect(adopted?.pid).toBe(pid)
      process.kill(pid, 'SIGHUP')
      expect((await adopted?.exited)?.exitCode).toBe(knowsExitOfOthers() ? 23 : undefined)
    } finally {
      parent.kill('SIGKILL')
    }
  })

  test('is undefined for another process of the same number, and for none', () => {
    expect(adoptProcess(process.pid, 1)).toBeUndefined()
    expect(adoptProcess(0x3f_ffff, 1)).toBeUndefined()
  })
})

describe('decodeWaitStatus()', () => {
  test.each([
    [0, 0, 0],
    [0x2a00, 42, 0],
    [9, 137, 9],
    [0x8b, 139, 11],
  ])('%i', (status, exitCode, signal) => {
    expect(decodeWaitStatus(status)).toEqual({ exitCode, signal })
  })
})

test('processStartTime() is undefined for a zombie', async () => {
  const pid = await startShell('exit 0')
  await eventually('the zombie', () => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '))
  expect(processStartTime(pid)).toBeUndefined()
  await watchChild(pid).exited
})
