/** Limits and ports of a PostgreSQL that is at work are raised and lowered; its clients notice nothing. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { jsonOf, testWith, tryExample, type CommandLine } from './command-line.ts'

const BIN = '/usr/lib/postgresql/15/bin'
const PACKAGES = { 'postgresql-15': `${BIN}/pgbench` }
const PORT = 18_432
const CLIENTS = 8
/** Longer than any machine takes for the changes; it is ended before. */
const LOAD_SECONDS = '600'

interface Settings {
  readonly memory: string
  readonly cpus: string
  readonly ports: readonly number[]
}

const FIRST: Settings = { memory: '256M', cpus: '1.0', ports: [PORT] }

/** What an operator does in a busy hour; the last takes away the very port that the connections came by. */
const CHANGES: readonly Settings[] = [
  { ...FIRST, memory: '512M' },
  { ...FIRST, cpus: '0.5' },
  { memory: '192M', cpus: '1.5', ports: [PORT, PORT + 1] },
  { ...FIRST, ports: [PORT, PORT + 2] },
  { ...FIRST, ports: [PORT + 2] },
]

/** The database of examples/shop, by itself, with its port published. */
function stackWith({ memory, cpus, ports }: Settings): string {
  return `
name: shop
services:
  db:
    image: host:pkg:postgresql-15,pkg:postgresql-client-15,pkg:postgresql-common,pkg:tzdata,sh,coreutils
    command: [sh, /start.sh]
    user: postgres
    environment:
      PATH: ${BIN}:/usr/bin:/bin
      PGUSER: shop
      PGDATABASE: shop
      PGDATA: /var/lib/postgresql/data
      PGHOST: /tmp
    configs: [{ source: start-db, target: /start.sh }]
    secrets: [db-password]
    volumes: [db-data:/var/lib/postgresql]
    ports: ${JSON.stringify(ports.map((port) => `127.0.0.1:${String(port)}:5432`))}
    shm_size: 128M
    stop_signal: SIGINT
    deploy: { resources: { limits: { memory: ${memory}, cpus: '${cpus}' } } }
    healthcheck: { test: [CMD, pg_isready], interval: 1s, start_period: 30s, start_interval: 100ms }
volumes: { db-data: }
configs: { start-db: { file: ./db/start.sh } }
secrets: { db-password: { file: ./db/password.txt } }
`
}

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(() => daemon.close())

/** Words for pgbench beside the daemon, through the published port. */
function pgbench(...words: readonly string[]): [string, string[]] {
  const target = ['-h', '127.0.0.1', '-p', String(PORT), '-U', 'shop']
  return ['nsenter', [`--net=${daemon.netns}`, `${BIN}/pgbench`, ...target, ...words, 'shop']]
}

async function apply(tsstack: CommandLine, settings: Settings): Promise<void> {
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), stackWith(settings))
  await tsstack.ok('up -d --wait')
}

testWith(PACKAGES, 'limits and ports change under load, and no connection is lost', () =>
  tryExample('shop', daemon, async (tsstack) => {
    await apply(tsstack, FIRST)
    const before = await tsstack.ids()
    const password = readFileSync(path.join(tsstack.directory, 'db/password.txt'), 'utf8').trim()
    const options = { env: { PGPASSWORD: password }, stdin: 'ignore', reject: false } as const
    await execa(...pgbench('--initialize', '--scale', '1', '--quiet'), options)
    const clients = ['--client', String(CLIENTS), '--jobs', '2', '--time', LOAD_SECONDS]
    const load = execa(...pgbench(...clients, '--progress', '1'), { ...options, all: true })
    let output = ''
    load.all.setEncoding('utf8').on('data', (text: string) => (output += text))
    const seconds = (): number => [...output.matchAll(/^progress: .* tps, .* 0 failed$/gm)].length
    const untilWorkGoesOn = async (): Promise<void> => {
      const done = seconds()
      await eventually(`transactions after ${String(done)} s`, () => seconds() > done + 1)
    }

    await untilWorkGoesOn()
    const limits: unknown[] = []
    for (const settings of CHANGES) {
      await apply(tsstack, settings)
      const [row] = jsonOf(await tsstack.ok('stats --no-stream --format json'))
      limits.push(String(row?.['MemUsage']).split(' / ')[1])
    }
    await untilWorkGoesOn()
    load.kill('SIGINT')
    await load
    expect(output).not.toMatch(/[1-9]\d* failed|error|aborted|terminated/)
    expect(limits).toEqual(['512MiB', '256MiB', '192MiB', '256MiB', '256MiB'])
    expect(await tsstack.ids()).toEqual(before)
  }),
)
