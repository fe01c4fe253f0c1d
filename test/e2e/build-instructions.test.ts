/** Instructions with their rarer flags, in one build; and what a killed build leaves. */
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { startWebProxy, type WebProxy } from '../web-proxy.ts'
import { jsonOf, newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'
const FILE = 'from a server\n'
const CHECKSUM = `sha256:${createHash('sha256').update(FILE).digest('hex')}`

let daemon: DaemonFixture
let server: WebProxy
let requests = 0

beforeAll(async () => {
  daemon = await startDaemonFixture()
  const directory = path.join(daemon.scratch, 'server')
  mkdirSync(directory)
  server = await startWebProxy(daemon.netns, directory, (_, response) => {
    requests++
    response.end(FILE)
  })
})
afterAll(async () => {
  server.close()
  await daemon.close()
})

function stackWith(build: string): string {
  return `
services:
  app:
    build: { context: ., ${build} }
    command: [sh, -c, 'exec sleep 3600']
    stop_signal: SIGKILL
`
}

const files = (dockerfile: string, build: string): Record<string, string> => ({
  'stack.yaml': stackWith(build),
  Dockerfile: `FROM ${BASE}\n${dockerfile}`,
})

const INSTRUCTIONS = (url: string): string => `
ADD --checksum=${CHECKSUM} ${url}/file /added/
ADD pack.tar /unpacked/
COPY --parents src/./a/one.txt /parents/
COPY --exclude=*.log src/ /excluded/
COPY --link --chmod=751 src/a/one.txt /linked/name
COPY <<ONE <<"TWO" /texts/
$HOME is expanded
ONE
$HOME is not
TWO
ENV HOME=/root
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK"
RUN --network=none test ! -e /sys/class/net/eth0
RUN --mount=type=cache,target=/a,sharing=locked --mount=type=cache,target=/b,sharing=private touch /a/x /b/x
SHELL ["/bin/sh", "-ec"]
RUN echo $0 > /shell
`

test('flags of ADD, COPY and RUN do what the reference says, and a second build asks nobody', async () => {
  const dockerfile = INSTRUCTIONS(server.url)
  const tsstack = newProject(daemon, 'flags', files(dockerfile, 'network: host, ssh: [default]'))
  mkdirSync(path.join(tsstack.directory, 'src/a'), { recursive: true })
  writeFileSync(path.join(tsstack.directory, 'src/a/one.txt'), 'one')
  writeFileSync(path.join(tsstack.directory, 'src/a.log'), 'noise')
  execFileSync('tar', ['-C', tsstack.directory, '-cf', `${tsstack.directory}/pack.tar`, 'src'])
  const socket = path.join(tsstack.directory, 'agent')
  const agent = createServer().listen(socket)
  const env = { SSH_AUTH_SOCK: socket }
  try {
    await tsstack.ok('up -d --build', { env })
    const show =
      'cd /; cat added/file; stat -c %a added/file linked/name; ls unpacked/src parents excluded; cat texts/*'
    expect(await tsstack.ok(['exec', '-T', 'app', 'sh', '-c', show])).toBe(
      [
        ...['from a server', '600', '751', 'excluded:', 'a', '', 'parents:', 'a', ''],
        ...['unpacked/src:', 'a', 'a.log', ' is expanded', '$HOME is not'],
      ].join('\n'),
    )
    const before = requests
    await tsstack.ok('build', { env })
    expect(requests).toBe(before)
    const usage = jsonOf(await tsstack.ok('system df --format json'))
    expect(usage.find(({ Type }) => Type === 'Build Cache')?.['TotalCount']).not.toBe('0')
  } finally {
    agent.close()
    await tsstack.run('down -v')
  }
})

const REPRODUCED = `
RUN echo x >/x; mkdir /made; touch -d 2040-01-01 /later; ln -s x /link; chmod 4711 /x
WORKDIR /new/directory
COPY --chown=3:4 . .
COPY <<TEXT /text
here
TEXT
ADD pack.tar /unpacked/
FROM built
COPY --from=0 /later /x /all/
RUN test "$(stat -c %Y /all/later)" = 1700000000 || exit 9; rm /all/later; date >/when 2>/dev/null && touch -d @1500000000 /when && echo same >/when
HEALTHCHECK CMD true
`

test('the same input has the same digest with SOURCE_DATE_EPOCH, in another store and at another time', async () => {
  const build = 'no_cache: true'
  const dockerfile = `FROM ${BASE} AS built${REPRODUCED}`
  const env = { SOURCE_DATE_EPOCH: '1700000000' }
  const other = await startDaemonFixture()
  const digestIn = async (fixture: DaemonFixture): Promise<unknown> => {
    const tsstack = newProject(fixture, 'epoch', {
      'stack.yaml': stackWith(build),
      Dockerfile: dockerfile,
      'sub/file': 'content',
    })
    const packed = ['--mtime=@1600000000', '--owner=0', '--group=0', '-cf', 'pack.tar', 'sub']
    execFileSync('tar', packed, { cwd: tsstack.directory })
    const made = Date.now() / 1000
    for (const name of ['Dockerfile', 'stack.yaml', 'pack.tar', 'sub/file'])
      utimesSync(path.join(tsstack.directory, name), made, made) // later than SOURCE_DATE_EPOCH
    await tsstack.ok('build', { env })
    const [image] = JSON.parse(await tsstack.ok('image inspect epoch-app')) as Inspected[]
    return { ...image?.RootFS, id: image?.Id, created: image?.Created }
  }
  try {
    const first = await digestIn(daemon)
    expect(first).toMatchObject({ created: '2023-11-14T22:13:20Z' })
    expect(await digestIn(other)).toEqual(first)
  } finally {
    await other.close()
  }
})

interface Inspected {
  readonly Id: string
  readonly Created: string
  readonly RootFS: object
}

const SLEEPS = files('RUN echo first > /first\nRUN sleep 3217\n', 'no_cache: false')

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // it has ended
  }
}

function sleeps(): boolean {
  return readdirSync('/proc').some((pid) => commandOf(pid).split('\0').join(' ') === 'sleep 3217 ')
}

/** What a build has on the disk and in the kernel while it runs. */
function leftovers(): string[] {
  const images = path.join(daemon.stateDir, 'images')
  const directories = [
    path.join(images, 'drafts/overlay'),
    path.join(images, 'drafts/overlay/.tmp'),
  ]
  const groups = readdirSync('/sys/fs/cgroup').map((name) =>
    path.join('/sys/fs/cgroup', name, daemon.cgroupParent, 'build'),
  )
  const unified = path.join('/sys/fs/cgroup', daemon.cgroupParent, 'build')
  const found = [...directories, path.join(images, 'tmp'), ...groups, unified].flatMap(
    (directory) =>
      existsSync(directory)
        ? readdirSync(directory, { withFileTypes: true }).map(({ name }) => `${directory}/${name}`)
        : [],
  )
  return found.filter((file) => /[0-9a-f]{8}/.test(path.basename(file)))
}

async function buildAgain(tsstack: CommandLine): Promise<void> {
  const dockerfile = path.join(tsstack.directory, 'Dockerfile')
  writeFileSync(dockerfile, readFileSync(dockerfile, 'utf8').replace('sleep 3217', 'true'))
  const { exitCode, stderr } = await tsstack.run('build')
  expect(exitCode).toBe(0)
  expect(stderr).toMatch(/echo first.*Cached|Cached.*echo first/)
}

test('a build that is interrupted ends its step at once, and leaves nothing half-made', async () => {
  const tsstack = newProject(daemon, 'interrupted', SLEEPS)
  const build = tsstack.start('build')
  await eventually('the step to sleep', sleeps)
  expect(leftovers()).not.toEqual([])
  build.signal('SIGINT')
  await build.exitCode
  await eventually('the end of the step', () => !sleeps() && leftovers().length === 0, 2000)
  expect(await tsstack.ok('image ls')).not.toContain('interrupted-app')
  await buildAgain(tsstack)
})

test('a daemon that is killed in the middle of a build leaves neither step nor network', async () => {
  const tsstack = newProject(daemon, 'killed', SLEEPS)
  const build = tsstack.start('build')
  await eventually('the step to sleep', sleeps)
  expect((await daemon.client.networks()).map(({ name }) => name)).toContain('tsstack_build')
  await daemon.kill()
  await build.exitCode
  await daemon.start()
  await eventually('the end of the step', () => !sleeps() && leftovers().length === 0)
  expect(await daemon.client.networks()).toEqual([])
  await buildAgain(tsstack)
  const forgotten = async (flags: string): Promise<string | undefined> =>
    /Forgotten steps: (\d+)/.exec(await tsstack.ok(`builder prune -f ${flags}`.trim()))?.[1]
  expect(await forgotten('--filter until=1h')).toBe('0')
  expect(await forgotten('--keep-storage 1g')).toBe('0')
  expect(Number(await forgotten(''))).toBeGreaterThan(1)
  const usage = jsonOf(await tsstack.ok('system df --format json'))
  expect(usage.find(({ Type }) => Type === 'Build Cache')?.['TotalCount']).toBe('0')
})
