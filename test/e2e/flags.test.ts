/** Flags of the command line that a small stack is enough for. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, leftOf, type CommandLine } from './command-line.ts'

const STACK = `
name: flags
services:
  deaf:
    image: host:sh,coreutils
    command: sleep infinity
    stop_grace_period: 1m
    volumes: [data:/data]
  polite:
    image: host:sh,coreutils
    init: true
    command: sleep infinity
    depends_on: { deaf: { condition: service_started, restart: true } }
    networks: { default: { aliases: [nice] } }
volumes:
  data:
`

let daemon: DaemonFixture
let tsstack: CommandLine

beforeAll(async () => {
  daemon = await startDaemonFixture()
  tsstack = newProject(daemon, 'flags', { 'stack.yaml': STACK })
})

afterAll(async () => {
  await daemon.close()
})

/** Runs it on a stack that is up; afterwards nothing of the stack may be left. */
function stackTest(title: string, body: () => Promise<void>): void {
  test(title, async () => {
    try {
      await tsstack.ok('up -d')
      await body()
    } finally {
      await tsstack.run('down -v -t 0 --remove-orphans')
    }
    expect(await leftOf(daemon)).toEqual([])
  })
}

test('--dry-run of up makes nothing, and tells each operation with its cause', async () => {
  const { exitCode, stderr } = await tsstack.run('--dry-run up -d')
  expect(exitCode).toBe(0)
  expect(stderr).toContain('DRY-RUN MODE - Container flags-deaf-1 Created (')
  expect(stderr).toContain('DRY-RUN MODE - Volume flags_data Created (volume is new)')
  expect(await leftOf(daemon)).toEqual([])
})

stackTest('--dry-run of what changes a stack leaves it as it is', async () => {
  const before = await tsstack.ok('ps -a --no-trunc --format {{.ID}}={{.State}}')
  const commands = [
    'down -v',
    'stop',
    'kill',
    'rm -sf',
    'restart deaf',
    'up -d --force-recreate',
    'scale polite=3',
  ]
  for (const command of commands) {
    const { exitCode, stderr } = await tsstack.run(`${command} --dry-run`)
    expect([command, exitCode]).toEqual([command, 0])
    expect(stderr).toContain('DRY-RUN MODE - Container flags-')
  }
  for (const command of ['volume rm flags_data', 'run --rm polite true', 'exec polite true'])
    await tsstack.run(`--dry-run ${command}`)
  expect(await tsstack.ok('ps -a --no-trunc --format {{.ID}}={{.State}}')).toBe(before)
  expect(await tsstack.ok('volumes -q')).toBe('flags_data')
})

stackTest('stop says at once that a first process does not hear the signal', async () => {
  const startedAt = performance.now()
  const { stderr } = await tsstack.run('stop')
  expect(performance.now() - startedAt).toBeLessThan(30_000) // half of the grace that it would have sat out
  expect(stderr).toContain('service "deaf" was killed without waiting')
  expect(stderr).toContain('no handler for SIGTERM')
  expect(stderr).not.toContain('service "polite"')
})

stackTest('restart takes along what asks for it, and --no-deps leaves it alone', async () => {
  const started = async (): Promise<string> =>
    (await daemon.client.containers({ all: true })).find(({ service }) => service === 'polite')
      ?.startedAt ?? ''
  const first = await started()
  await tsstack.ok('restart --no-deps -t 0 deaf')
  expect(await started()).toBe(first)
  await tsstack.ok('restart -t 0 deaf')
  expect(await started()).not.toBe(first)
})

stackTest(
  'run takes a directory and files of variables, and answers to aliases only when told',
  async () => {
    writeFileSync(
      path.join(tsstack.directory, 'more.env'),
      'COLOUR=red\nSHAPE="a ${COLOUR} ball"\n',
    )
    const words = 'run --rm -T --env-from-file more.env -e COLOUR=blue -w /tmp -q polite sh -c'
    const shown = await tsstack.ok([...words.split(' '), 'pwd; echo $COLOUR, $SHAPE'])
    expect(shown).toBe('/tmp\nblue, a red ball')

    const aliasesOf = async (flags: string): Promise<readonly string[]> => {
      const id = await tsstack.ok(`run -d${flags} polite sleep infinity`)
      const { networks } = await daemon.client.container(id)
      return Object.values(networks).flatMap(({ aliases }) => aliases)
    }
    expect(await aliasesOf('')).toEqual([])
    expect(await aliasesOf(' --use-aliases')).toEqual(['polite', 'nice'])
  },
)

stackTest('kill and pause say what they do', async () => {
  expect((await tsstack.run('pause polite')).stderr).toContain('Container flags-polite-1 Paused')
  expect((await tsstack.run('unpause')).stderr).toContain('Container flags-polite-1 Unpaused')
  expect((await tsstack.run('--parallel 1 kill')).stderr).toContain('Container flags-deaf-1 Killed')
  expect(await tsstack.ok('ps -q')).toBe('')
})

stackTest(
  'events of a time that is over, by duration or by time, and the command ends',
  async () => {
    const at = new Date().toISOString()
    await tsstack.ok('restart -t 0 polite')
    const events = async (words: string): Promise<string> => tsstack.ok(`events ${words}`)
    expect(await events('--since 10m --until 0s')).toMatch(/container start .*flags-deaf-1/)
    expect(await events(`--since ${at} --until 0s --json polite`)).toContain('"action":"die"')
    expect(await events(`--since ${at} --until 0s deaf`)).toBe('')
    expect(await events('--since 10m --until 9m')).toBe('')
    const words = '--filter event=die --filter event=start --filter service=polite --format'
    expect(await events(`--since ${at} --until 0s ${words} {{.Action}}={{.Service}}`)).toBe(
      'die=polite\nstart=polite',
    )
    expect((await tsstack.run('events --filter colour=red')).stderr).toContain('invalid filter')
    const { exitCode, stderr } = await tsstack.run('events --since yesterday')
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('Cannot read time "yesterday"')])
  },
)

stackTest('--always-recreate-deps replaces what the named services depend on', async () => {
  const ids = async (): Promise<string[]> =>
    (await tsstack.ok('ps --no-trunc --format {{.Service}}={{.ID}}')).split('\n').sort()
  const before = await ids()
  await tsstack.ok('up -d -t 0 --force-recreate polite')
  const [deaf, polite] = await ids()
  expect([deaf === before[0], polite === before[1]]).toEqual([true, false])
  await tsstack.ok('up -d -t 0 --always-recreate-deps polite')
  expect((await ids())[0]).not.toBe(before[0])
})

stackTest('diff of two revisions, and --dry-run of the way back', async () => {
  const changed = STACK.replace('[nice]', '[kind]').replace('sleep infinity', 'sleep 1000')
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), changed)
  await tsstack.ok('up -d -t 0')
  expect(await tsstack.ok('diff 1..2')).toContain('kind')
  const before = await tsstack.ok('ps -a --no-trunc --format {{.ID}}={{.State}}')
  const told = await tsstack.run('--dry-run rollback')
  expect(told, told.stderr).toMatchObject({ exitCode: 0 })
  expect(told.stderr).toContain('DRY-RUN MODE - Container flags-deaf-1 Created (command changed)')
  expect(await tsstack.ok('ps -a --no-trunc --format {{.ID}}={{.State}}')).toBe(before)
  expect(JSON.parse(await tsstack.ok('--dry-run history --json'))).toHaveLength(2)
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), STACK)
})

stackTest(
  'variables of Compose: orphans are passed over, and progress goes to standard output',
  async () => {
    const one = path.join(tsstack.directory, 'one.yaml')
    writeFileSync(one, STACK.replace(/ {2}polite:[\s\S]*volumes:\n {2}data/, 'volumes:\n  data'))
    const up = (env: Record<string, string>): ReturnType<CommandLine['run']> =>
      tsstack.run(['-f', one, 'up', '-d'], { env })
    expect((await up({})).stderr).toContain('orphan containers')
    expect((await up({ COMPOSE_IGNORE_ORPHANS: 'true' })).stderr).not.toContain('orphan')
    const told = await up({ COMPOSE_STATUS_STDOUT: '1' })
    expect(told.stdout).toContain(' Container flags-deaf-1 Running')
    expect(told.stderr).not.toContain('Container flags-deaf-1')
  },
)
