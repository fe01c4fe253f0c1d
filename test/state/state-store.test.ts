import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { openStateStore } from '../../src/state/state-store.ts'

let directory: string
let file: string

beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-state-'))
  file = path.join(directory, 'state.db')
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

describe('state store', () => {
  test('what was put is there after opening it again', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 20 }), (documents) => {
        const first = openStateStore(file)
        const collection = first.collection<unknown>('thing')
        for (const key of collection.entries().map(([known]) => known)) collection.delete(key)
        for (const [key, value] of Object.entries(documents)) collection.put(key, value)
        first.close()
        const second = openStateStore(file)
        const found = second.collection<unknown>('thing').entries()
        second.close()
        const plain = (entries: [string, unknown][]): unknown =>
          JSON.parse(JSON.stringify(Object.fromEntries(entries)))
        expect(plain(found)).toEqual(plain(Object.entries(documents)))
      }),
      { numRuns: 30 },
    )
  })

  test('put() replaces, delete() removes, kinds are apart', () => {
    const store = openStateStore(file)
    const [one, two] = [store.collection<number>('one'), store.collection<number>('two')]
    one.put('key', 1)
    one.put('key', 2)
    two.put('key', 3)
    one.delete('missing')
    expect([one.get('key'), two.get('key'), one.values()]).toEqual([2, 3, [2]])
    one.delete('key')
    expect([one.get('key'), two.get('key'), one.entries()]).toEqual([undefined, 3, []])
    store.close()
  })

  test('put() survives a kill at the next instruction', () => {
    const program = `
      import { openStateStore } from ${JSON.stringify(path.resolve('src/state/state-store.ts'))}
      const store = openStateStore(${JSON.stringify(file)})
      const collection = store.collection('thing')
      for (let i = 0; i < 500; i++) collection.put(String(i), { i, text: 'x'.repeat(1000) })
      process.kill(process.pid, 'SIGKILL')`
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      stdio: 'ignore',
    })
    expect(signal).toBe('SIGKILL')
    const store = openStateStore(file)
    const found = store.collection<{ i: number }>('thing')
    expect(found.values().length).toBe(500)
    expect(found.get('499')?.i).toBe(499)
    store.close()
  })

  test('events are kept in order, the oldest forgotten', () => {
    const store = openStateStore(file)
    for (let index = 0; index < 11_500; index++) store.appendEvent(String(index))
    const events = store.eventsFrom(0, 20_000).map(({ body }) => body)
    expect(store.eventsFrom(store.lastEvent(), 5).map(({ body }) => body)).toEqual(['11499'])
    store.close()
    expect(events.at(-1)).toBe('11499')
    expect(events.length).toBeLessThanOrEqual(11_000)
    expect(events.length).toBeGreaterThanOrEqual(10_000)
    expect(events).toEqual(events.map((_, index) => String(Number(events[0]) + index)))
  })

  test('is for its owner only: it holds secrets', () => {
    openStateStore(file).close()
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('is refused when a newer version wrote it', () => {
    openStateStore(file).close()
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 99')
    database.close()
    expect(() => openStateStore(file)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }),
    )
  })

  test('a transaction within one is part of it, and what fails leaves none open', () => {
    const store = openStateStore(file)
    const collection = store.collection<number>('thing')
    const fail = (): void => {
      store.atomically(() => {
        store.atomically(() => {
          collection.put('a', 1)
        })
        throw new Error('no')
      })
    }
    expect(fail).toThrow('no')
    store.atomically(() => {
      collection.put('b', 2)
    })
    store.close()
    const again = openStateStore(file)
    expect(again.collection('thing').entries()).toEqual([
      ['a', 1],
      ['b', 2],
    ])
    again.close()
  })
})
