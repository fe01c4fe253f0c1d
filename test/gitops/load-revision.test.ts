/** What a checkout becomes: confined, with its files by content, and what age encrypted in plain. */
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GitSource } from '../../src/api/gitops-types.ts'
import { loadRevision, type LoadedRevision } from '../../src/gitops/load-revision.ts'
import { gitSource, NOTHING_ALLOWED } from './git-source.ts'

const hasAge = spawnSync('age-keygen', ['--version']).error === undefined

describe('loadRevision()', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsstack-revision-'))
    mkdirSync(join(directory, 'content'))
  })
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  const put = (name: string, text: string | Buffer): string => {
    const file = join(directory, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }
  const load = (root = 'one', parts: Partial<GitSource> = {}): Promise<LoadedRevision> =>
    loadRevision({
      source: gitSource('file:///x.git', parts),
      root: join(directory, root),
      contentRoot: join(directory, 'content'),
      others: [],
    })
  const web = (more: string): string => `services:\n  web:\n    image: web:1\n    ${more}\n`

  test('two commits with the same content are the same, wherever they lie', async () => {
    for (const root of ['one', 'two']) {
      put(`${root}/stack.yaml`, web('volumes: ["./conf:/conf"]\n    env_file: a.env'))
      put(`${root}/conf/x`, 'x')
      put(`${root}/a.env`, 'A=1')
    }
    put('two/README', 'more')
    const [one, two] = [await load('one'), await load('two')]
    expect(two.digest).toBe(one.digest)
    expect(two.source.stack.services['web']?.volumes).toEqual(
      one.source.stack.services['web']?.volumes,
    )
    put('two/a.env', 'A=2')
    expect((await load('two')).digest).not.toBe(one.digest)
    put('two/a.env', 'A=1')
    put('two/conf/x', 'y')
    expect((await load('two')).digest).not.toBe(one.digest)
  })

  test('what is mounted is read-only, and readable whatever the umask was', async () => {
    put('one/stack.yaml', web('volumes: ["./conf:/conf"]'))
    put('one/conf/x', 'x')
    const [mount] = (await load()).source.stack.services['web']?.volumes ?? []
    expect(mount).toMatchObject({ type: 'bind', read_only: true })
    expect(mount?.source).toContain(join(directory, 'content'))
    expect(statSync(join(mount?.source ?? '', 'x')).mode & 0o777).toBe(0o644)
    expect(readFileSync(join(mount?.source ?? '', 'x'), 'utf8')).toBe('x')
  })

  test('reads what is mounted many times once', { timeout: 8000 }, async () => {
    const mounts = Array.from({ length: 1000 }, (_, at) => `"./large:/${String(at)}"`)
    put('one/large', Buffer.alloc(20 << 20))
    put('one/stack.yaml', web(`volumes: [${mounts.join(', ')}]`))
    expect((await load()).directories).toHaveLength(1)
  })

  test.each([
    ['an env file of the host', 'env_file: /etc/hostname', 'it is outside the repository'],
    ['a link to one', 'env_file: link', 'it is outside the repository'],
    [
      'a folder that is not in git',
      'volumes: ["./data:/data"]',
      'mounts "data", which is not in the',
    ],
    ['a folder above', 'volumes: ["../:/up"]', 'which this source may not have'],
    ['a program', 'extends: { file: ./base.ts, service: x }', 'it is a program'],
    [
      'a remote file',
      'extends: { file: "https://example.com/a.git", service: x }',
      'not fetched here',
    ],
  ])('refuses %s', async (_, more, message) => {
    put('one/stack.yaml', web(more))
    symlinkSync('/etc/hostname', join(directory, 'one/link'))
    await expect(load()).rejects.toThrow(message)
  })

  test('refuses what git has only the name of: submodules, and files of Git LFS', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 1\n`
    put('one/stack.yaml', web('volumes: ["./conf:/conf"]'))
    put('one/conf/x', pointer)
    await expect(load()).rejects.toThrow('Git LFS has its content')
    put('one/conf/x', `${pointer}${'x'.repeat(2000)}`)
    await expect(load()).resolves.toBeDefined()
    mkdirSync(join(directory, 'one/conf/module'))
    await expect(load()).rejects.toThrow('conf/module": it is a submodule')
    put('one/a.env', pointer)
    put('one/stack.yaml', web('env_file: a.env'))
    await expect(load()).rejects.toThrow('Git LFS has its content')
  })

  test('sees no variable of the daemon, and those of its env files', async () => {
    put('one/stack.yaml', web('command: ["${HOME-none}", "${TOKEN-none}"]'))
    expect((await load()).source.stack.services['web']?.command).toEqual(['none', 'none'])
    const envFiles = [put('host.env', 'TOKEN=1')]
    expect((await load('one', { envFiles })).source.stack.services['web']?.command).toEqual([
      'none',
      '1',
    ])
  })

  test('refuses a source without a stack file, and a path that leaves it', async () => {
    put('one/README', '')
    put('stack.yaml', web('tty: true'))
    await expect(load()).rejects.toThrow('Cannot find a stack file in the root of the repository')
    symlinkSync('..', join(directory, 'one/up'))
    await expect(load('one', { path: 'up' })).rejects.toThrow('Cannot find a stack file')
  })

  test.each([
    'db: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]\nsops:\n    mac: ENC[AES256_GCM,data:q]\n',
    '{"data": "ENC[AES256_GCM,data:x]",\n "sops": {"version": "3.9.0"}}',
    'DB=ENC[AES256_GCM,data:x,type:str]\nsops_version=3.9.0\n',
  ])('refuses what SOPS encrypted, instead of handing on what it is: %j', async (text) => {
    put('one/db', text)
    put('one/stack.yaml', `${web('secrets: [db]')}secrets:\n  db: { file: ./db }\n`)
    await expect(load()).rejects.toThrow('SOPS encrypted it')
    put('one/db', text.replaceAll('ENC[', 'PLAIN['))
    await expect(load()).resolves.toBeDefined()
  })

  test.skipIf(!hasAge)('decrypts what age encrypted, for its identity alone', async () => {
    const identity = join(directory, 'key')
    spawnSync('age-keygen', ['-o', identity])
    const recipient = /public key: (\S+)/.exec(readFileSync(identity, 'utf8'))?.[1] ?? ''
    const encrypted = spawnSync('age', ['-r', recipient], { input: 'hunter2' }).stdout
    put('one/db.age', encrypted)
    put('one/stack.yaml', `${web('secrets: [db]')}secrets:\n  db: { file: ./db.age }\n`)
    const parts = { ageIdentityFile: identity, allow: NOTHING_ALLOWED }
    const { contents } = (await load('one', parts)).source
    expect(Buffer.from(contents.secrets['db'] ?? '', 'base64').toString()).toBe('hunter2')
    await expect(load()).rejects.toThrow('age encrypted it, and the source has no --age-identity')
    // What is wrong with it is told to everybody, and what it says to nobody.
    const broken = spawnSync('age', ['-r', recipient], { input: 'A=1\nhunter2 is the password\n' })
    put('one/broken.age', broken.stdout)
    put('one/stack.yaml', web('env_file: broken.age'))
    const told = await load('one', parts).catch((error: unknown) => (error as Error).message)
    expect(told).toContain('broken.age: line 2 is no NAME=value')
    expect(told).not.toContain('hunter2')
    const other = join(directory, 'other')
    spawnSync('age-keygen', ['-o', other])
    await expect(load('one', { ageIdentityFile: other })).rejects.toThrow('Cannot decrypt')
  })
})
