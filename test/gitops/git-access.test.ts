/** Who reads and who writes: what the one is told is no business of the other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ImageUpdates } from '../../src/api/gitops-types.ts'
import { gitAccess, pushAccess, type GitAccess } from '../../src/gitops/git-access.ts'
import { gitSource } from './git-source.ts'

const UPDATES: ImageUpdates = { intervalSeconds: 1, author: 'a <a@a>', message: 'x' }
const SSH = 'git@example.com:me/shop.git'
let directory = ''
let [reads, writes] = ['', '']
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsstack-access-'))
  ;[reads, writes] = ['reads', 'writes'].map((name) => join(directory, name)) as [string, string]
  writeFileSync(reads, 'reader:one')
  writeFileSync(writes, 'writer:two')
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const access = (updates: Partial<ImageUpdates>): GitAccess => {
  const source = gitSource('https://example.com/me/shop.git', { ref: 'main', passwordFile: reads })
  return pushAccess(source, { ...UPDATES, ...updates })
}
const headersOf = ({ options }: GitAccess): string[] =>
  (options.settings ?? []).filter((setting) => setting.includes('extraHeader'))
const header = (pair: string): string =>
  `http.https://example.com/.extraHeader=Authorization: Basic ${Buffer.from(pair).toString('base64')}`

test('pushAccess() is as it is read, where nothing else is said', () => {
  expect(headersOf(access({}))).toEqual([header('reader:one')])
})

test('pushAccess() with a login of its own has that alone', () => {
  expect(headersOf(access({ passwordFile: writes }))).toEqual([header('writer:two')])
  const bySsh = access({ repo: SSH, sshKeyFile: '/etc/key' })
  expect(headersOf(bySsh)).toEqual([])
  expect(bySsh.reference).toMatchObject({ url: SSH, ref: 'main', protocol: 'ssh' })
  expect(bySsh.env['GIT_SSH_COMMAND']).toContain("'/etc/key' '-o' 'IdentitiesOnly=yes'")
  expect(headersOf(access({ repo: 'https://example.com/other.git' }))).toEqual([])
})

test('gitAccess() follows nothing that comes in the clear, unless it is signed', () => {
  const source = gitSource('git://example.com/shop.git')
  expect(() => gitAccess(source)).toThrow('it comes in the clear')
  expect(() => gitAccess(gitSource('git://127.0.0.1.example.com/shop.git'))).toThrow('in the clear')
  expect(gitAccess({ ...source, verifyKeys: ['a key'] }).reference.protocol).toBe('git')
  expect(gitAccess(gitSource('git://127.0.0.1:9418/shop.git')).reference.protocol).toBe('git')
})
