/** The history of a stack, and the way back: what was accepted, what became of it, and with which images. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Revision } from '../../src/api/revision-types.ts'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  upRequest,
  type DaemonFixture,
} from '../daemon-fixture.ts'

const FOREVER: Service = { image: 'host:sh,sleep', command: ['sleep', '600'], stop_signal: 'KILL' }
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

async function history(stack: string): Promise<[number, string][]> {
  const revisions = await daemon.client.revisions(stack)
  return revisions.map(({ number, outcome }) => [number, outcome.status])
}

async function newest(stack: string): Promise<Revision> {
  const [first] = await daemon.client.revisions(stack)
  if (first === undefined) throw new Error('there is no revision')
  return first
}

describe('revisions', () => {
  test('the same desired state twice is one revision; another one is the next, with its diff', async () => {
    await daemon.up('twice', { services: { web: FOREVER } })
    await daemon.up('twice', { services: { web: FOREVER } })
    expect(await history('twice')).toEqual([[1, 'succeeded']])
    await daemon.up('twice', { services: { web: { ...FOREVER, mem_limit: '67108864' } } })
    const revision = await newest('twice')
    expect(revision).toMatchObject({ number: 2, current: true, author: 'root' })
    expect(revision.changes).toEqual([
      { kind: 'service', name: 'web', field: 'mem_limit', after: '"64m"' },
    ])
    await daemon.down('twice')
    expect((await newest('twice')).current).toBe(false)
    await daemon.up('twice', { services: { web: { ...FOREVER, mem_limit: '67108864' } } })
    expect(await history('twice')).toEqual([
      [2, 'succeeded'],
      [1, 'succeeded'],
    ])
  })

  test('an up of one service keeps what was wanted of the others', async () => {
    const services = { a: FOREVER, b: FOREVER }
    await daemon.up('partial', { services })
    await daemon.up('partial', { services }, { services: ['b'] })
    expect(await history('partial')).toEqual([[1, 'succeeded']])
  })

  test('a failure is written down with its error, and rollback goes to the last good one', async () => {
    await daemon.up('failing', { services: { web: FOREVER } })
    const bad = { web: { ...FOREVER, command: ['/no/such/program'] }, extra: FOREVER }
    const failure = await failureOf(daemon.up('failing', { services: bad }))
    const failed = await newest('failing')
    expect(failed.outcome).toMatchObject({ status: 'failed', message: failure.message })
    await collect(daemon.client.rollback('failing', {}))
    const back = await newest('failing')
    expect(back).toMatchObject({ number: 3, rollbackOf: 1, outcome: { status: 'succeeded' } })
    const containers = await daemon.client.containers({ stack: 'failing', all: true })
    expect(containers.map(({ service, state }) => [service, state])).toEqual([['web', 'running']])
    const { changes } = await daemon.client.revisionDiff('failing', { from: 1, to: 3 })
    expect(changes).toEqual([])
  })

  test('rollback takes the image that the name meant then, after a restart of the daemon too', async () => {
    const point = async (source: string): Promise<string> => {
      await daemon.up('source', { services: { image: { ...FOREVER, image: source } } })
      const { imageId } = await daemon.container('source', 'image')
      await daemon.client.tagImage(imageId, 'app:latest')
      return imageId
    }
    const services = { web: { ...FOREVER, image: 'app:latest' } }
    const first = await point('host:sh,sleep')
    await daemon.up('moving', { services })
    const second = await point('host:sh,sleep,cat')
    await daemon.up('moving', { services })
    expect((await daemon.container('moving', 'web')).imageId).toBe(second)
    expect((await newest('moving')).changes.map(({ field }) => field)).toEqual(['image.digest'])
    await daemon.kill()
    await daemon.start()
    await collect(daemon.client.rollback('moving', {}))
    expect((await daemon.container('moving', 'web')).imageId).toBe(first)
  })

  test('rollback brings up nothing that had never been brought up', async () => {
    const services = (user: string) => ({ a: { ...FOREVER, user }, b: FOREVER })
    await daemon.up('some', { services: services('1') }, { services: ['a'] })
    await daemon.up('some', { services: services('2') }, { services: ['a'] })
    await collect(daemon.client.rollback('some', {}))
    const all = await daemon.client.containers({ stack: 'some', all: true })
    expect(all.map(({ service }) => service)).toEqual(['a'])
  })

  test('another image that is mounted is another revision', async () => {
    const tools = { type: 'image', source: 'tools:latest', target: '/tools' } as const
    const services = { web: { ...FOREVER, volumes: [tools] } }
    for (const image of ['host:sh,sleep', 'host:sh,sleep,cat']) {
      await daemon.up('source', { services: { image: { ...FOREVER, image } } })
      const { imageId } = await daemon.container('source', 'image')
      await daemon.client.tagImage(imageId, 'tools:latest')
      await daemon.up('mounted', { services })
    }
    expect(await history('mounted')).toEqual([
      [2, 'succeeded'],
      [1, 'succeeded'],
    ])
    expect((await newest('mounted')).changes).toEqual([
      expect.objectContaining({ field: 'mounted images.tools:latest' }),
    ])
  })

  test('keeps the origin that the caller gives', async () => {
    const origin = { kind: 'git', repository: 'https://git/shop', commit: 'a'.repeat(40) } as const
    const request = { ...upRequest('origin', { services: { web: FOREVER } }), origin }
    await collect(daemon.client.up('origin', request))
    expect((await newest('origin')).origin).toEqual(origin)
  })

  test('says what is not there', async () => {
    const nothing = await failureOf(collect(daemon.client.rollback('nothing', {})))
    expect(nothing.code).toBe('FAILED_PRECONDITION')
    const missing = await failureOf(collect(daemon.client.rollback('twice', { revision: 77 })))
    expect(missing.message).toContain('revision 77 of stack "twice"')
  })
})
