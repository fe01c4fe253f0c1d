/** What scripts and jobs of CI that were written for Docker Compose rely on. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { jsonOf, newProject, type CommandLine } from './command-line.ts'

const STACK = `
name: habits
services:
  db:
    image: host:sh,coreutils
    init: true
    entrypoint: [sh, -c]
    command: ['sleep 0.4; touch /tmp/ready; exec sleep infinity']
    healthcheck: { test: [CMD, test, -e, /tmp/ready], interval: 100ms, retries: 100 }
  job:
    image: host:sh,coreutils
    command: sh -c 'echo working; sleep 0.3; echo over'
    depends_on: { db: { condition: service_healthy } }
    profiles: [jobs]
  broken:
    image: host:sh
    command: sh -c 'exit 3'
    profiles: [jobs]
  built:
    build: { context: ., dockerfile_inline: "FROM scratch\\nCOPY stack.yaml /\\n" }
    profiles: [jobs]
`
const LOOP = 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done'

let daemon: DaemonFixture
let tsstack: CommandLine

beforeAll(async () => {
  daemon = await startDaemonFixture()
  tsstack = newProject(daemon, 'habits', { 'stack.yaml': STACK })
})

afterAll(async () => {
  await daemon.close()
})

async function end(words: string): Promise<[exitCode: number | undefined, stdout: string]> {
  const { exitCode, stdout } = await tsstack.run(words)
  return [exitCode, stdout]
}

test('what may not be there yet can be asked for, stopped and removed', async () => {
  for (const words of [
    'ps -q db',
    'stop db',
    'kill db',
    'rm -fs db',
    'logs db',
    'down db',
    'top job',
  ])
    expect([words, ...(await end(words))]).toEqual([words, 0, ''])
  for (const words of ['ps dbb', 'stop dbb', 'logs dbb'])
    expect((await tsstack.run(words)).stderr).toContain('no such service: dbb; did you mean "db"?')
  for (const words of ['start db', 'restart db', 'wait db', 'exec db true']) {
    const { exitCode, stderr } = await tsstack.run(words)
    expect([words, exitCode]).toEqual([words, 1])
    expect(stderr).not.toMatch(/no such service|not in the stack/)
  }
  const { exitCode, stderr } = await tsstack.run('down')
  expect([exitCode, stderr]).toEqual([0, 'warning: no resource found to remove for stack "habits"'])
})

test('run waits for the conditions of depends_on', async () => {
  const { exitCode, stdout, stderr } = await tsstack.run('run --rm job echo done')
  expect([exitCode, stdout]).toEqual([0, 'done'])
  expect(stderr).toMatch(/Service db Waiting[^]*Service db Healthy/)
  expect(jsonOf(await tsstack.ok('ps --format json db'))[0]).toMatchObject({ Health: 'healthy' })
})

test('run prints the id with -d; another entrypoint has no use for the command of the service', async () => {
  const id = await tsstack.ok(['run', '-d', '--entrypoint', 'sleep infinity', 'db'])
  expect(await tsstack.ok('ps -aq')).toContain(id)
  expect(await tsstack.ok('ps -q')).not.toContain(id)
  expect(await tsstack.ok(['run', '--rm', '--entrypoint', 'echo hello', 'db'])).toBe('hello')
  expect(await tsstack.ok(['run', '--rm', '--entrypoint', 'echo hello', 'db', 'you'])).toBe(
    'hello you',
  )
})

test('a signal to run is one to its program, whose exit code comes back', async () => {
  const words = ['run', '--rm', '--entrypoint', 'sh -c', '--name', 'looping', 'db', LOOP]
  const looping = tsstack.start(words)
  await looping.untilOutput('ready')
  looping.signal('SIGTERM')
  expect(await looping.exitCode).toBe(7)
  expect(await tsstack.ok('ps -a')).not.toContain('looping')
})

test('run takes a pipe to its end, and --rm leaves nothing of a program that is not there', async () => {
  const words = ['run', '--rm', '-T', '--no-deps', '--entrypoint', 'cat', 'db']
  expect(await tsstack.ok(words, { input: 'one\ntwo\n' })).toBe('one\ntwo')
  expect(
    (await tsstack.run('run --rm --no-deps --entrypoint nothing --name lost db')).exitCode,
  ).toBe(127)
  expect(await tsstack.ok('ps -a')).not.toContain('lost')
})

test('up --wait waits for the services that it is given', async () => {
  await tsstack.ok('up -d broken')
  await tsstack.ok('wait broken').catch(() => undefined)
  expect((await tsstack.run('up -d --wait db')).exitCode).toBe(0)
  expect((await tsstack.run('logs --tail some db')).stderr).toBe(
    'error: invalid --tail "some": expected a number of lines, or all',
  )
  expect(await tsstack.ok('logs --tail -1 db')).toBe('')
})

test('up runs a completed job again when it is named, and tells of nothing else', async () => {
  for (const command of ['up --exit-code-from job job db', 'up job', 'up -d job']) {
    const before = (await tsstack.ok('logs job')).split('over').length
    const stdout = await tsstack.ok(command)
    await tsstack.ok('wait job')
    expect((await tsstack.ok('logs job')).split('over').length).toBe(before + 1)
    expect(stdout).not.toContain('broken')
  }
})

test('stop, start and run keep the replicas that were asked for', async () => {
  await tsstack.ok('up -d -t 0 --scale db=2 db')
  await tsstack.ok('run --rm --no-deps --entrypoint true db')
  await tsstack.ok('stop -t 0 db')
  await tsstack.ok('start --wait db')
  const { services } = await daemon.client.status('habits')
  expect(services.find(({ name }) => name === 'db')?.desired).toBe(2)
  expect((await tsstack.ok('ps -q db')).split('\n')).toHaveLength(2)
})

test('logs -f ends when all has ended; up shows and awaits nothing of a run', async () => {
  await tsstack.ok('up -d job')
  expect(await tsstack.ok('logs -f --no-log-prefix job')).toMatch(/working\nover$/)
  await tsstack.ok(['run', '-d', '--no-deps', '--entrypoint', 'sleep infinity', 'job'])
  await tsstack.ok('restart job')
  const up = tsstack.start('up --abort-on-container-exit job')
  await up.untilOutput('job-1 exited with code 0')
  expect(await up.exitCode).toBe(0)
  expect(up.output()).not.toContain('run-')
})

test('up: a failure that aborts gives its exit code, and a wrong name starts nothing', async () => {
  await tsstack.ok('--profile jobs down -t 0')
  const { exitCode, stderr } = await tsstack.run('up --exit-code-from brokn broken')
  expect([exitCode, stderr]).toEqual([1, 'error: no such service: brokn; did you mean "broken"?'])
  expect(await tsstack.ok('ps -aq')).toBe('')
  const words =
    '--profile jobs up --abort-on-container-failure --exit-code-from broken -t 0 broken db'
  expect((await tsstack.run(words)).exitCode).toBe(3)
  for (const wrong of [
    '--abort-on-container-failure --abort-on-container-exit',
    '--attach db --attach-dependencies',
    '--no-recreate -V',
    '--no-build --watch',
  ])
    expect((await tsstack.run(`up ${wrong}`)).stderr).toContain('are incompatible')
  writeFileSync(
    path.join(tsstack.directory, 'idle.yaml'),
    STACK.replaceAll(/^ {2}db:/gm, '$&\n    profiles: [jobs]'),
  )
  const idle = await tsstack.run('-f idle.yaml up -d')
  expect([idle.exitCode, idle.stderr]).toEqual([1, expect.stringContaining('no service selected')])
})

test('ls --filter takes a pattern; names of stacks are in lower case', async () => {
  expect(await tsstack.ok('ls -aq --filter name=^habits$')).toBe('habits')
  expect(await tsstack.ok('ls -aq --filter name=^abits')).toBe('')
  expect(await tsstack.ok('ls -aq --filter name=^x --filter name=bits')).toBe('habits')
  expect((await tsstack.run('ls --filter name=(')).exitCode).toBe(1)
  expect(await tsstack.ok('-p HABITS ps -aq')).toBe(await tsstack.ok('ps -aq'))
})

test('down --rmi removes what was built and never ran', async () => {
  await tsstack.ok('down -t 0')
  await tsstack.ok('create --pull build built').catch(() => undefined) // it has no command to be made with
  expect(await tsstack.ok('image ls')).toContain('habits-built')
  const { exitCode, stderr } = await tsstack.run('--profile jobs down --rmi local')
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('Image habits-built Removed')])
  expect(await tsstack.ok('image ls')).not.toContain('habits-built')
})

test('--env-file is for tsstack alone, and .env has settings of the command line', async () => {
  const { exitCode, stderr } = await tsstack.run('--env-file missing.env config')
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('missing.env')])
  writeFileSync(path.join(tsstack.directory, 'odd.env'), 'NODE_OPTIONS=--no-such-option\n')
  expect(await tsstack.ok('config -q --env-file odd.env')).toBe('')
  writeFileSync(path.join(tsstack.directory, 'json.env'), 'COMPOSE_PROGRESS=json\n')
  const failed = await tsstack.run('--env-file json.env up -d nothing')
  expect(failed.exitCode).toBe(1)
  expect(JSON.parse(failed.stderr)).toMatchObject({
    error: true,
    message: 'no such service: nothing',
  })
})
