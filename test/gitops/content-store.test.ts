import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectContent, storeContent } from '../../src/gitops/content-store.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsstack-content-'))
  for (const name of ['content', 'aside']) mkdirSync(join(directory, name))
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('collectContent() keeps what somebody has, and what somebody may be about to have', async () => {
  const [root, aside] = [join(directory, 'content'), join(directory, 'aside')]
  const store = async (text: string): Promise<string> => {
    const file = join(directory, text)
    writeFileSync(file, text)
    return dirname(await storeContent(root, file))
  }
  const [kept, old, again] = [await store('a'), await store('b'), await store('c')]
  for (const home of [kept, old, again]) utimesSync(home, 1, 1)
  // As it is there already, it is taken as it is.
  expect(await store('c')).toBe(again)
  const left = (): string[] => readdirSync(root).map((name) => join(root, name))
  collectContent(root, new Set([kept]), { aside, youngMs: 60_000 })
  expect(left().sort()).toEqual([kept, again].sort())
  collectContent(root, new Set([join(kept, 'a')]), { aside, youngMs: 0 })
  expect(left()).toEqual([kept])
})
