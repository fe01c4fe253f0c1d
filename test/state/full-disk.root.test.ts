import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStateStore, type StateStore } from '../../src/state/state-store.ts'
import { eventually } from '../eventually.ts'

let disk: string
let store: StateStore
const big = 'x'.repeat(20_000)

beforeEach(() => {
  disk = mkdtempSync(path.join(os.tmpdir(), 'tsstack-full-'))
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk])
  store = openStateStore(path.join(disk, 'state.db'))
  store.collection('wanted').put('before', 1)
})
afterEach(() => {
  store.close()
  spawnSync('umount', [disk])
  rmSync(disk, { recursive: true })
})

function fill(): void {
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(path.join(disk, 'ballast'), Buffer.alloc(bavail * bsize))
}

/** What another process would read. */
function stored(kind: string): [string, unknown][] {
  const other = openStateStore(path.join(disk, 'state.db'))
  try {
    return other.collection(kind).entries()
  } finally {
    other.close()
  }
}

test('what happens on a full disk is known at once, and written when there is room', async () => {
  const facts = store.collection<string>('fact', { ofFacts: true })
  facts.put('gone', 'a')
  fill()
  store.atomically(() => {
    facts.put('new', big)
    facts.put('new', `${big}2`)
    store.appendEvent('it happened')
    facts.delete('gone')
  })
  facts.put('single', big)
  expect(facts.entries().map(([key]) => key)).toEqual(['new', 'single'])
  rmSync(path.join(disk, 'ballast'))
  await eventually('the backlog to be written', () => stored('fact').length === 2)
  expect(stored('fact')).toEqual([
    ['new', `${big}2`],
    ['single', big],
  ])
  expect(store.eventsFrom(0, 10).map(({ body }) => body)).toEqual(['it happened'])
})

test('what is wanted is refused on a full disk, alone and among facts, and nothing is lost', () => {
  const wanted = store.collection<unknown>('wanted')
  const facts = store.collection<string>('fact', { ofFacts: true })
  fill()
  expect(() => {
    wanted.put('after', big)
  }).toThrow('full')
  expect(wanted.get('after')).toBeUndefined()
  expect(() => {
    store.atomically(() => {
      facts.put('new', big)
      wanted.put('after', big)
    })
  }).toThrow('full')
  rmSync(path.join(disk, 'ballast'))
  wanted.put('later', 2)
  expect(stored('fact')).toEqual([['new', big]])
  expect(stored('wanted')).toEqual([
    ['before', 1],
    ['later', 2],
  ])
})

test('what waits for room never takes the place of what came after it', () => {
  const facts = store.collection<string>('fact', { ofFacts: true })
  facts.put('state', 'first')
  fill()
  facts.put('state', `second ${big}`)
  rmSync(path.join(disk, 'ballast'))
  store.atomically(() => {
    facts.put('state', 'third')
  })
  facts.put('other', 'x')
  expect(stored('fact')).toEqual([
    ['other', 'x'],
    ['state', 'third'],
  ])
})
