/** examples/hello as its user lives with it: README.md's commands, a change, an interruption, a daemon that dies. */
import { expect } from 'vitest'
import { eventually } from '../eventually.ts'
import { jsonOf, testWith, withExample, type CommandLine } from './command-line.ts'

const FRONT = 'http://127.0.0.1:8080/'
const SHORT_ID = 12
/** For a whole stack, on a machine that is busy. */
const START_MS = 60_000

function helloTest(title: string, body: Parameters<typeof withExample>[1]): void {
  testWith({ curl: '/usr/bin/curl' }, title, () => withExample('hello', body))
}

/** Asks the front until each of these containers has answered. @throws {Error} when another one does */
async function untilAllAnswer(tsstack: CommandLine, ids: readonly string[]): Promise<void> {
  const replicas = ids.map((id) => id.slice(0, SHORT_ID))
  const seen = new Set<string>()
  await eventually(`an answer of each of ${replicas.join(', ')}`, async () => {
    const answer = await tsstack.curl(FRONT).catch(() => '') // a new replica does not listen yet
    const [, replica] = /^hello from replica (\S+)$/.exec(answer) ?? []
    if (replica !== undefined) seen.add(replica)
    return replicas.every((id) => seen.has(id))
  })
  expect([...seen].sort()).toEqual(replicas.toSorted())
}

/** What the worker has written into the volume. */
async function answersKept(tsstack: CommandLine): Promise<string[]> {
  const script = 'process.stdout.write(require("fs").readFileSync("/data/answers"))'
  return eventually('a line in the volume', async () => {
    const { exitCode, stdout } = await tsstack.run(['exec', 'worker', 'node', '-e', script])
    return exitCode === 0 && stdout !== '' && stdout.split('\n')
  })
}

helloTest('the front answers from each replica of api, however many there are', async (tsstack) => {
  await tsstack.ok('up -d')
  const two = await tsstack.ids('api')
  expect(two).toHaveLength(2)
  await untilAllAnswer(tsstack, two)

  await tsstack.ok('up -d --scale api=3')
  const three = await tsstack.ids('api')
  expect(three).toHaveLength(3)
  expect(three.slice(0, 2)).toEqual(two)
  await untilAllAnswer(tsstack, three)

  await tsstack.ok('up -d')
  expect(await tsstack.ids('api')).toEqual(two)
  await untilAllAnswer(tsstack, two)
})

helloTest('after up everything runs and is healthy, and ps and logs show it', async (tsstack) => {
  await tsstack.ok('up -d')

  const rows = jsonOf(await tsstack.ok('ps --format json'))
  expect(rows.map(({ Name, State, Health }) => [Name, State, Health])).toEqual([
    ['hello-api-1', 'running', 'healthy'],
    ['hello-api-2', 'running', 'healthy'],
    ['hello-front-1', 'running', 'healthy'],
    ['hello-worker-1', 'running', ''],
  ])
  expect(await tsstack.ok('port front 8080')).toBe('127.0.0.1:8080')
  expect(jsonOf(await tsstack.ok('ls --format json'))).toMatchObject([
    { Name: 'hello', Status: 'running(4)' },
  ])

  const [first = ''] = await tsstack.ids('api')
  const logs = await tsstack.ok('logs')
  expect(logs).toMatch(new RegExp(`^api-1 +\\| replica ${first.slice(0, SHORT_ID)} listens`, 'm'))
  expect(logs).toMatch(/^front-1 +\| front listens on 8080$/m)
  const own = await tsstack.ok('logs --no-log-prefix front')
  expect(own).toBe('front listens on 8080')
})

helloTest('up changes only what differs, and plan says before what and why', async (tsstack) => {
  await tsstack.ok('up -d')
  const before = await tsstack.ids()
  const [worker] = await tsstack.ids('worker')

  await tsstack.ok('up -d')
  expect(await tsstack.ids()).toEqual(before)
  expect(await tsstack.run('plan')).toMatchObject({ exitCode: 0 })

  tsstack.edit('stack.yaml', 'node /app/worker.mjs', 'node /app/worker.mjs --eager')
  const plan = await tsstack.run('plan')
  expect(plan.exitCode).toBe(2)
  expect(plan.stdout).toContain('replace container hello-worker-1  command changed')
  expect(plan.stdout).toContain('+ ["node","/app/worker.mjs","--eager"]')
  expect(plan.stdout).toContain('0 to create, 0 to update, 1 to replace, 0 to remove')
  expect(await tsstack.ids()).toEqual(before)

  await tsstack.ok('up -d')
  expect(await tsstack.ids('worker')).not.toEqual([worker])
  const after = await tsstack.ids()
  expect(after.filter((id) => before.includes(id))).toHaveLength(before.length - 1)
  expect(await tsstack.run('plan')).toMatchObject({ exitCode: 0 })
})

helloTest('the volume outlives down, but not down -v', async (tsstack) => {
  await tsstack.ok('up -d')
  const [first] = await answersKept(tsstack)

  await tsstack.ok('down')
  expect(await tsstack.ids()).toEqual([])
  await expect(tsstack.curl(FRONT)).rejects.toThrow()
  await tsstack.ok('up -d')
  expect((await answersKept(tsstack))[0]).toBe(first)

  await tsstack.ok('down -v')
  await tsstack.ok('up -d')
  expect(await answersKept(tsstack)).not.toContain(first)
})

helloTest(
  'up in the foreground shows the output of all, and one Ctrl-C ends them and it',
  async (tsstack) => {
    const up = tsstack.start('up')
    for (const name of ['api-1', 'api-2', 'front-1', 'worker-1']) {
      const line = new RegExp(`^${name} +\\| \\S`, 'm')
      await eventually(`a line of ${name}`, () => line.test(up.output()), START_MS)
    }

    up.signal('SIGINT')
    expect(await up.exitCode).toBe(130)
    expect(up.output()).toContain('front-1 exited with code 0')
    const rows = jsonOf(await tsstack.ok('ps --all --format json'))
    expect(rows.map(({ State, ExitCode }) => [State, ExitCode])).toEqual(
      Array.from({ length: 4 }, () => ['exited', 0]),
    )
  },
)

helloTest(
  'a daemon that is killed takes neither a container nor a line of a log with it',
  async (tsstack, daemon) => {
    const command = 'command: node /app/api.mjs'
    tsstack.edit('stack.yaml', command, `${command}\n    ports: ['127.0.0.1:3001-3002:3000']`)
    const handler = 'createServer((request, response) => {'
    tsstack.edit('app/api.mjs', handler, `${handler}\n  console.log(request.url)`)
    const askBoth = async (marks: string): Promise<void> => {
      for (const port of ['3001', '3002']) {
        const answers = await tsstack.curl(`http://127.0.0.1:${port}/mark-${marks}`)
        expect(answers.split('\n')).toHaveLength(20)
      }
    }
    await tsstack.ok('up -d')
    const before = await tsstack.ids()
    await askBoth('[1-20]')

    await daemon.kill('SIGKILL')
    await askBoth('[21-40]')
    expect(await tsstack.ids()).toEqual(before) // this command has started another daemon
    expect(jsonOf(await tsstack.ok('ps --format json'))).toHaveLength(before.length)
    await untilAllAnswer(tsstack, await tsstack.ids('api'))
    await askBoth('[41-60]')

    await tsstack.ok('daemon stop')
    await askBoth('[61-80]')
    await daemon.start()
    await askBoth('[81-100]')

    const all = Array.from({ length: 100 }, (_, index) => `/mark-${String(index + 1)}`)
    for (const index of ['1', '2']) {
      const marks = await eventually(`the last mark in the log of api-${index}`, async () => {
        const log = await tsstack.ok(`logs --no-log-prefix --index ${index} api`)
        const found = log.split('\n').filter((line) => line.startsWith('/mark-'))
        return found.at(-1) === all.at(-1) && found
      })
      expect(marks).toEqual(all)
    }
    expect(await tsstack.ids()).toEqual(before)
  },
)
