/** examples/shop, real software: its README's promises, each held by what a customer or an operator sees. */
import { afterAll, beforeAll, expect } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { jsonOf, testWith, tryExample, type CommandLine } from './command-line.ts'

const SHOP = 'http://127.0.0.1:8081'
const PACKAGES = {
  'postgresql-15': '/usr/lib/postgresql/15/bin/postgres',
  'redis-server': '/usr/bin/redis-server',
  'nginx-light': '/usr/sbin/nginx',
  curl: '/usr/bin/curl',
}
/** Several services that find each other again, each after its pauses, on a machine that is busy. */
const RECOVERY_MS = 60_000
/** Takes 150 MB into use. */
const HOG = ['node', '-e', 'Buffer.alloc(150e6, 1); console.log("fits")']
const SIGKILL_EXIT = 137

/** One for all: images of this size take their time to be put together. */
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

function shopTest(title: string, body: (tsstack: CommandLine) => Promise<void>): void {
  testWith(PACKAGES, title, () => tryExample('shop', daemon, body))
}

/** @returns the number of the order */
async function order(tsstack: CommandLine, product: string, quantity: number): Promise<number> {
  const body = JSON.stringify({ product, quantity })
  const { id } = JSON.parse(await tsstack.curl(`${SHOP}/orders`, '--data', body)) as { id: number }
  return id
}

async function untilOrderIs(tsstack: CommandLine, id: number, state: string): Promise<void> {
  await eventually(
    `order ${String(id)} to be ${state}`,
    async () => {
      const answer = await tsstack.curl(`${SHOP}/orders/${String(id)}`).catch(() => '')
      return answer !== '' && (JSON.parse(answer) as { state: string }).state === state
    },
    RECOVERY_MS,
  )
}

async function countInLog(tsstack: CommandLine, service: string, text: string): Promise<number> {
  return (await tsstack.ok(['logs', service])).split(text).length - 1
}

async function memoryLimits(tsstack: CommandLine): Promise<Record<string, string>> {
  const rows = jsonOf(await tsstack.ok('stats --no-stream --format json'))
  return Object.fromEntries(
    rows.map(({ Name, MemUsage }) => [String(Name), String(MemUsage).split(' / ')[1] ?? '']),
  )
}

shopTest('an order goes through all six services, and logs and exec show it', async (tsstack) => {
  await tsstack.ok('up -d')
  const rows = jsonOf(await tsstack.ok('ps --all --format json'))
  expect(rows.map(({ Name, State, Health, ExitCode }) => [Name, State, Health, ExitCode])).toEqual([
    ['shop-api-1', 'running', 'healthy', 0],
    ['shop-api-2', 'running', 'healthy', 0],
    ['shop-db-1', 'running', 'healthy', 0],
    ['shop-front-1', 'running', expect.stringMatching(/^(starting|healthy)$/), 0],
    ['shop-migrate-1', 'exited', '', 0],
    ['shop-queue-1', 'running', 'healthy', 0],
    ['shop-worker-1', 'running', '', 0],
  ])

  const first = await order(tsstack, 'teapot', 2)
  await untilOrderIs(tsstack, first, 'packed')
  const second = await order(tsstack, 'teapot', 9)
  await untilOrderIs(tsstack, second, 'sold out')
  expect(JSON.parse(await tsstack.curl(`${SHOP}/products`))).toContainEqual({
    name: 'teapot',
    stock: 8,
  })
  await expect(order(tsstack, 'spoon', 1)).rejects.toThrow('400')

  const query = 'SELECT product, quantity, state FROM orders ORDER BY id'
  const expected = 'teapot|2|packed\nteapot|9|sold out'
  expect(await tsstack.ok(['exec', 'db', 'psql', '-tA', '-c', query])).toBe(expected)
  expect(await tsstack.ok('exec -T db psql -tA', { input: query })).toBe(expected)
  const wrong = await tsstack.run(['exec', 'db', 'psql', '-c', 'SELECT nonsense'])
  expect(wrong).toMatchObject({ exitCode: 1, stdout: '' })
  expect(wrong.stderr).toContain('column "nonsense" does not exist')
  expect(await tsstack.run(['exec', 'db', 'sh', '-c', 'exit 7'])).toMatchObject({ exitCode: 7 })

  await eventually('both orders in the log of the worker', async () => {
    const log = await tsstack.ok('logs worker')
    return /^worker-1 +\| order 1: packed\nworker-1 +\| order 2: sold out$/m.test(log)
  })
})

shopTest('orders outlive down, but not down -v', async (tsstack) => {
  await tsstack.ok('up -d')
  const kept = await order(tsstack, 'cup', 3)
  await untilOrderIs(tsstack, kept, 'packed')
  expect(await countInLog(tsstack, 'migrate', 'applied')).toBe(2)

  await tsstack.ok('down')
  expect(await tsstack.ids()).toEqual([])
  await tsstack.ok('up -d')
  await untilOrderIs(tsstack, kept, 'packed')
  expect(await countInLog(tsstack, 'migrate', 'applied')).toBe(0)
  expect(await countInLog(tsstack, 'migrate', 'the tables are up to date')).toBe(1)

  await tsstack.ok('down -v')
  await tsstack.ok('up -d')
  await expect(tsstack.curl(`${SHOP}/orders/${String(kept)}`)).rejects.toThrow('404')
})

shopTest('limits hold, and change without replacing a container', async (tsstack) => {
  await tsstack.ok('up -d')
  const before = await tsstack.ids()
  const pids = async (): Promise<unknown[]> =>
    (await daemon.client.containers({ stack: 'shop' })).map(({ pid }) => pid)
  const pidsBefore = await pids()
  expect(await memoryLimits(tsstack)).toMatchObject({
    'shop-api-1': '256MiB',
    'shop-db-1': '256MiB',
    'shop-front-1': '64MiB',
  })
  const hog = ['exec', '--index', '2', 'api', ...HOG]
  expect(await tsstack.run(hog)).toMatchObject({ exitCode: 0, stdout: 'fits' })

  // The first text of this kind is that of api.
  tsstack.edit('stack.yaml', "{ cpus: '1', memory: 256M, ", "{ cpus: '1', memory: 128M, ")
  const plan = await tsstack.run('plan')
  expect(plan.exitCode).toBe(2)
  for (const name of ['shop-api-1', 'shop-api-2'])
    expect(plan.stdout).toContain(
      `~ update  container ${name}  deploy.resources.limits.memory changed`,
    )
  expect(plan.stdout).toMatch(
    /deploy\.resources\.limits\.memory: {2}# in place, no restart .*\n *- "256m"\n *\+ "128m"/,
  )
  expect(plan.stdout).toContain('0 to create, 2 to update, 0 to replace, 0 to remove')

  await tsstack.ok('up -d')
  expect(await memoryLimits(tsstack)).toMatchObject({
    'shop-api-1': '128MiB',
    'shop-api-2': '128MiB',
    'shop-db-1': '256MiB',
  })
  expect(await tsstack.run(hog)).toMatchObject({ exitCode: SIGKILL_EXIT, stdout: '' })

  expect(await tsstack.ids()).toEqual(before)
  expect(await pids()).toEqual(pidsBefore)
  await untilOrderIs(tsstack, await order(tsstack, 'saucer', 1), 'packed')
})

shopTest('who is killed comes back, and the shop finds itself again', async (tsstack) => {
  await tsstack.ok('up -d')
  const before = await tsstack.ids()
  const first = await order(tsstack, 'cup', 1)
  await untilOrderIs(tsstack, first, 'packed')

  const ready = { db: 'ready to accept connections', queue: 'Ready to accept connections' }
  for (const [service, text] of Object.entries(ready)) {
    const { pid = 0 } = await daemon.container('shop', service)
    process.kill(pid, 'SIGKILL')
    await eventually(
      `the second start of ${service}`,
      async () => (await countInLog(tsstack, service, text)) === 2,
      RECOVERY_MS,
    )
    const next = await eventually(
      'an order that is taken',
      () => order(tsstack, 'cup', 1).catch(() => undefined),
      RECOVERY_MS,
    )
    await untilOrderIs(tsstack, next, 'packed')
  }
  await untilOrderIs(tsstack, first, 'packed')
  expect(await tsstack.ids()).toEqual(before)
})

shopTest('PostgreSQL is stopped in its own language, and stays so until up', async (tsstack) => {
  await tsstack.ok('up -d')
  const before = await tsstack.ids()

  await tsstack.ok('stop db')
  const [row] = jsonOf(await tsstack.ok('ps --all --format json db'))
  expect(row).toMatchObject({ State: 'exited', ExitCode: 0 })
  const log = await tsstack.ok('logs db')
  expect(log).toContain('received fast shutdown request')
  expect(log).toContain('database system is shut down\n')
  expect((await tsstack.run('plan')).stdout).toContain('container shop-db-1')

  await tsstack.ok('up -d')
  expect(await tsstack.ids()).toEqual(before)
  const id = await eventually(
    'an order that is taken',
    () => order(tsstack, 'cup', 1).catch(() => undefined),
    RECOVERY_MS,
  )
  await untilOrderIs(tsstack, id, 'packed')
})

shopTest('nginx finds replicas that come, and up takes back what was scaled', async (tsstack) => {
  await tsstack.ok('up -d')
  const two = await tsstack.ids('api')
  await tsstack.ok('up -d --scale api=4')
  const four = await tsstack.ids('api')
  expect(four).toHaveLength(4)

  const seen = new Set<string>()
  const ask = [`${SHOP}/products`, '--output', '/dev/null', '--write-out', '%header{x-replica}']
  await eventually(
    'an answer of each of four replicas',
    async () => {
      seen.add(await tsstack.curl(...ask).catch(() => ''))
      return four.every((id) => seen.has(id.slice(0, 12)))
    },
    RECOVERY_MS,
  )

  const runs = await countInLog(tsstack, 'migrate', 'the tables are up to date')
  const plan = await tsstack.run('plan')
  expect(plan.exitCode).toBe(2)
  expect(plan.stdout).toContain('remove  container shop-api-4  scaled from 4 to 2')
  expect(plan.stdout).toContain('0 to create, 0 to update, 0 to replace, 2 to remove')
  await tsstack.ok('up -d')
  expect(await tsstack.ids('api')).toEqual(two)
  expect(await countInLog(tsstack, 'migrate', 'the tables are up to date')).toBe(runs)
})
