/** Git against repositories and servers that mean harm: limited in time and size, with one transport and no options of theirs. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkOut, findRevision } from '../../src/sources/git-checkout.ts'
import { parseGitReference } from '../../src/sources/git-reference.ts'
import { runGit, type Environment, type GitOptions } from '../../src/sources/run-git.ts'
import { createRepository, hasGit, type GitRepository } from './git-server.ts'

describe.skipIf(!hasGit)('git that is fed by somebody else', { timeout: 60_000 }, () => {
  let repository: GitRepository
  let scratch = ''
  let env: Environment = {}
  beforeEach(() => {
    repository = createRepository()
    scratch = mkdtempSync(join(tmpdir(), 'tsstack-run-git-'))
    env = { PATH: process.env['PATH'] ?? '', HOME: scratch }
  })
  afterEach(() => {
    repository.close()
    rmSync(scratch, { recursive: true, force: true })
  })

  const fetched = async (options: GitOptions = {}): Promise<string> => {
    const reference = parseGitReference(`file://${repository.path}#main`)
    const directory = join(scratch, 'out')
    const revision = await findRevision(reference, env)
    await checkOut(revision, { reference, env, options, directory })
    return directory
  }

  test('a commit that the server gives only by the name of its branch comes with that', async () => {
    const first = repository.commit({ a: '1' })
    repository.commit({ a: '2' })
    const reference = parseGitReference(`file://${repository.path}#${first}`)
    const options = { settings: ['protocol.version=0'] }
    for (const sparse of [undefined, ['']]) {
      const directory = join(scratch, `out-${String(sparse?.length)}`)
      const revision = await findRevision(reference, env, options)
      const inspect = (): Promise<void> => {
        // A server names as many branches as it likes.
        expect(repository.git(`--git-dir=${directory}/.git`, 'for-each-ref')).toBe('')
        return Promise.resolve()
      }
      const wish = { reference, env, options, directory, inspect }
      await checkOut(revision, sparse === undefined ? wish : { ...wish, sparse })
      expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('1')
    }
    const missing = { commit: 'f'.repeat(40), wanted: 'f'.repeat(40) }
    const directory = join(scratch, 'missing')
    await expect(checkOut(missing, { reference, env, options, directory })).rejects.toThrow('git: ')
  })

  test('a pack that is too large is refused while it comes', async () => {
    repository.commit({ large: randomBytes(3 << 20).toString('latin1') })
    await expect(fetched({ maxFileBytes: 1 << 20 })).rejects.toThrow('files of it may have 1 MiB')
    rmSync(join(scratch, 'out'), { recursive: true, force: true })
    expect(existsSync(join(await fetched({ maxFileBytes: 32 << 20 }), 'large'))).toBe(true)
  })

  test('a small pack that would become millions of files is refused before it does', async () => {
    repository.commit({ 'd0/a': '1', 'd0/b': '2', 'd0/c': '3', 'd0/d': '4' })
    // Each level holds the one below it eight times: 4 * 8^7 files.
    let tree = repository.git('rev-parse', 'HEAD:d0')
    for (let level = 0; level < 7; level++) {
      const file = join(scratch, 'tree')
      const entry = (name: number): string => `040000 tree ${tree}\t${String(name)}\n`
      writeFileSync(file, Array.from({ length: 8 }, (_, name) => entry(name)).join(''))
      tree = repository.git('-c', `alias.make=!git mktree < '${file}'`, 'make')
    }
    const commit = repository.git('commit-tree', '-m', 'bomb', tree)
    repository.git('push', '--quiet', '--force', 'origin', `${commit}:refs/heads/main`)
    await expect(fetched()).rejects.toThrow(/too much|more than can be taken/)
    expect(existsSync(join(scratch, 'out/0'))).toBe(false)
  })

  test('a few trees that stand for millions of directories are refused before they are made', async () => {
    repository.commit({ 'd/a': '1' })
    const make = (lines: string): string => {
      const file = join(scratch, 'tree')
      writeFileSync(file, lines)
      return repository.git('-c', `alias.make=!git mktree < '${file}'`, 'make')
    }
    let deep = repository.git('rev-parse', 'HEAD:d')
    for (let level = 0; level < 60; level++) deep = make(`040000 tree ${deep}\td\n`)
    const wide = Array.from({ length: 5000 }, (_, at) => `040000 tree ${deep}\t${String(at)}\n`)
    const commit = repository.git('commit-tree', '-m', 'deep', make(wide.join('')))
    repository.git('push', '--quiet', '--force', 'origin', `${commit}:refs/heads/main`)
    await expect(fetched()).rejects.toThrow('5000 files of 1 MiB together in 305000 directories')
    expect(existsSync(join(scratch, 'out/0'))).toBe(false)
  })

  test('files are as they were committed, whatever attributes say of them', async () => {
    const trace = join(scratch, 'ran')
    const text = '$Id$ $Id$\n'
    writeFileSync(join(scratch, '.gitconfig'), `[filter "known"]\n\tsmudge = touch ${trace}\n`)
    repository.commit({ grown: text, lines: text, run: text })
    repository.commit({
      '.gitattributes': 'grown ident\nlines text eol=crlf\nrun filter=known\n',
    })
    for (const sparse of [undefined, ['']]) {
      const reference = parseGitReference(`file://${repository.path}#main`)
      const directory = join(scratch, `plain-${String(sparse?.length)}`)
      const wish = { reference, env, directory }
      const revision = await findRevision(reference, env)
      await checkOut(revision, sparse === undefined ? wish : { ...wish, sparse })
      for (const name of ['grown', 'lines', 'run'])
        expect(readFileSync(join(directory, name), 'latin1')).toBe(text)
    }
    expect(existsSync(trace)).toBe(false)
  })

  test('hooks, attributes and monitors of a repository run nothing', async () => {
    const trace = join(scratch, 'ran')
    const script = `#!/bin/sh\ntouch '${trace}'\n`
    repository.commit({
      '.gitattributes': '* filter=evil diff=evil\n',
      '.gitmodules': `[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% ${trace}\n`,
      'hooks/post-checkout': script,
      '.githooks/post-checkout': script,
      // What looks like a repository without a work tree.
      HEAD: 'ref: refs/heads/main\n',
      'objects/x': '',
      'refs/x': '',
      config: `[core]\n\tbare = true\n\tfsmonitor = "touch ${trace}"\n[filter "evil"]\n\tsmudge = touch ${trace}\n`,
    })
    expect(readFileSync(join(await fetched(), 'hooks/post-checkout'), 'utf8')).toBe(script)
    expect(existsSync(trace)).toBe(false)
  })

  test('a transport that runs programs is refused, whatever the environment allows', async () => {
    const trace = join(scratch, 'ran')
    const reference = parseGitReference(`file://${repository.path}`)
    const words = ['ls-remote', '--', `ext::sh -c touch% ${trace}`]
    const open = { ...env, GIT_ALLOW_PROTOCOL: 'ext:file' }
    await expect(runGit(words, reference, open)).rejects.toThrow("transport 'ext' not allowed")
    expect(existsSync(trace)).toBe(false)
  })

  test.each([
    'ssh://-oProxyCommand=touch/x.git',
    'ssh://git@-oProxyCommand=touch/x.git',
    'git@-oProxyCommand=touch:x.git',
    'git@host:-oProxyCommand=touch',
    'ext::sh -c id',
    'ext::sh',
    '--upload-pack=touch',
    '/srv/shop.git',
  ])('what looks like a repository and is an option or a program: %s', (text) => {
    expect(() => parseGitReference(text)).toThrow()
  })
})

describe.skipIf(!hasGit)('a server that never ends', { timeout: 60_000 }, () => {
  test('is listened to no longer than there is memory for what it says', async () => {
    const line = (at: number): string => {
      const text = `${'a'.repeat(40)} refs/heads/${String(at)}${'x'.repeat(800)}\n`
      return (text.length + 4).toString(16).padStart(4, '0') + text
    }
    let sent = 0
    const server: Server = createServer((socket) => {
      const more = (): void => {
        while (socket.write(line(sent++)));
      }
      socket
        .on('error', () => undefined)
        .on('drain', more)
        .once('data', more)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const reference = parseGitReference(`git://127.0.0.1:${String(port)}/shop.git`)
    const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' }
    try {
      const options = { maxMemoryBytes: 64 << 20 }
      await expect(findRevision(reference, env, options)).rejects.toThrow(/git: .*memory/i)
      expect(sent).toBeLessThan(1_000_000)
    } finally {
      server.close()
    }
  })
})

describe.skipIf(!hasGit)('a server that never answers', { timeout: 60_000 }, () => {
  test('is waited for no longer than it may take, and nothing of git stays', async () => {
    let connections = 0
    let closed = 0
    const server: Server = createServer((socket) => {
      connections++
      socket
        .on('error', () => undefined)
        .on('close', () => closed++)
        .resume()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const reference = parseGitReference(`http://127.0.0.1:${String(port)}/shop.git`)
    const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' }
    try {
      await expect(findRevision(reference, env, { timeoutMs: 1500 })).rejects.toThrow(
        'it took longer than 1.5 s',
      )
      // git-remote-http, which holds the connection, is a grandchild.
      await expect.poll(() => connections > 0 && closed === connections).toBe(true)
    } finally {
      server.close()
    }
  })
})
