/** Stack files of git repositories, from real servers on this machine. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SpecError } from '../../src/spec/spec-error.ts'
import { loadSources } from '../../src/sources/load-sources.ts'
import type { LoadedStack } from '../../src/spec/loaded-stack.ts'
import {
  createRepository,
  hasGit,
  startGitDaemon,
  startHttpServer,
  type GitRepository,
  type GitServer,
} from './git-server.ts'

const skipped = hasGit ? '' : ' (skipped: no git on the PATH)'

describe.skipIf(!hasGit)(`remote stack files of git${skipped}`, { timeout: 60_000 }, () => {
  let repository: GitRepository
  let directory = ''
  const servers: GitServer[] = []
  beforeEach(() => {
    repository = createRepository()
    directory = mkdtempSync(join(tmpdir(), 'tsstack-remote-'))
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close()
    repository.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const load = (files: readonly string[], path = process.env['PATH'] ?? ''): Promise<LoadedStack> =>
    loadSources({
      cwd: directory,
      files,
      env: { HOME: directory, XDG_CACHE_HOME: join(directory, 'cache'), PATH: path },
    })
  const failure = async (files: readonly string[], path?: string): Promise<string> => {
    try {
      await load(files, path)
    } catch (error) {
      if (error instanceof SpecError) return error.message
      throw error
    }
    throw new Error('it was loaded')
  }
  const put = (name: string, text: string): void => {
    writeFileSync(join(directory, name), text)
  }
  const STACK = 'services:\n  web:\n    image: web:1\n    env_file: [web.env]\n    build: ./web\n'

  test.each([
    ['git://', startGitDaemon],
    ['http://', startHttpServer],
  ])('come by %s, with the files beside them', async (_, start) => {
    repository.commit({ 'compose.yaml': STACK, 'web.env': 'A=1\n', '.env': 'X=1\n' })
    const server = await start(repository.directory)
    servers.push(server)
    const { stack, workingDir } = await load([`${server.url}/shop.git`])
    expect(stack.name).toBe('shop')
    expect(stack.services['web']?.environment).toEqual({ A: '1' })
    expect(stack.services['web']?.build?.context).toBe(join(workingDir, 'web'))
    expect(existsSync(join(workingDir, '.git'))).toBe(false)
  })

  test('are included and extended, at a branch, a tag or a commit, from a directory or a file', async () => {
    const first = repository.commit({ 'deploy/stack.yaml': 'services: {a: {image: a:1}}\n' })
    repository.git('tag', '-a', 'v1', '-m', 'one')
    repository.git('push', '--quiet', 'origin', 'v1')
    repository.commit({ 'deploy/stack.yaml': 'services: {a: {image: a:2}}\n' })
    repository.commit({ 'other.yml': 'services: {b: {image: b:3}}\n' }, 'feature/x')
    const url = `file://${repository.path}`
    const imageAt = async (fragment: string): Promise<string | undefined> => {
      put('stack.yaml', `name: x\ninclude: ["${url}#${fragment}"]\n`)
      return (await load([])).stack.services['a']?.image
    }
    expect(await imageAt('main:deploy')).toBe('a:2')
    expect(await imageAt('v1:deploy')).toBe('a:1')
    expect(await imageAt(`${first}:deploy/stack.yaml`)).toBe('a:1')
    expect(await imageAt(':deploy')).toBe('a:2')
    put(
      'stack.yaml',
      `services:\n  web:\n    extends: {file: "${url}#feature/x:other.yml", service: b}\n    hostname: h\n`,
    )
    expect((await load([])).stack.services['web']).toMatchObject({ image: 'b:3', hostname: 'h' })
  })

  test('follow a branch, and need no server for a commit that is in the cache', async () => {
    const commit = repository.commit({ 'compose.yaml': 'services: {a: {image: a:1}}\n' })
    const url = `file://${repository.path}`
    const image = async (reference: string): Promise<string | undefined> =>
      (await load([reference])).stack.services['a']?.image
    expect(await image(url)).toBe('a:1')
    repository.commit({ 'compose.yaml': 'services: {a: {image: a:2}}\n' })
    expect(await image(url)).toBe('a:2')
    rmSync(repository.path, { recursive: true })
    expect(await image(`${url}#${commit}`)).toBe('a:1')
    const [key = ''] = readdirSync(join(directory, 'cache/tsstack/git'))
    expect(readdirSync(join(directory, 'cache/tsstack/git', key))).toHaveLength(2)
  })

  test('may include further ones, and are told where they come from', async () => {
    const url = `file://${repository.path}`
    repository.commit({ 'compose.yaml': 'services: {deep: {image: d, restrat: always}}\n' }, 'deep')
    repository.commit({ 'compose.yaml': `include:\n  - "${url}#deep"\n` }, 'middle')
    put('stack.yaml', `include:\n  - "${url}#middle"\n`)
    const message = await failure([])
    expect(message).toContain('shop/compose.yaml:1:29')
    expect(message).toContain("'restrat' not allowed")
  })

  test('are refused when they leave the repository, are programs, or are not there', async () => {
    const url = `file://${repository.path}`
    repository.commit({ 'compose.yaml': '-> /etc/passwd' }, 'link')
    repository.commit({ 'compose.yaml': '-> x', x: '-> ../../x' }, 'chain')
    repository.git('rm', '--quiet', '-r', '.')
    repository.commit({ 'stack.ts': 'export default {}\n' }, 'program')
    put(
      'stack.yaml',
      `include:\n${['link', 'chain', 'program', 'program:stack.ts', 'nix'].map((ref) => `  - "${url}#${ref}"\n`).join('')}`,
    )
    const lines = (await failure([])).split('\n')
    expect(lines).toHaveLength(5)
    const place = `${join(directory, 'stack.yaml')}:2:5: cannot read ${url}#link: `
    expect(lines[0]).toBe(`${place}its link "compose.yaml" leaves the repository`)
    expect(lines[1]).toContain('leaves the repository')
    expect(lines[2]).toContain('there is no stack file in its root')
    expect(lines[3]).toContain('it has no directory or YAML file "stack.ts"')
    expect(lines[4]).toContain('it has no branch or tag "nix"')
  })

  test('say what git says, and what to do without git', async () => {
    put('stack.yaml', `include: ["file://${directory}/nix.git"]\n`)
    expect(await failure([])).toMatch(/cannot read file:\S+: git: .*nix\.git/)
    repository.commit({ 'compose.yaml': 'services: {a: {image: a:1}}\n' })
    const path = join(directory, 'empty')
    expect(await failure([`file://${repository.path}`], path)).toContain(
      'there is no git on the PATH',
    )
  })

  test('fetch no submodules', async () => {
    const trap = join(directory, 'trapped')
    repository.commit({
      'compose.yaml': 'services: {a: {image: a:1}}\n',
      '.gitmodules': `[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% ${trap}\n`,
    })
    await load([`file://${repository.path}`])
    expect(existsSync(trap)).toBe(false)
  })
})
