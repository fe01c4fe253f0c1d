/** The attributes of `build:` and the flags of `tsstack build`, as a step sees them and as the image has them. */
import { readlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { missingPrograms, startRegistry } from '../registry-fixture.ts'
import { jsonOf, newProject, type CommandLine } from './command-line.ts'

const BASE = 'host:sh,coreutils'
const HOST = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`
const skipped = missingPrograms('docker-registry')

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

async function inspect(tsstack: CommandLine, image: string): Promise<Record<string, unknown>> {
  const [found = {}] = jsonOf(await tsstack.ok(`image inspect ${image}`))
  return { ...found, ...(found['Config'] as object) }
}

const ALL = `
services:
  app:
    image: attributes
    build:
      context: .
      target: Wanted
      args: [COLOUR, FIXED=1, UNSET]
      labels: { kind: test }
      tags: [attributes:more, 'other/attributes:2']
      ulimits: { nofile: { soft: 1234, hard: 2345 }, core: 77824 }
      shm_size: 32m
      extra_hosts: ['built.example=192.0.2.7']
      network: none
      platforms: [${HOST}]
      secrets: [token, { source: file, target: other }]
      provenance: true
secrets:
  token: { environment: TOKEN }
  file: { file: ./file }
`
const CHECKS = `
FROM ${BASE} AS wanted
ARG COLOUR
ARG FIXED
ARG UNSET=default
RUN test "$COLOUR $FIXED $UNSET" = "red 1 default"
RUN test "$(ulimit -Sn) $(ulimit -Hn) $(ulimit -c)" = "1234 2345 152"
RUN test "$(stat -fc '%S %b' /dev/shm)" = "4096 8192"
RUN case "$(cat /etc/hosts)" in *192.0.2.7*built.example*) ;; *) exit 1 ;; esac
RUN test "$(ls /sys/class/net)" = lo
RUN --mount=type=secret,id=token,mode=0440,uid=5,gid=6 cd /run/secrets; test "$(stat -c '%a %u %g' token) $(cat token)" = "440 5 6 hidden"
RUN --mount=type=secret,id=other,required test "$(cat /run/secrets/other)" = content
RUN test ! -e /run/secrets
FROM wanted AS unwanted
RUN exit 1
`

test('a step has what the build gives it, and the image its names and labels', async () => {
  const tsstack = newProject(daemon, 'all', {
    'stack.yaml': ALL,
    Dockerfile: CHECKS,
    file: 'content',
  })
  const env = { COLOUR: 'red', TOKEN: 'hidden' }
  const { exitCode, stderr } = await tsstack.run('build', { env })
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('provenance is not made')])
  const { Labels, RepoTags } = await inspect(tsstack, 'other/attributes:2')
  expect(Labels).toMatchObject({ kind: 'test', 'com.docker.compose.service': 'app' })
  expect(RepoTags).toEqual(['attributes:latest', 'attributes:more', 'other/attributes:2'])
})

function write(tsstack: CommandLine, build: string, dockerfile: string, service = ''): void {
  const stack = `services:\n  app: { build: { context: ., ${build} }, ${service} }\n`
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), stack)
  writeFileSync(path.join(tsstack.directory, 'Dockerfile'), `FROM ${BASE} AS first\n${dockerfile}`)
}

const UUID = 'RUN cat /proc/sys/kernel/random/uuid > /uuid\n'

test('network, privileges and the cache are as the build says', async () => {
  const tsstack = newProject(daemon, 'says', {})
  const layers = async (flags = ''): Promise<string> => {
    await tsstack.ok(`build -q ${flags}`.trim())
    return JSON.stringify((await inspect(tsstack, 'says-app'))['RootFS'])
  }
  const net = readlinkSync(`/proc/${String(daemon.pid)}/ns/net`)
  const sees = 'RUN test "$(readlink /proc/self/ns/net)" = '
  write(tsstack, 'network: host', `${sees} '${net}'\n`)
  await layers()
  const insecure = 'RUN --security=insecure test -w /proc/sys/kernel/hostname\n'
  write(tsstack, 'entitlements: [security.insecure]', insecure)
  await layers()
  write(tsstack, 'privileged: true', 'RUN test -w /proc/sys/kernel/hostname\n')
  await layers()

  write(tsstack, 'no_cache: true', UUID)
  const first = await layers()
  expect(await layers()).not.toBe(first)
  write(tsstack, 'no_cache_filter: [first]', UUID)
  const second = await layers()
  expect(await layers()).not.toBe(second)
  write(tsstack, 'no_cache_filter: [other]', UUID)
  const third = await layers()
  expect(await layers()).toBe(third)
  expect(await layers('--no-cache')).not.toBe(third)
})

test.each([
  ['platforms: [linux/s390x]', `platform "linux/s390x" is not this host's`],
  [`platforms: [${HOST}, linux/s390x]`, `platform "linux/s390x" is not this host's`],
  ['isolation: hyperv', `isolation "hyperv" is not Linux's`],
  ['target: nowhere', 'there is no such stage'],
  ['dockerfile: none', 'there is no file "none"'],
  ['network: elsewhere', '"elsewhere"'],
  ['ssh: [default]', 'there is no ssh agent "default"'],
  ['labels: {}', 'needs the entitlement "security.insecure"'],
])('a build that can not be says why: %s', async (build, message) => {
  const tsstack = newProject(
    daemon,
    `refused-${String(build.length)}-${String(message.length)}`,
    {},
  )
  const step = build.startsWith('network') ? 'RUN true\n' : 'RUN --security=insecure true\n'
  write(tsstack, build, step)
  const { exitCode, stderr } = await tsstack.run('build', { env: { SSH_AUTH_SOCK: '' } })
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(message)])
})

test.skipIf(skipped !== '')(
  `flags of build: arguments, dependencies, printing, pushing${skipped}`,
  async () => {
    const tsstack = newProject(daemon, 'flags', {})
    const registry = await startRegistry({ netns: daemon.netns })
    const stack = `
services:
  base: { image: '${registry.host}/base:1', build: { dockerfile_inline: "FROM ${BASE}\\nARG A=none\\nENV A=$$A" } }
  app: { image: '${registry.host}/app:1', build: { dockerfile_inline: "FROM ${BASE}", tags: ['${registry.host}/app:2'] }, depends_on: [base] }
`
    writeFileSync(path.join(tsstack.directory, 'stack.yaml'), stack)
    try {
      const printed = JSON.parse(await tsstack.ok('build --print --build-arg A=1 app')) as Record<
        string,
        object
      >
      expect(printed['target']).toMatchObject({
        app: { args: { A: '1' }, tags: [`${registry.host}/app:1`, `${registry.host}/app:2`] },
      })
      const { stdout, stderr } = await tsstack.run(
        'build --quiet --push --with-dependencies --build-arg A=1 app',
      )
      expect([stdout, stderr]).toEqual(['', ''])
      expect(await tsstack.ok(`image tags ${registry.host}/base`)).toContain('1')
      expect(await tsstack.ok(`image tags ${registry.host}/app`)).toContain('2')
      expect((await inspect(tsstack, `${registry.host}/base:1`))['Env']).toContain('A=1')
      const digests = async (): Promise<object> => {
        const format = '{"own":"{{.Descriptor.digest}}","pushed":"{{index .RepoDigests 0}}"}'
        const line = await tsstack.ok(['image', 'inspect', '-f', format, `${registry.host}/app:1`])
        const { own, pushed } = JSON.parse(line) as Record<'own' | 'pushed', string>
        return { isAsItWas: pushed.endsWith(own) }
      }
      expect(await digests()).toEqual({ isAsItWas: false })
      await tsstack.ok('build --quiet --push --compression none app')
      expect(await digests()).toEqual({ isAsItWas: true })
      const wrong = await tsstack.run('build --push --compression lzma app')
      expect(wrong.stderr).toContain('expected one of gzip, zstd, none')
      expect((await tsstack.run('build --builder other')).stderr).toContain('the engine itself')
    } finally {
      await registry.close()
    }
  },
)

test('pull_policy: build makes the image with each up', async () => {
  const tsstack = newProject(daemon, 'policy', {})
  write(
    tsstack,
    'no_cache: true',
    UUID,
    'pull_policy: build, command: [sleep, infinity], init: true',
  )
  try {
    await tsstack.ok('up -d')
    const before = await tsstack.ids()
    await tsstack.ok('up -d')
    expect(await tsstack.ids()).not.toEqual(before)
  } finally {
    await tsstack.run('down')
  }
})
