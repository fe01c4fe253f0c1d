import { closeSync, writeSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { syscall } from '../../src/kernel/libc.ts'
import { watchReadable } from '../../src/kernel/poll.ts'
import { eventually } from '../eventually.ts'

let readEnd: number
let writeEnd: number

beforeEach(() => {
  openPipe()
})
afterEach(() => {
  closeSync(readEnd)
  closeSync(writeEnd)
})

function openPipe(): void {
  const pair = Buffer.alloc(8)
  syscall('pipe2', pair, 0)
  readEnd = pair.readInt32LE(0)
  writeEnd = pair.readInt32LE(4)
}

describe('watchReadable()', () => {
  test('calls back when there is something to read, again and again until it is closed', async () => {
    let calls = 0
    const watch = watchReadable(readEnd, () => {
      calls++
    })
    writeSync(writeEnd, 'x')
    await eventually('three calls', () => calls >= 3)
    watch.close()
    watch.close()
    const before = calls
    await new Promise((resolve) => setTimeout(resolve, 30)) // nothing must happen meanwhile
    expect(calls).toBe(before)
  })

  test('can be closed from within its callback', async () => {
    let calls = 0
    const watch = watchReadable(readEnd, () => {
      calls++
      watch.close()
    })
    writeSync(writeEnd, 'x')
    await eventually('a call', () => calls === 1)
    await new Promise((resolve) => setTimeout(resolve, 30)) // nothing must happen meanwhile
    expect(calls).toBe(1)
  })

  test('a descriptor of the same number as one that was just closed is watched', async () => {
    for (let round = 0; round < 20; round++) {
      const number = readEnd
      const old = watchReadable(readEnd, () => undefined)
      await new Promise((resolve) => setImmediate(resolve)) // the loop has seen it
      old.close()
      closeSync(readEnd)
      closeSync(writeEnd)
      openPipe()
      expect(readEnd).toBe(number)
      let calls = 0
      const watch = watchReadable(readEnd, () => {
        calls++
      })
      await new Promise((resolve) => setImmediate(resolve))
      writeSync(writeEnd, 'x')
      await eventually('a call', () => calls > 0, 1000)
      watch.close()
    }
  })
})
