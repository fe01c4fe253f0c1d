/** ADD of what is no plain file of the context: URLs, git repositories, archives; and what it may not reach. */
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { createRepository, gitHttpHandler, type GitRepository } from '../sources/git-server.ts'
import { startWebProxy, type WebProxy } from '../web-proxy.ts'
import { newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'
const MODIFIED = 'Wed, 21 Oct 2015 07:28:00 GMT'
const FILE = 'from a server\n'
const CHECKSUM = `sha256:${createHash('sha256').update(FILE).digest('hex')}`

let daemon: DaemonFixture
let server: WebProxy
let repository: GitRepository
let commit: string
let requests = 0

beforeAll(async () => {
  daemon = await startDaemonFixture()
  repository = createRepository()
  repository.commit({ old: 'old' })
  commit = repository.commit({ 'src/run.sh': 'echo hi\n', 'src/out': '-> /etc/passwd', top: 'top' })
  const git = gitHttpHandler(repository.directory)
  const directory = path.join(daemon.scratch, 'server')
  mkdirSync(directory)
  server = await startWebProxy(daemon.netns, directory, (request, response) => {
    requests++
    if (request.url?.startsWith('/shop.git') === true) git(request, response)
    else if (request.url === '/moved')
      response.writeHead(302, { location: 'http://169.254.169.254/' }).end()
    else if (request.url === '/packed')
      response.end(execFileSync('tar', ['-cz', '-C', '/etc', 'hostname']))
    else response.setHeader('last-modified', MODIFIED).end(FILE)
  })
})
afterAll(async () => {
  server.close()
  repository.close()
  await daemon.close()
})

function projectOf(name: string, dockerfile: string, build = 'network: host'): CommandLine {
  return newProject(daemon, name, {
    'stack.yaml': `services: { app: { build: { context: ., ${build} }, command: [sleep, infinity], init: true } }\n`,
    Dockerfile: `FROM ${BASE}\n${dockerfile}`,
  })
}

async function refusedBuild(tsstack: CommandLine): Promise<string> {
  const { exitCode, stderr } = await tsstack.run('build')
  expect(exitCode).not.toBe(0)
  return stderr
}

async function shown(tsstack: CommandLine, script: string): Promise<string[]> {
  try {
    const output = await tsstack.ok(['run', '--rm', '--build', 'app', 'sh', '-c', script])
    return output.split('\n')
  } finally {
    await tsstack.run('down -v --rmi local')
  }
}

function drafts(): string[] {
  return readdirSync(path.join(daemon.stateDir, 'images/drafts/overlay')).filter(
    (name) => name !== '.tmp',
  )
}

test('ADD of a repository: a directory of a commit, its links, its times; .git on demand; nobody is asked twice', async () => {
  const url = `${server.url}/shop.git`
  const tsstack = projectOf(
    'repository',
    [
      `ADD ${url}#main:src /src`,
      `ADD --checksum=${commit.slice(0, 9)} --chown=5:6 ${url} /all/`,
      `ADD --keep-git-dir --checksum=${commit} ${url} /kept`,
    ].join('\n'),
  )
  const script =
    'cd /; ls -A src all kept; readlink src/out; stat -c "%a %U" src/run.sh; stat -c %u:%g all/top; cat kept/.git/HEAD; stat -c %Y src/run.sh'
  expect(await shown(tsstack, script)).toEqual([
    ...['all:', 'old', 'src', 'top', '', 'kept:', '.git', 'old', 'src', 'top', ''],
    ...['src:', 'out', 'run.sh', '/etc/passwd', '644 root', '5:6', commit],
    repository.git('log', '-1', '--format=%ct'),
  ])
  expect(drafts()).toEqual([])

  const pinned = projectOf('pinned', `ADD --checksum=${commit} ${url} /all/\n`)
  await tsstack.ok('build')
  await pinned.ok('build')
  const before = requests
  await pinned.ok('build')
  expect(requests).toBe(before)
})

test('ADD of a URL keeps its time, and unpacks it when it is told to', async () => {
  const tsstack = projectOf(
    'url',
    `ADD ${server.url}/a/file?x=1 /there/\nADD ${server.url}/ /named\nADD --unpack ${server.url}/packed /packed/\n`,
  )
  const script = 'cd /; ls there packed; stat -c "%a %Y" there/file; cat named'
  expect(await shown(tsstack, script)).toEqual([
    ...['packed:', 'hostname', '', 'there:', 'file'],
    ...[`600 ${String(Date.parse(MODIFIED) / 1000)}`, FILE.trim()],
  ])
  expect(drafts()).toEqual([])
})

test('ADD unpacks tar files, however they are packed, and nothing else', async () => {
  const programs = ['gzip', 'zstd', 'xz', 'bzip2']
  const lines = programs.map((name) => `ADD ${name} ${name}.plain ${name}.damaged /in/${name}/\n`)
  const tsstack = projectOf('packed', `${lines.join('')}ADD --unpack=false xz /kept\n`)
  const at = (name: string): string => path.join(tsstack.directory, name)
  writeFileSync(at('file'), 'content')
  symlinkSync('/etc', at('link'))
  execFileSync('tar', ['-C', tsstack.directory, '-cf', at('it.tar'), 'file', 'link'])
  for (const program of programs) {
    const pack = (file: string): Buffer => execFileSync(program, ['-c', at(file)])
    writeFileSync(at(program), pack('it.tar'))
    writeFileSync(at(`${program}.plain`), pack('file')) // packed, but no archive
    writeFileSync(at(`${program}.damaged`), pack('it.tar').subarray(0, 9))
  }
  const script = 'cd /in; for each in *; do echo $each/*; done; cat */file; test -f ../kept'
  expect(await shown(tsstack, script)).toEqual([
    ...programs.toSorted().map((name) =>
      ['file', 'link', `${name}.damaged`, `${name}.plain`]
        .sort()
        .map((file) => `${name}/${file}`)
        .join(' '),
    ),
    'content'.repeat(programs.length),
  ])
})

test('ADD refuses an archive that leads out or breaks off', async () => {
  const tsstack = projectOf('hostile', 'ADD it /in/\n')
  const it = path.join(tsstack.directory, 'it')
  execFileSync('sh', ['-c', 'tar -c --transform "s,^,../../," -P /etc/hostname | xz > "$0"', it])
  expect(await refusedBuild(tsstack)).toMatch(/Dockerfile:2:1: ADD: .*leaves the root/)
  execFileSync('sh', [
    '-c',
    'head -c 2000000 /dev/urandom > "$0.raw"; tar -c "$0.raw" | xz -0 | head -c 900000 > "$0"',
    it,
  ])
  expect(await refusedBuild(tsstack)).toMatch(/Dockerfile:2:1: ADD: /)
})

test.each([
  ['file', 'ADD URL/file /x', '', /link-local/],
  ['moved', 'ADD URL/moved /x', 'network: host', /Dockerfile:2:1: ADD: .*169\.254\.169\.254/],
  ['sum', `ADD --checksum=sha256:${'0'.repeat(64)} URL/file /x`, 'network: host', RegExp(CHECKSUM)],
  ['loopback', 'ADD URL/shop.git /x', '', /Dockerfile:2:1: ADD: .*link-local/],
  ['scp', 'ADD git@127.0.0.1:shop.git /x', '', /link-local/],
  ['agent', 'ADD git@127.0.0.1:shop.git /x', 'network: host', /ssh agent/],
  ['no-ref', 'ADD URL/shop.git#nowhere /x', 'network: host', /no branch or tag "nowhere"/],
  [
    'no-dir',
    'ADD URL/shop.git#main:nowhere /x',
    'network: host',
    /"nowhere" is not in the repository/,
  ],
  [
    'commit',
    `ADD --checksum=${'0'.repeat(40)} URL/shop.git#main /x`,
    'network: host',
    /Dockerfile:2:1: ADD: /,
  ],
  ['prefix', 'ADD --checksum=0000000 URL/shop.git#main /x', 'network: host', /its commit is/],
])('ADD refuses: %s', async (name, line, build, message) => {
  const tsstack = projectOf(
    `no-${name}`,
    line.replace('URL', server.url),
    build || 'no_cache: false',
  )
  expect(await refusedBuild(tsstack)).toMatch(message)
})
