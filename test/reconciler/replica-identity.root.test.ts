/** Replicas that are somebody: host names, variables and volumes of their own, which stay theirs. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'

const STACK = 'peers'
const WHO = 'hostname; echo $ME $NODE; cat /data/who'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

async function up(scale: number, more: Service = {}): Promise<Record<string, string>> {
  const db: Service = {
    image: 'host:sh,coreutils,hostname,getent',
    init: true,
    command: ['sh', '-c', 'test -e /data/who || echo $ME >/data/who; exec sleep infinity'],
    networks: { default: null },
    volumes: [
      { type: 'volume', source: 'data', target: '/data' },
      { type: 'volume', source: 'shared', target: '/shared' },
    ],
    'x-tsstack': {
      replica: {
        hostname: '{{.Service}}-{{.Replica}}',
        environment: { ME: '{{ .Stack }}.{{.Replica}}', NODE: 7 },
        volumes: ['data'],
      },
    },
    ...more,
  }
  const volumes = { data: { name: 'peers_data' }, shared: { name: 'peers_shared' } }
  const networks = { default: { name: 'peers_default' } }
  await daemon.up(STACK, { services: { db: { ...db, scale } }, volumes, networks })
  const containers = await daemon.client.containers({ stack: STACK })
  return Object.fromEntries(containers.map(({ name, id }) => [name, id]))
}

async function idOf(containers: Record<string, string>, number: number): Promise<string> {
  const id = containers[`${STACK}-db-${String(number)}`] ?? ''
  await daemon.sh(id, 'until test -s /data/who; do sleep 0.05; done')
  return id
}

const volumeNames = async (): Promise<readonly string[]> =>
  (await daemon.client.volumes(STACK)).map(({ name }) => name).sort()

test('each replica keeps its name, its variables and its data, through scaling and replacement', async () => {
  const three = await up(3)
  expect(await volumeNames()).toEqual([
    'peers_data-1',
    'peers_data-2',
    'peers_data-3',
    'peers_shared',
  ])
  for (const number of [1, 2, 3]) {
    const me = `peers.${String(number)}`
    expect(await daemon.sh(await idOf(three, number), WHO)).toBe(
      `db-${String(number)}\n${me} 7\n${me}`,
    )
  }
  const first = await idOf(three, 1)
  expect(await daemon.sh(first, 'getent hosts db-3')).toContain('db-3')
  await daemon.sh(await idOf(three, 3), 'echo kept >/data/who')

  expect(Object.keys(await up(1))).toEqual([`${STACK}-db-1`])
  expect(await volumeNames()).toContain('peers_data-3')
  const again = await up(3, { working_dir: '/data' })
  expect(again[`${STACK}-db-1`]).not.toBe(first)
  expect(await daemon.sh(await idOf(again, 3), 'cat /data/who')).toBe('kept')
})

test('one that is missing comes back as itself', async () => {
  const before = await up(3)
  await daemon.client.removeContainer(await idOf(before, 1), { force: true })
  const after = await up(2)
  expect(Object.keys(after).sort()).toEqual([`${STACK}-db-1`, `${STACK}-db-2`])
  expect(after[`${STACK}-db-2`]).toBe(before[`${STACK}-db-2`])
  expect(await daemon.sh(await idOf(after, 1), WHO)).toBe('db-1\npeers.1 7\npeers.1')
})

test('down -v takes the volumes of all replicas', async () => {
  await daemon.down(STACK, { volumes: true })
  expect(await volumeNames()).toEqual([])
})
