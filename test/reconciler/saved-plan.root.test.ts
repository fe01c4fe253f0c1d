/** A plan that was saved is applied as it is, or not at all. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  upRequest,
  type DaemonFixture,
} from '../daemon-fixture.ts'

const web: Service = { image: 'host:sh,sleep', command: ['sleep', '600'], stop_signal: 'KILL' }
const request = upRequest('saved', { services: { web } })
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

describe('up with the base of a plan', () => {
  test('applies it while nothing has changed, after a restart of the daemon too', async () => {
    const { base } = await daemon.client.plan('saved', request)
    await daemon.kill()
    await daemon.start()
    await collect(daemon.client.up('saved', { ...request, base }))
    expect((await daemon.container('saved', 'web')).state).toBe('running')
  })

  test('refuses it when a container has been stopped since, and changes nothing', async () => {
    const limited = upRequest('saved', { services: { web: { ...web, mem_limit: '67108864' } } })
    const { base } = await daemon.client.plan('saved', limited)
    await collect(daemon.client.lifecycle('saved', { action: 'stop', timeoutSeconds: 0 }))
    const failure = await failureOf(collect(daemon.client.up('saved', { ...limited, base })))
    expect(failure.code).toBe('FAILED_PRECONDITION')
    expect((await daemon.container('saved', 'web')).state).toBe('exited')
    expect(await daemon.client.revisions('saved')).toHaveLength(1)
  })

  test('refuses one that was made for other options', async () => {
    const { base } = await daemon.client.plan('saved', request)
    const options = { scale: { web: 2 } }
    const failure = await failureOf(
      collect(daemon.client.up('saved', { ...request, base, options })),
    )
    expect(failure.code).toBe('FAILED_PRECONDITION')
  })
})
