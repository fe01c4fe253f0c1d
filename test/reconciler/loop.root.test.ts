/** What somebody changes under a running stack is told as an event and put right, with the daemon killed in between too. */
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerSummary, EngineEvent } from '../../src/api/types.ts'
import { vethName } from '../../src/network/interface-names.ts'
import type { Service } from '../../src/spec/stack.ts'
import { collect, failureOf, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'drift'
const web: Service = {
  image: 'host:sh,sleep,node,umount',
  command: ['node', '-e', "require('net').createServer(s => s.end('hello')).listen(80)"],
  restart: 'always',
  stop_signal: 'KILL',
  mem_limit: '268435456',
  networks: { default: null },
  ports: [{ target: 80, published: '8080', protocol: 'tcp', host_ip: '127.0.0.1' }],
}
const HEALTHY = { condition: 'service_healthy', required: true } as const
const STARTED = { condition: 'service_started', required: true } as const
const parts = { services: { web }, networks: { default: { name: 'drift_default' } } }
let daemon: DaemonFixture

beforeAll(async () => {
  // Events alone have to do it; a look for what the kernel tells nobody of comes with `look()`.
  daemon = await startDaemonFixture({ environment: { TSSTACK_RECONCILE_INTERVAL: '0' } })
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK)
})

const onHost = (program: string, ...args: readonly string[]): string =>
  execFileSync('nsenter', [`--net=${daemon.netns}`, program, ...args], { encoding: 'utf8' })

async function drifts(): Promise<EngineEvent[]> {
  const since = '2000-01-01T00:00:00Z' // without it only what happens from now on
  const events = await collect(daemon.client.events({ stack: STACK, follow: false, since }))
  return events.filter(({ action }) => action === 'drift')
}

/** The last drift of a kind that is new since `before`. */
async function told(before: number, kind: string): Promise<EngineEvent> {
  return eventually(`an event about ${kind}`, async () =>
    (await drifts()).slice(before).find(({ attributes }) => attributes['kind'] === kind),
  )
}

async function answers(): Promise<void> {
  await eventually('an answer of the published port', () => {
    const script = 'exec 3<>/dev/tcp/127.0.0.1/8080; read -t 2 -u 3 line; echo "$line"'
    try {
      return onHost('bash', '-c', script).trim() === 'hello'
    } catch {
      return false
    }
  })
}

/** Makes the loop look at the stack, and waits until it has. */
async function look(): Promise<void> {
  const { lookedAt } = await daemon.client.status(STACK)
  await daemon.client.resume(STACK)
  await eventually('a look', async () => (await daemon.client.status(STACK)).lookedAt !== lookedAt)
}

function mountsOf(pid: number): string {
  return readFileSync(`/proc/${String(pid)}/mountinfo`, 'utf8')
}

/** undefined: it has ended. */
function namespaceOf(pid: number | undefined, name: string): string | undefined {
  const file = `/proc/${String(pid)}/ns/${name}`
  return existsSync(file) ? readlinkSync(file) : undefined
}

function hostInterface(container: ContainerSummary): string {
  return vethName(container.id, 'drift_default')
}

/** Of the memory controller, v1 or v2. */
function memoryLimitFile(id: string): string {
  const path = `${daemon.cgroupParent}/${STACK}/${id}`
  const v2 = `/sys/fs/cgroup/${path}/memory.max`
  return existsSync(v2) ? v2 : `/sys/fs/cgroup/memory/${path}/memory.limit_in_bytes`
}

describe('the loop puts right', () => {
  test('an interface that was deleted, and the process goes on', async () => {
    await daemon.up(STACK, parts)
    await answers()
    const before = await daemon.container(STACK, 'web')
    const count = (await drifts()).length
    onHost('ip', 'link', 'delete', hostInterface(before))
    const event = await told(count, 'endpoint')
    expect(event.attributes['difference']).toContain('is gone')
    await answers()
    expect((await daemon.container(STACK, 'web')).pid).toBe(before.pid)
  })

  test('a bridge that was deleted, with all that was connected to it', async () => {
    await daemon.up(STACK, parts)
    const [network] = await daemon.client.networks(STACK)
    const count = (await drifts()).length
    onHost('ip', 'link', 'delete', network?.bridge ?? '')
    await told(count, 'network')
    await answers()
  })

  test('rules and elements that were deleted', async () => {
    await daemon.up(STACK, parts)
    await answers()
    for (const command of ['flush table inet tsstack', 'flush ruleset']) {
      const count = (await drifts()).length
      onHost('nft', ...command.split(' '))
      await told(count, 'firewall')
      await answers()
    }
    const count = (await drifts()).length
    onHost('nft', 'flush', 'map', 'inet', 'tsstack', 'published4')
    expect((await told(count, 'firewall')).attributes['difference']).toBe('element deleted')
    await answers()
  })

  test('rules that were deleted while an up waits for what may never come', async () => {
    const idle: Service = { ...web, ports: [], command: ['sleep', '600'] }
    const depends_on = {
      web: { condition: 'service_started', required: true },
      idle: { condition: 'service_completed_successfully', required: true },
    } as const
    const services = { web, idle, after: { ...idle, depends_on } }
    const up = daemon.up(STACK, { ...parts, services }).catch(() => undefined)
    await answers()
    onHost('nft', 'flush', 'ruleset')
    await answers()
    await daemon.down(STACK)
    await up
  })

  test('a process that was killed from outside, by its restart policy', async () => {
    await daemon.up(STACK, parts)
    const before = await daemon.container(STACK, 'web')
    process.kill(before.pid ?? 0, 'SIGKILL')
    await eventually('another process', async () => {
      const { state, pid } = await daemon.container(STACK, 'web')
      return state === 'running' && pid !== before.pid
    })
    await answers()
  })

  test('a limit, as soon as somebody writes another', async () => {
    await daemon.up(STACK, parts)
    await look()
    const { id } = await daemon.container(STACK, 'web')
    const file = memoryLimitFile(id)
    const count = (await drifts()).length
    writeFileSync(file, String(512 << 20))
    const { attributes } = await told(count, 'limits')
    expect(attributes['difference']).toBe(
      `${path.basename(file)} is 536870912 instead of 268435456`,
    )
    await eventually('the limit', () => readFileSync(file, 'utf8').trim() === '268435456')
  })

  test('a limit that was changed before anybody looked: a look waits for the up', async () => {
    const slow: Service = {
      ...{ image: 'host:sh,sleep,coreutils', command: ['sleep', '600'], stop_signal: 'KILL' },
      healthcheck: { test: ['CMD', 'test', '-e', '/ready'], interval: '50ms', retries: 1000 },
    }
    const after: Service = { ...slow, depends_on: { slow: HEALTHY, web: STARTED } }
    const count = (await drifts()).length
    const up = daemon.up(STACK, { ...parts, services: { web, slow, after } })
    const started = async (service: string): Promise<string | undefined> => {
      const found = await daemon.client.containers({ stack: STACK })
      return found.find((container) => container.service === service)?.id
    }
    const file = memoryLimitFile(await eventually('web', () => started('web')))
    writeFileSync(file, String(512 << 20))
    await daemon.sh(await eventually('slow', () => started('slow')), 'touch /ready')
    await up
    await told(count, 'limits')
    expect(readFileSync(file, 'utf8').trim()).toBe('268435456')
  })

  test('a process that was moved out of its control group, and goes on', async () => {
    await daemon.up(STACK, parts)
    const { id, pid = 0 } = await daemon.container(STACK, 'web')
    const group = path.dirname(memoryLimitFile(id))
    const count = (await drifts()).length
    writeFileSync(path.join(path.dirname(group), 'cgroup.procs'), String(pid))
    await look()
    expect((await told(count, 'cgroup')).attributes['difference']).toBe('it is not in its cgroup')
    const inGroup = (): string => readFileSync(path.join(group, 'cgroup.procs'), 'utf8')
    await eventually('its process', () => inGroup().split('\n').includes(String(pid)))
  })

  test('a mount that was taken away, by another start', async () => {
    await daemon.up(STACK, parts)
    await look()
    const { pid = 0 } = await daemon.container(STACK, 'web')
    const count = (await drifts()).length
    execFileSync('nsenter', [
      `--target=${String(pid)}`,
      '--user',
      '--mount',
      '--pid',
      'umount',
      '/dev/shm',
    ])
    await daemon.client.resume(STACK)
    expect((await told(count, 'mount')).attributes['difference']).toBe(
      'the mount on /dev/shm is gone',
    )
    await eventually('another process', async () => {
      const { state, pid: next = 0 } = await daemon.container(STACK, 'web')
      return state === 'running' && next !== pid && mountsOf(next).includes(' /dev/shm ')
    })
  })

  test('who shares the network of a container that was started anew, by another start', async () => {
    const { networks, ports, ...plain } = web
    const sharer: Service = { ...plain, network_mode: 'service:web' }
    await daemon.up(STACK, { ...parts, services: { web, sharer } })
    const owner = await daemon.container(STACK, 'web')
    const before = await daemon.container(STACK, 'sharer')
    process.kill(owner.pid ?? 0, 'SIGKILL') // its restart policy starts it, in another namespace
    await eventually('both in one network', async () => {
      const [a, b] = await Promise.all(
        ['web', 'sharer'].map((service) => daemon.container(STACK, service)),
      )
      const names = [a?.pid, b?.pid].map((pid) => namespaceOf(pid, 'net'))
      return names[0] !== undefined && names[0] === names[1]
    })
    expect((await daemon.container(STACK, 'sharer')).id).toBe(before.id)
  })

  test('a start that failed, when what it lacked is there', async () => {
    const source = path.join(daemon.scratch, 'lacking')
    mkdirSync(source)
    const bind = { create_host_path: false }
    const volumes = [{ type: 'bind', source, target: '/data', bind } as const]
    await daemon.up(STACK, { ...parts, services: { web: { ...web, restart: 'no', volumes } } })
    await collect(daemon.client.lifecycle(STACK, { action: 'stop' }))
    rmdirSync(source)
    const start = collect(daemon.client.lifecycle(STACK, { action: 'start' }))
    expect((await failureOf(start)).message).toContain('it does not exist')
    await eventually('a try', async () => (await daemon.client.status(STACK)).lastError)
    mkdirSync(source)
    await answers()
    expect((await daemon.client.status(STACK)).lastError).toBeUndefined()
  })

  test('a limit and an interface that were changed while no daemon was there', async () => {
    await daemon.up(STACK, parts)
    const before = await daemon.container(STACK, 'web')
    const file = memoryLimitFile(before.id)
    const count = (await drifts()).length
    await daemon.kill()
    writeFileSync(file, String(512 << 20))
    onHost('ip', 'link', 'delete', hostInterface(before))
    await daemon.start()
    await told(count, 'limits')
    await told(count, 'endpoint')
    expect(readFileSync(file, 'utf8').trim()).toBe('268435456')
    await answers()
    expect((await daemon.container(STACK, 'web')).pid).toBe(before.pid)
  })
})

describe('the loop leaves alone', () => {
  test('what ended by itself without a restart policy, and what was stopped by hand', async () => {
    const job: Service = { image: 'host:sh', command: ['sh', '-c', 'exit 3'] }
    await daemon.up(STACK, { ...parts, services: { web, job } })
    await collect(daemon.client.lifecycle(STACK, { action: 'stop', services: ['web'] }))
    const count = (await drifts()).length
    await daemon.kill()
    await daemon.start()
    await eventually('a look', async () => (await daemon.client.status(STACK)).lookedAt)
    expect((await daemon.container(STACK, 'job')).state).toBe('exited')
    expect((await daemon.container(STACK, 'web')).state).toBe('exited')
    expect(await drifts()).toHaveLength(count)
  })

  test('what differs, where it may only observe, or is suspended; and looks no more where it is off', async () => {
    const mode = (reconcile: string) => ({ ...parts, 'x-tsstack': { reconcile } })
    await daemon.up(STACK, mode('observe'))
    const { id } = await daemon.container(STACK, 'web')
    const name = vethName(id, 'drift_default')
    let count = (await drifts()).length
    onHost('ip', 'link', 'set', name, 'down')
    expect((await told(count, 'endpoint')).attributes['difference']).toContain('is down')
    await look()
    const observed = await daemon.client.status(STACK)
    expect(observed).toMatchObject({ mode: 'observe', drift: [{ kind: 'endpoint' }] })
    expect(observed.conditions).toContainEqual(
      expect.objectContaining({ type: 'Degraded', status: 'True', reason: 'Drift' }),
    )
    expect(await drifts()).toHaveLength(count + 1) // once is enough
    await daemon.up(STACK, parts) // and from now on it is repaired
    await answers()

    await daemon.up(STACK, mode('off'))
    onHost('ip', 'link', 'set', name, 'down')
    count = (await drifts()).length
    await look()
    expect(await daemon.client.status(STACK)).toMatchObject({ mode: 'off', drift: [] })
    expect(await drifts()).toHaveLength(count)

    await daemon.client.suspend(STACK, {})
    await daemon.up(STACK, parts)
    await told(count, 'endpoint')
    const { mode: wanted, suspended } = await daemon.client.status(STACK)
    expect(wanted).toBe('repair')
    expect(suspended?.author).toContain('root')
    expect(onHost('ip', 'link', 'show', name)).toContain('state DOWN')
    await daemon.client.resume(STACK)
    await answers()
  })

  test('a stop and a scale by hand, until their time is over', async () => {
    await daemon.up(STACK, parts, { scale: { web: 0 } })
    await look()
    const scaled = await daemon.client.status(STACK)
    expect(scaled.services).toMatchObject([
      { desired: 0, running: 0, override: { kind: 'scaled', replicas: 0 } },
    ])
    const byHand = { forSeconds: 0.5, reason: 'quiet' }
    await daemon.up(STACK, parts, { scale: { web: 0 }, byHand })
    const again = await daemon.client.status(STACK)
    expect(again.services).toMatchObject([{ override: { replicas: 0, reason: 'quiet' } }])
    await answers()
    await collect(daemon.client.lifecycle(STACK, { action: 'stop', forSeconds: 1 }))
    const stopped = await daemon.client.status(STACK)
    expect(stopped.services).toMatchObject([{ running: 0, override: { kind: 'stopped' } }])
    expect(stopped.services[0]?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Degraded', status: 'True', reason: 'StoppedByHand' }),
    )
    await answers()
    const { services } = await daemon.client.status(STACK)
    expect(services[0]?.override).toBeUndefined()
  })
  test('what was stopped by hand, until something that needs it is started', async () => {
    const idle: Service = { ...web, ports: [], command: ['sleep', '600'] }
    const depends_on = { db: { condition: 'service_started', required: true } } as const
    await daemon.up(STACK, { ...parts, services: { db: idle, web: { ...idle, depends_on } } })
    await collect(daemon.client.lifecycle(STACK, { action: 'stop' }))
    await collect(daemon.client.lifecycle(STACK, { action: 'start', services: ['web'] }))
    const { conditions, services } = await daemon.client.status(STACK)
    expect(services.map(({ running, override }) => [running, override])).toEqual([
      [1, undefined],
      [1, undefined],
    ])
    expect(conditions[0]).toMatchObject({ type: 'Ready', status: 'True' })
  })
})
