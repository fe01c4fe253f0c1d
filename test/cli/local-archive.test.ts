import { execFileSync } from 'node:child_process'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { unpackLocal } from '../../src/cli/local-archive.ts'

let scratch: string
const at = (...names: string[]): string => path.join(scratch, ...names)

beforeEach(() => {
  scratch = mkdtempSync(path.join(os.tmpdir(), 'local-archive-'))
  for (const name of ['first', 'second', 'outside', 'target']) mkdirSync(at(name))
})
afterEach(() => {
  rmSync(scratch, { recursive: true, force: true })
})

/** What is in the directory `first`, and behind it what is in `second`, as one archive. */
function pack(): string {
  execFileSync('tar', ['-C', at('first'), '-cf', at('archive'), '.'])
  const names = readdirSync(at('second'))
  if (names.length > 0) execFileSync('tar', ['-C', at('second'), '-rf', at('archive'), ...names])
  return at('archive')
}

const unpack = (): Promise<void> =>
  unpackLocal(createReadStream(pack()), at('target'), { keepIds: false })

test('links keep their targets, wherever they lead, and replace what was there', async () => {
  mkdirSync(at('first', 'directory'))
  const targets = { absolute: '/usr/share', upwards: '../../x', 'directory/inside': 'no-such' }
  for (const [name, target] of Object.entries(targets)) symlinkSync(target, at('first', name))
  execFileSync('ln', [at('first', 'absolute'), at('first', 'twice')])
  writeFileSync(at('target', 'absolute'), 'old')
  await unpack()
  for (const [name, target] of Object.entries({ ...targets, twice: '/usr/share' }))
    expect(readlinkSync(at('target', name))).toBe(target)
})

test('no file is written through a link of the archive', async () => {
  symlinkSync(at('outside'), at('first', 'way'))
  mkdirSync(at('second', 'way'))
  writeFileSync(at('second', 'way', 'file'), 'hostile')
  await unpack().catch(() => undefined)
  expect(readdirSync(at('outside'))).toEqual([])
})

test('no link is made through a link of the archive', async () => {
  symlinkSync(at('outside'), at('first', 'way'))
  mkdirSync(at('second', 'way'))
  symlinkSync('/etc/passwd', at('second', 'way', 'link'))
  // The directory that would come between the two links is left out.
  execFileSync('tar', ['-C', at('first'), '-cf', at('archive'), 'way'])
  execFileSync('tar', ['-C', at('second'), '-rf', at('archive'), 'way/link'])
  const archive = createReadStream(at('archive'))
  await expect(unpackLocal(archive, at('target'), { keepIds: false })).rejects.toThrow(
    'Cannot copy link "way/link": it leads elsewhere',
  )
  expect(readdirSync(at('outside'))).toEqual([])
})

test('a link does not take the place of a directory', async () => {
  symlinkSync('elsewhere', at('first', 'name'))
  mkdirSync(at('target', 'name'))
  writeFileSync(at('target', 'name', 'file'), 'mine')
  await expect(unpack()).rejects.toThrow('Cannot copy to')
  expect(readFileSync(at('target', 'name', 'file'), 'utf8')).toBe('mine')
  expect(existsSync(at('target', 'elsewhere'))).toBe(false)
})
