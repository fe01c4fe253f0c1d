/** A commit of the daemon's in a real repository: on top of what is there, signed, and never by force. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gitAccess } from '../../src/gitops/git-access.ts'
import { pushCommit, type CommitWish, type PushOutcome } from '../../src/gitops/push-commit.ts'
import { createRepository, hasGit, type GitRepository } from '../sources/git-server.ts'
import { gitSource } from './git-source.ts'

const FILE = 'deploy/stack.yaml'

describe.skipIf(!hasGit)('pushCommit()', { timeout: 60_000 }, () => {
  let repository: GitRepository
  let scratch = ''
  beforeAll(() => {
    repository = createRepository()
    scratch = mkdtempSync(join(tmpdir(), 'tsstack-push-'))
  })
  afterAll(() => {
    repository.close()
    rmSync(scratch, { recursive: true, force: true })
  })

  const push = (
    base: string,
    parts: Partial<CommitWish> = {},
    ref?: string,
  ): Promise<PushOutcome> =>
    pushCommit({
      access: gitAccess(gitSource(`file://${repository.path}`, ref === undefined ? {} : { ref })),
      base,
      edits: new Map([[FILE, (text) => text.replace('1.0', '1.1')]]),
      message: 'Update images\n\nweb: a -> b\n',
      author: 'Robot R <robot@example.com>',
      scratch,
      ...parts,
    })
  const server = (...words: string[]): string =>
    repository.git(`--git-dir=${repository.path}`, ...words)
  const begin = (): string =>
    repository.commit({ [FILE]: 'image: web:1.0 # keep\n', other: 'x\n', 'a b': '' })
  const run = (program: string, ...words: string[]): void => {
    expect(spawnSync(program, words).status).toBe(0)
  }

  test('adds one commit that changes one file', async () => {
    const base = begin()
    const pushed = await push(base)
    expect(pushed).toMatchObject({ kind: 'pushed', branch: 'main' })
    expect(server('log', '-1', '--format=%an <%ae>%n%cn%n%P%n%B', 'main')).toBe(
      `Robot R <robot@example.com>\nRobot R\n${base}\nUpdate images\n\nweb: a -> b`,
    )
    expect(server('diff', '--stat', `${base}..main`)).toContain('1 file changed, 1 insertion(+)')
    expect(server('show', `main:${FILE}`)).toBe('image: web:1.1 # keep')
    expect(readdirSync(scratch)).toEqual([])
  })

  test('is overtaken by whoever pushes before it or meanwhile, and changes nothing then', async () => {
    const old = begin()
    const base = begin()
    expect(await push(old)).toEqual({ kind: 'overtaken' })
    let theirs = ''
    const edits = new Map([
      [
        FILE,
        (text: string): string => {
          theirs = repository.commit({ other: 'meanwhile\n' })
          return text.replace('1.0', '1.1')
        },
      ],
    ])
    expect(await push(base, { edits })).toEqual({ kind: 'overtaken' })
    expect(server('rev-parse', 'main')).toBe(theirs)
  })

  test('says what a server that refuses says', async () => {
    const base = begin()
    const hook = join(repository.path, 'hooks/pre-receive')
    mkdirSync(join(repository.path, 'hooks'), { recursive: true })
    writeFileSync(hook, '#!/bin/sh\necho protected >&2\nexit 1\n')
    chmodSync(hook, 0o755)
    await expect(push(base)).rejects.toThrow(/Cannot push to "main": git: .*protected/)
    rmSync(hook)
    expect(server('rev-parse', 'main')).toBe(base)
  })

  test('to another branch follows what is there, whatever became of the first', async () => {
    const first = begin()
    const branch = 'updates/shop'
    expect(await push(first, { branch })).toMatchObject({ kind: 'pushed', branch })
    const earlier = server('rev-parse', branch)
    const second = repository.commit({ other: 'y\n' })
    expect(await push(second, { branch })).toMatchObject({ kind: 'pushed', branch })
    expect(server('log', '-1', '--format=%P', branch)).toBe(`${earlier} ${second}`)
    expect(server('diff', '--name-only', `${second}..${branch}`)).toBe(FILE)
    expect(server('rev-parse', 'main')).toBe(second)
  })

  test('of a tag or a commit there is no branch to write to', async () => {
    const base = begin()
    server('tag', 'v1', base)
    await expect(push(base, {}, 'v1')).rejects.toThrow('it is no branch')
    expect(await push(base, { branch: 'of-tag' }, 'v1')).toMatchObject({ branch: 'of-tag' })
  })

  test('takes no link, no other encoding, no unsafe file', async () => {
    const refused = async (files: Record<string, string>): Promise<void> => {
      await expect(push(repository.commit(files))).rejects.toThrow(`Cannot change "${FILE}"`)
    }
    await refused({ [FILE]: '-> ../other' })
    repository.git('rm', '--quiet', FILE)
    await refused({})
    const latin1 = repository.commit({ [FILE]: 'x' })
    expect(latin1).not.toBe('')
    writeFileSync(join(repository.directory, 'work', FILE), Buffer.from([0x23, 0xe9, 0x0a]))
    await refused({})
  })

  test('signs by a key of SSH or of OpenPGP', async () => {
    const ssh = join(scratch, 'ssh')
    run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', ssh)
    await push(begin(), { signKeyFile: ssh })
    expect(server('cat-file', 'commit', 'main')).toContain('-----BEGIN SSH SIGNATURE-----')
    if (spawnSync('gpg', ['--version']).status !== 0) return
    const home = join(scratch, 'gnupg')
    mkdirSync(home, { mode: 0o700 })
    const gpg = ['--homedir', home, '--batch', '--quiet', '--passphrase', '']
    run('gpg', ...gpg, '--quick-generate-key', 'robot@example.com', 'ed25519', 'sign', 'never')
    const pgp = join(scratch, 'pgp.asc')
    run('gpg', ...gpg, '--armor', '--output', pgp, '--export-secret-keys')
    await push(begin(), { signKeyFile: pgp })
    expect(server('cat-file', 'commit', 'main')).toContain('-----BEGIN PGP SIGNATURE-----')
    run('gpgconf', '--homedir', home, '--kill', 'all')
    await expect(push(begin(), { signKeyFile: join(scratch, 'none') })).rejects.toThrow(
      'Cannot read',
    )
  })
})
