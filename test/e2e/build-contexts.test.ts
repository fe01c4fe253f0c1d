/** Where builds take their files from: directories, images, layouts, services, repositories, archives. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { createRepository, gitHttpHandler, type GitRepository } from '../sources/git-server.ts'
import { startWebProxy, type WebProxy } from '../web-proxy.ts'
import { newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'

let daemon: DaemonFixture
let repository: GitRepository
let server: WebProxy

beforeAll(async () => {
  daemon = await startDaemonFixture()
  repository = createRepository()
  const git = gitHttpHandler(repository.directory)
  const directory = path.join(daemon.scratch, 'server')
  mkdirSync(directory)
  server = await startWebProxy(daemon.netns, directory, (request, response) => {
    const file = path.join(repository.directory, path.basename(request.url ?? ''))
    if (request.url?.startsWith('/shop.git') === true) git(request, response)
    else if (existsSync(file)) response.end(readFileSync(file))
    else response.writeHead(404).end()
  })
})
afterAll(async () => {
  server.close()
  repository.close()
  await daemon.close()
})

const CONTEXTS = `
services:
  base:
    build: { dockerfile_inline: "FROM ${BASE}\\nRUN echo base > /base" }
  app:
    build:
      context: app
      dockerfile: ../files/app.dockerfile
      additional_contexts:
        docker.io/library/alpine: service:base
        lib: ./lib
        tools: ./tools
        image: docker-image://contexts-base
`
const FROZEN = `
services:
  frozen:
    build:
      dockerfile_inline: "FROM frozen\\nRUN echo >> /base; cat /base /base > /twice"
      additional_contexts: ['frozen=oci-layout://./layout:latest']
`
const DOCKERFILE = `
FROM scratch AS tools
COPY nothing /
FROM alpine:latest
COPY --from=lib . /shared/
COPY --from=tools tool /
COPY --from=image /base /again
RUN --mount=type=bind,from=lib,target=/mnt cat /mnt/a /again > /both
COPY own /
`

test('contexts are directories, images, layouts and other services, and take the place of stages', async () => {
  const tsstack = newProject(daemon, 'contexts', {
    'stack.yaml': CONTEXTS,
    'frozen.yaml': FROZEN,
    'files/app.dockerfile': DOCKERFILE,
    'app/own': 'own',
    'lib/a': 'a\n',
    'lib/b': 'b',
    'lib/.dockerignore': 'b\n.dockerignore',
    'tools/tool': 'tool',
  })
  try {
    const show = 'cd /; ls shared; cat both tool own'
    const shown = await tsstack.ok(['run', '--rm', 'app', 'sh', '-c', show])
    expect(shown).toBe('a\na\nbase\ntoolown')
    const layout = path.join(tsstack.directory, 'layout')
    mkdirSync(layout)
    await tsstack.ok('image save -o layout.tar contexts-base:latest')
    execFileSync('tar', ['-xf', '../layout.tar'], { cwd: layout })
    await tsstack.ok('-f frozen.yaml build')
    const twice = await tsstack.ok('-f frozen.yaml run --rm frozen cat /twice')
    expect(twice.trim()).toBe('base\n\nbase')
  } finally {
    await tsstack.run('down -v')
  }
})

function buildOf(tsstack: CommandLine, build: string): Promise<string> {
  const stack = `services:\n  app:\n    build: { network: host, ${build} }\n`
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), stack)
  return tsstack.run('build').then(({ exitCode, stderr }) => `${String(exitCode)} ${stderr}`)
}

function fetchedContexts(): string[] {
  const directory = path.join(daemon.stateDir, 'build-contexts')
  return existsSync(directory) ? readdirSync(directory) : []
}

test('contexts come from repositories and archives, and a Dockerfile by itself', async () => {
  repository.commit({
    'web/Dockerfile': `FROM ${BASE}\nCOPY . /web\nCOPY --from=pack top /\n`,
    'web/link': '-> /etc/hostname',
    'web/.dockerignore': 'noise',
    'web/noise': '',
    top: 'top',
  })
  const { directory } = repository
  execFileSync('tar', ['-czf', `${directory}/pack.tgz`, '-C', `${directory}/work`, 'top', 'web'])
  writeFileSync(`${directory}/file`, `FROM ${BASE}\nRUN echo alone > /alone\n`)
  const tsstack = newProject(daemon, 'remote', {})
  const pack = `${server.url}/pack.tgz`
  const show = (script: string): Promise<string> =>
    tsstack.ok(['run', '--rm', 'app', 'sh', '-c', script])
  try {
    const git = `context: '${server.url}/shop.git#main:web', additional_contexts: { pack: '${pack}' }`
    expect(await buildOf(tsstack, git)).toMatch(/^0 /)
    expect(await show('ls /web; readlink /web/link; cat /top')).toBe(
      'Dockerfile\nlink\n/etc/hostname\ntop',
    )
    expect(
      await buildOf(
        tsstack,
        `context: '${pack}', dockerfile: web/Dockerfile, additional_contexts: { pack: '${pack}' }`,
      ),
    ).toMatch(/^0 /)
    expect(await buildOf(tsstack, `context: '${server.url}/file'`)).toMatch(/^0 /)
    expect(await show('cat /alone')).toBe('alone')
    expect(fetchedContexts()).toEqual([])
  } finally {
    await tsstack.run('down -v')
  }
})

test.each([
  ['no-ref', 'URL/shop.git#nowhere', 'no branch or tag "nowhere"'],
  ['no-directory', 'URL/shop.git#main:nowhere', 'there is no "nowhere"'],
  ['no-file', 'URL/none', 'the answer is 404'],
  ['local', 'file:///etc/shop.git', 'repositories of this host'],
  ['metadata', 'http://169.254.169.254/', 'link-local'],
  ['unknown', 'ftp://host/x', 'is no directory of this host'],
])('a context that is not to be had says why: %s', async (name, context, message) => {
  repository.commit({ top: 'top' })
  const tsstack = newProject(daemon, name, {})
  const told = await buildOf(tsstack, `context: '${context.replace('URL', server.url)}'`)
  expect(told).toContain(message)
  expect(told).toContain('Cannot build service "app"')
  expect(fetchedContexts()).toEqual([])
})

test('a fetched context is read alone: no Dockerfile of the host', async () => {
  repository.commit({ 'web/link': '-> /etc/hostname' })
  const tsstack = newProject(daemon, 'alone', {})
  const context = `context: '${server.url}/shop.git#main:web'`
  for (const file of ['link', '/etc/hostname', '../../../../../../../../etc/hostname'])
    expect(await buildOf(tsstack, `${context}, dockerfile: ${file}`)).toContain('there is no file')
})
