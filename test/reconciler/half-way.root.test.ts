/** Plans that come to their end half-way, or must not be begun: nothing is lost by them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  upRequest,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'

const FOREVER: Service = {
  image: 'host:sh,sleep,cat,ls',
  command: ['sleep', '600'],
  stop_signal: 'KILL',
  network_mode: 'none',
}
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

test('anonymous volumes go to the successor, though the first try to make it has failed', async () => {
  const web: Service = { ...FOREVER, volumes: [{ type: 'volume', target: '/data' }] }
  await daemon.up('heir', { services: { web } })
  await daemon.sh((await daemon.container('heir', 'web')).id, 'echo kept >/data/file')
  const bad = { ...web, network_mode: 'container:gone' }
  const failure = await failureOf(daemon.up('heir', { services: { web: bad } }))
  expect(failure.message).toContain('container:gone')
  await daemon.kill()
  await daemon.start()
  await daemon.up('heir', { services: { web } })
  expect(await daemon.sh((await daemon.container('heir', 'web')).id, 'cat /data/file')).toBe('kept')
  await daemon.down('heir')
  await daemon.up('heir', { services: { web } })
  expect(await daemon.sh((await daemon.container('heir', 'web')).id, 'ls /data')).toBe('')
  await daemon.down('heir', { volumes: true })
})

test('a network that another stack uses is not made anew, and nobody on it is stopped', async () => {
  const shared = { name: 'shared_net' }
  const { network_mode, ...on } = { ...FOREVER, networks: { shared: null } }
  const owner = { services: { web: on }, networks: { shared } }
  await daemon.up('owner', owner)
  const user = { services: { app: on }, networks: { shared: { ...shared, external: true } } }
  await daemon.up('user', user)
  const before = await daemon.container('owner', 'web')
  const changed = { ...owner, networks: { shared: { ...shared, internal: true } } }
  const failure = await failureOf(daemon.up('owner', changed))
  expect(failure.message).toContain('containers of other stacks are on it (user-app-1)')
  expect((await daemon.container('owner', 'web')).pid).toBe(before.pid)
  expect(await daemon.client.revisions('owner')).toHaveLength(1)
  await daemon.down('user')
  await daemon.up('owner', changed)
  await daemon.down('owner')
})

test('a service whose profile is not active is no orphan', async () => {
  await daemon.up('profile', { services: { web: FOREVER, debug: FOREVER } })
  const without = upRequest('profile', { services: { web: FOREVER } }, { removeOrphans: true })
  const request = { ...without, disabledServices: ['debug'] }
  const events = await collect(daemon.client.up('profile', request))
  expect(events.filter(({ type }) => type === 'warning')).toEqual([])
  expect((await daemon.container('profile', 'debug')).state).toBe('running')
  await collect(daemon.client.up('profile', without))
  expect(await daemon.client.containers({ stack: 'profile', all: true })).toHaveLength(1)
  await daemon.down('profile')
})

test('ports that are taken are no change that was made: the next up makes it', async () => {
  const { network_mode, ...on } = { ...FOREVER, networks: { default: null } }
  const publishing = (published: string): Service => ({
    ...on,
    ports: [{ target: 80, published, protocol: 'tcp' }],
  })
  const stack = (published: string, other: Service): StackParts => ({
    services: { web: publishing(published), other },
    networks: { default: { name: 'ports_default' } },
  })
  await daemon.up('ports', stack('8080', publishing('8081')))
  const failure = await failureOf(
    daemon.up('ports', stack('8081', publishing('8081')), { services: ['web'] }),
  )
  expect(failure.code).toBe('ALREADY_EXISTS')
  await daemon.up('ports', stack('8081', on))
  const { ports } = await daemon.container('ports', 'web')
  expect(ports.map(({ published }) => published)).toContain(8081)
  await daemon.down('ports')
})

test('a pre_stop hook that fails lets its container be replaced, but not removed', async () => {
  const web: Service = { ...FOREVER, pre_stop: [{ command: ['sh', '-c', 'exit 3'] }] }
  await daemon.up('hook', { services: { web } })
  const events = await daemon.up('hook', { services: { web: { ...web, user: '1' } } })
  const message = expect.stringContaining('web hook exited with status 3') as string
  expect(events).toContainEqual({ type: 'warning', message })
  const { id, state } = await daemon.container('hook', 'web')
  expect(state).toBe('running')
  expect(await failureOf(daemon.down('hook'))).toMatchObject({
    code: 'FAILED_PRECONDITION',
    message,
  })
  await daemon.kill()
  await daemon.start() // which looks at every stack
  await daemon.up('after', { services: { web: FOREVER } })
  expect(await daemon.container('hook', 'web')).toMatchObject({ id, state: 'exited' })
  await daemon.down('after')
  await daemon.down('hook')
  expect(await daemon.client.containers({ stack: 'hook', all: true })).toEqual([])
})
