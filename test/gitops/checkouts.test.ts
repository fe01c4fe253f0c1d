/** Commits as directories, with real git, gpg and ssh-keygen: who has not signed is not let in. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { GitSource } from '../../src/api/gitops-types.ts'
import { openCheckouts, type Checkout } from '../../src/gitops/checkouts.ts'
import { gitAccess } from '../../src/gitops/git-access.ts'
import { findRevision } from '../../src/sources/git-checkout.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { gitSource } from './git-source.ts'

const canRun = hasGit && spawnSync('gpg', ['--version']).status === 0

function run(program: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const done = spawnSync(program, words, { encoding: 'utf8', env: { ...process.env, ...env } })
  if (done.status !== 0) throw new Error(`${program} ${words.join(' ')}: ${done.stderr}`)
  return done.stdout
}

describe.skipIf(!canRun)('openCheckouts()', { timeout: 60_000 }, () => {
  let repository: GitRepository
  let directory = ''
  beforeEach(() => {
    repository = createRepository()
    directory = mkdtempSync(join(tmpdir(), 'tsstack-checkouts-'))
  })
  afterEach(() => {
    repository.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const checkOut = async (
    verifyKeys: readonly string[],
    ref = 'main',
    parts: Partial<GitSource> = {},
  ): Promise<Checkout> => {
    const source = gitSource(`file://${repository.path}`, { verifyKeys, ref, ...parts })
    const access = gitAccess(source)
    const revision = await findRevision(access.reference, access.env, access.options)
    return openCheckouts(join(directory, 'checkouts')).get(source, access, revision)
  }
  const sshKey = (name: string): { readonly file: string; readonly text: string } => {
    const file = join(directory, name)
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file])
    return { file, text: readFileSync(`${file}.pub`, 'utf8') }
  }
  const sign = (key: string, ...words: string[]): void => {
    repository.git('-c', 'gpg.format=ssh', '-c', `user.signingkey=${key}`, ...words)
    repository.git('push', '--quiet', '--force', '--tags', 'origin', 'main')
  }
  const REFUSED = /no good signature by a key of this source/

  test('a commit becomes a directory without .git', async () => {
    const commit = repository.commit({ 'stack.yaml': 'services: {}\n' })
    const made = await checkOut([])
    expect(made).toMatchObject({ commit, subject: 'change', author: 't' })
    expect(readFileSync(join(made.root, 'stack.yaml'), 'utf8')).toBe('services: {}\n')
    expect(existsSync(join(made.root, '.git'))).toBe(false)
  })

  test.each(['true', 'false'])(
    'a part of it: the directories that were named, and files above them (filter: %s)',
    async (filter) => {
      repository.git(`--git-dir=${repository.path}`, 'config', 'uploadpack.allowFilter', filter)
      const names = ['deploy/shop/stack.yaml', 'deploy/shop/conf/x', 'deploy/common.yaml', 'README']
      const others = ['deploy/blog/stack.yaml', 'src/main.c', 'lib [x]/a']
      repository.commit(Object.fromEntries([...names, ...others].map((name) => [name, name])))
      const filesOf = async (parts: Partial<GitSource>): Promise<string[]> => {
        const { root } = await checkOut([], 'main', parts)
        const all = readdirSync(root, { recursive: true, withFileTypes: true })
        const files = all.filter((entry) => entry.isFile())
        return files.map(({ parentPath, name }) => relative(root, join(parentPath, name))).sort()
      }
      const path = 'deploy/shop'
      expect(await filesOf({ path, sparse: [] })).toEqual(names.toSorted())
      const file = await filesOf({ path: `${path}/stack.yaml`, sparse: ['lib [x]'] })
      expect(file).toEqual([...names, 'lib [x]/a'].sort())
      expect(await filesOf({ path: '', sparse: [] })).toHaveLength(7)
      await expect(filesOf({ path: 'none', sparse: [] })).rejects.toThrow('no directory "none"')
    },
  )

  test('what nobody keeps goes, but for what is of sources that are at work', async () => {
    const one = repository.commit({ a: '1' })
    const [first, blog] = [await checkOut([]), await checkOut([], 'main', { name: 'blog' })]
    repository.commit({ a: '2' })
    const second = await checkOut([])
    const checkouts = openCheckouts(join(directory, 'checkouts'))
    const left = (): boolean[] => [first, second, blog].map(({ root }) => existsSync(root))
    const kept = { paths: [join(second.root, 'deploy')], commits: new Set<string>() }
    checkouts.collect({ ...kept, sources: new Set(['blog']) })
    expect(left()).toEqual([false, true, true])
    checkouts.collect({ paths: [], commits: new Set([one]), sources: new Set() })
    expect(left()).toEqual([false, false, true])
  })

  test('a link that leaves the repository is refused', async () => {
    repository.commit({ secret: '-> /etc/shadow' })
    await expect(checkOut([])).rejects.toThrow('leaves the repository')
  })

  test('with a key of SSH: unsigned and forged commits are refused', async () => {
    const [ours, theirs] = [sshKey('ours'), sshKey('theirs')]
    repository.commit({ a: '1' })
    await expect(checkOut([ours.text])).rejects.toThrow(REFUSED)
    sign(theirs.file, 'commit', '--quiet', '--allow-empty', '-S', '-m', 'forged')
    await expect(checkOut([ours.text])).rejects.toThrow(REFUSED)
    sign(ours.file, 'commit', '--quiet', '--allow-empty', '-S', '-m', 'signed')
    expect(await checkOut([ours.text])).toMatchObject({ subject: 'signed' })
    await expect(checkOut([theirs.text])).rejects.toThrow(REFUSED)
  })

  test('a signed tag counts under its own name alone', async () => {
    const ours = sshKey('ours')
    repository.commit({ a: '1' })
    sign(ours.file, 'tag', '-s', '-m', 'release', 'v1')
    expect(await checkOut([ours.text], 'v1')).toMatchObject({ subject: 'change' })
    repository.git('update-ref', 'refs/tags/v2', repository.git('rev-parse', 'refs/tags/v1'))
    repository.git('push', '--quiet', '--tags', 'origin')
    await expect(checkOut([ours.text], 'v2')).rejects.toThrow('it was signed as "v1"')
  })

  test('with a key of OpenPGP, whatever keyring the host has', async () => {
    const home = join(directory, 'gnupg')
    mkdirSync(home, { mode: 0o700 })
    const env = { GNUPGHOME: home }
    const gpg = (...words: string[]): string => run('gpg', ['--batch', '--quiet', ...words], env)
    try {
      gpg(
        '--passphrase',
        '',
        '--quick-generate-key',
        'ours@example.com',
        'ed25519',
        'sign',
        'never',
      )
      const key = gpg('--armor', '--export', 'ours@example.com')
      repository.commit({ a: '1' })
      await expect(checkOut([key])).rejects.toThrow(REFUSED)
      const program = `gpg.program=${join(directory, 'gpg')}`
      const script = `#!/bin/sh\nGNUPGHOME='${home}' exec gpg --batch "$@"\n`
      run('sh', [
        '-c',
        `printf %s "$1" >"$2" && chmod +x "$2"`,
        'sh',
        script,
        join(directory, 'gpg'),
      ])
      repository.git(
        '-c',
        program,
        'commit',
        '--quiet',
        '--allow-empty',
        '-Sours@example.com',
        '-m',
        'pgp',
      )
      repository.git('push', '--quiet', '--force', 'origin', 'main')
      expect(await checkOut([key])).toMatchObject({ subject: 'pgp' })
      await expect(checkOut([sshKey('other').text])).rejects.toThrow(REFUSED)
    } finally {
      spawnSync('gpgconf', ['--kill', 'all'], { env: { ...process.env, ...env } })
    }
  })
})
