/** What a Compose file can ask of a container, one attribute after the other, through a real daemon. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { DeviceRequest, Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'attributes'
const IDLE: Service = {
  image: 'host:sh,coreutils,grep,getent',
  command: ['sleep', '1000'],
  network_mode: 'none',
  stop_grace_period: '0s',
}
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK, { volumes: true })
})

async function start(service: Service, parts: Partial<StackParts> = {}): Promise<string> {
  await daemon.up(STACK, { ...parts, services: { s: { ...IDLE, ...service } } })
  return (await daemon.container(STACK, 's')).id
}

describe('devices', () => {
  test('a device of the host is there, and may be opened as far as it is asked for', async () => {
    const id = await start({
      devices: [{ source: '/dev/loop-control', target: '/dev/x/control', permissions: 'r' }],
    })
    expect(await daemon.sh(id, 'stat -c "%F %t %T" /dev/x/control')).toBe(
      'character special file a ed',
    )
    expect(await daemon.sh(id, ': </dev/x/control && echo opened')).toBe('opened')
    expect((await daemon.exec(id, ['sh', '-c', ': >/dev/x/control'])).exitCode).not.toBe(0)
  })

  test('without it, it can be neither seen nor made and opened', async () => {
    const id = await start({ userns_mode: 'host' })
    const script = 'mknod /tmp/l c 10 237 && : </tmp/l'
    expect((await daemon.exec(id, ['sh', '-c', script])).exitCode).not.toBe(0)
  })

  test('a rule lets one open what one makes', async () => {
    const id = await start({ userns_mode: 'host', device_cgroup_rules: ['c 10:237 rwm'] })
    expect(await daemon.sh(id, 'mknod /loop c 10 237 && : </loop && echo opened')).toBe('opened')
  })

  test.each([
    ['/dev/no-such-device', 'the host has none'],
    ['/etc/passwd', 'it is not a device'],
  ])('%s is refused', async (source, message) => {
    const failure = await failureOf(start({ devices: [{ source, target: '/dev/x' }] }))
    expect(failure.message).toContain(message)
  })

  test('privileged has all of the host', async () => {
    const id = await start({ privileged: true })
    expect(await daemon.sh(id, 'test -c /dev/loop-control && echo there')).toBe('there')
  })
})

describe('devices that the host describes (CDI)', () => {
  const DIRECTORY = '/var/run/cdi'
  const file = `${DIRECTORY}/tsstack-test-${String(process.pid)}.yaml`
  const node = { path: '/dev/x/card', hostPath: '/dev/loop-control', permissions: 'r' }
  const mounts = [{ hostPath: '/etc/hostname', containerPath: '/opt/driver', options: ['ro'] }]
  const devices = [
    { name: '0', containerEdits: { deviceNodes: [node], env: ['CARD=0'] } },
    { name: 'all', containerEdits: { deviceNodes: [node], env: ['CARD=all'] } },
    { name: 'odd', containerEdits: { hooks: [{ hookName: 'createContainer', path: '/x' }] } },
  ]
  let made: string | undefined

  beforeAll(() => {
    made = fs.mkdirSync(DIRECTORY, { recursive: true })
    const common = { env: ['DRIVER=test'], mounts }
    // JSON is YAML.
    const specification = { cdiVersion: '0.6.0', kind: 'tsstack-test.com/gpu', devices }
    fs.writeFileSync(file, JSON.stringify({ ...specification, containerEdits: common }))
  })
  afterAll(() => {
    fs.rmSync(file)
    if (made !== undefined) fs.rmdirSync(made)
  })

  const byName = [{ source: 'tsstack-test.com/gpu=0', target: '', permissions: 'rwm' }]
  const reserve = (device: DeviceRequest): Service => ({
    deploy: { resources: { reservations: { devices: [device] } } },
  })

  test.each<[Service, string]>([
    [{ devices: byName }, '0'],
    [{ gpus: [{ count: -1 }] }, 'all'],
    [reserve({ capabilities: ['gpu'], count: 1 }), '0'],
    [reserve({ driver: 'tsstack-test', capabilities: ['gpu'], device_ids: ['0'] }), '0'],
    [reserve({ driver: 'cdi', device_ids: ['tsstack-test.com/gpu=all'] }), 'all'],
  ])('%j: its nodes, files and variables', async (service, card) => {
    const id = await start(service)
    expect(await daemon.sh(id, 'echo $DRIVER $CARD; stat -c %F /dev/x/card')).toBe(
      `test ${card}\ncharacter special file`,
    )
    expect(await daemon.sh(id, ': </dev/x/card; cat /opt/driver')).toBe(
      fs.readFileSync('/etc/hostname', 'utf8').trim(),
    )
    expect((await daemon.exec(id, ['sh', '-c', ': >/dev/x/card'])).exitCode).not.toBe(0)
  })

  test.each<[Service, string]>([
    [{ devices: [{ source: 'tsstack-test.com/gpu=7', target: '' }] }, 'no file in /etc/cdi'],
    [{ gpus: [{ driver: 'none', count: 1 }] }, '"none.com/gpu=0"'],
    [reserve({ driver: 'cdi', device_ids: ['tsstack-test.com/gpu=odd'] }), 'wants hook "/x"'],
    [reserve({ capabilities: ['tpu'] }), 'no driver is named'],
  ])('%j is refused', async (service, message) => {
    expect((await failureOf(start(service))).message).toContain(message)
  })
})

describe('names of other containers', () => {
  test('links and external_links are names that only this container has', async () => {
    const services = {
      db: { ...IDLE, networks: { default: null }, container_name: 'the-db' },
      s: {
        ...IDLE,
        networks: { default: null },
        links: ['db:store'],
        external_links: ['the-db:old'],
      },
      other: { ...IDLE, networks: { default: null } },
    }
    const parts = Object.entries(services).map(([name, { network_mode, ...service }]) => [
      name,
      service,
    ])
    await daemon.up(STACK, {
      networks: { default: { name: `${STACK}_default` } },
      services: Object.fromEntries(parts) as Record<string, Service>,
    })
    const address = async (service: string, name: string): Promise<string> => {
      const { id } = await daemon.container(STACK, service)
      return (await daemon.exec(id, ['getent', 'ahostsv4', name])).stdout.split(' ')[0] ?? ''
    }
    const real = await address('s', 'db')
    expect(real).toMatch(/^\d+\./)
    expect([await address('s', 'store'), await address('s', 'old')]).toEqual([real, real])
    expect(await address('other', 'store')).toBe('')
  })
})

describe('volumes', () => {
  test('volumes_from borrows those of a service, read-only when asked', async () => {
    const data = { type: 'volume' as const, source: 'data', target: '/data' }
    const parts = { volumes: { data: { name: `${STACK}_data` } } }
    const services = {
      first: { ...IDLE, volumes: [data, { type: 'volume' as const, target: '/anonymous' }] },
      s: { ...IDLE, volumes_from: ['first:ro'], depends_on: { first: STARTED } },
    }
    await daemon.up(STACK, { ...parts, services })
    const first = await daemon.container(STACK, 'first')
    await daemon.sh(first.id, 'echo one >/data/file; echo two >/anonymous/file')
    const { id } = await daemon.container(STACK, 's')
    expect(await daemon.sh(id, 'cat /data/file /anonymous/file')).toBe('one\ntwo')
    expect((await daemon.exec(id, ['sh', '-c', ': >/data/no'])).exitCode).not.toBe(0)
  })

  test('what a container mounts below a bind stays in the container, unless it is shared', async () => {
    const source = path.join(daemon.scratch, 'bound')
    fs.mkdirSync(path.join(source, 'below'), { recursive: true })
    const mounts = (): string => fs.readFileSync(`/proc/${String(daemon.pid)}/mountinfo`, 'utf8')
    await start({
      image: 'host:sh,coreutils,grep,mount',
      privileged: true,
      command: ['sh', '-c', 'mount -t tmpfs t /bound/below && sleep 1000'],
      volumes: [{ type: 'bind', source, target: '/bound' }],
    })
    expect(mounts()).not.toContain(`${source}/below`)
  })
})

const STARTED = { condition: 'service_started', required: true } as const

describe('hooks', () => {
  test('post_start runs inside after each start by request, and its failure is that of up', async () => {
    const hook = { command: ['sh', '-c', 'echo $WHO >>/tmp/hooks'], environment: { WHO: 'me' } }
    const id = await start({ post_start: [hook, hook] })
    expect(await daemon.sh(id, 'cat /tmp/hooks')).toBe('me\nme')
    await collect(daemon.client.lifecycle(STACK, { action: 'restart' }))
    expect(await daemon.sh(id, 'grep -c . /tmp/hooks')).toBe('4')
    await daemon.down(STACK)
    const failing = { command: ['sh', '-c', 'echo broken >&2; exit 3'] }
    const failure = await failureOf(start({ post_start: [failing] }))
    expect(failure.message).toMatch(/s hook exited with status 3: broken/)
  })

  test('pre_stop runs before the stop signal, not at a crash', async () => {
    const volumes = [{ type: 'volume' as const, source: 'data', target: '/data' }]
    const parts = { volumes: { data: { name: `${STACK}_data` } } }
    const hook = { command: ['sh', '-c', 'echo stopping >>/data/hooks'] }
    const service: Service = {
      pre_stop: [hook],
      volumes,
      stop_grace_period: '10s',
      restart: 'always',
    }
    const id = await start(service, parts)
    process.kill((await daemon.client.container(id)).pid ?? 0, 'SIGKILL')
    await eventually('the restart', async () => {
      const { state, restartCount } = await daemon.container(STACK, 's')
      return state === 'running' && restartCount === 1
    })
    await collect(daemon.client.lifecycle(STACK, { action: 'stop' }))
    await collect(daemon.client.lifecycle(STACK, { action: 'start' }))
    expect(await daemon.sh(id, 'cat /data/hooks')).toBe('stopping')
  })

  test('pre_start runs in containers of its own, once for a definition', async () => {
    const volumes = [{ type: 'volume' as const, source: 'data', target: '/data' }]
    const parts = { volumes: { data: { name: `${STACK}_data` } } }
    const init = { command: ['sh', '-c', 'echo prepared >>/data/log'] }
    const id = await start(
      {
        pre_start: [init, init],
        volumes,
        command: ['sh', '-c', 'echo main >>/data/log; sleep 1000'],
      },
      parts,
    )
    await collect(daemon.client.lifecycle(STACK, { action: 'restart' }))
    expect(await daemon.sh(id, 'cat /data/log')).toBe('prepared\nprepared\nmain\nmain')
    expect(await daemon.client.containers({ all: true })).toHaveLength(1)
    const failing = { command: ['sh', '-c', 'echo no data; exit 9'] }
    const failure = await failureOf(start({ pre_start: [failing] }))
    expect(failure.message).toMatch(/s hook exited with status 9: no data/)
  })

  test('a privileged pre_start is unfiltered and has devices, the container is not', async () => {
    const script =
      'grep -E "^Seccomp:" /proc/self/status >>/data/log; test -c /dev/kmsg; echo $? >>/data/log'
    const id = await start(
      {
        pre_start: [
          { command: ['sh', '-c', script], privileged: true },
          { command: ['sh', '-c', script] },
        ],
        volumes: [{ type: 'volume' as const, source: 'data', target: '/data' }],
      },
      { volumes: { data: { name: `${STACK}_data` } } },
    )
    const log = await daemon.sh(id, 'cat /data/log')
    expect(log.split(/\s+/)).toEqual(['Seccomp:', '0', '0', 'Seccomp:', '2', '1'])
  })
})

describe('security_opt', () => {
  test('a profile of its own filters system calls', async () => {
    const denied = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }
    const profile = JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [denied] })
    const script = 'touch /tmp/file && echo made; mkdir /tmp/directory 2>&1 || true'
    const id = await start({ security_opt: [`seccomp=${profile}`] })
    expect(await daemon.sh(id, script)).toMatch(/^made\n.*not implemented$/)
  })

  test('systempaths=unconfined shows what is masked otherwise', async () => {
    const masked = await daemon.sh(await start({ userns_mode: 'host' }), 'wc -c </proc/timer_list')
    const open = await daemon.sh(
      await start({ userns_mode: 'host', security_opt: ['systempaths=unconfined'] }),
      'wc -c </proc/timer_list',
    )
    expect([masked, Number(open) > 0]).toEqual(['0', true])
  })

  test('an option that is not known is refused', async () => {
    const failure = await failureOf(start({ security_opt: ['no-such-option=1'] }))
    expect(failure.message).toContain('"no-such-option=1": it is not known')
  })
})

test("cgroup: host shows the host's control groups", async () => {
  const inside = await daemon.sh(await start({ cgroup: 'host' }), 'cat /proc/1/cgroup')
  expect(inside).toContain(daemon.cgroupParent)
  const own = await daemon.sh(await start({}), 'cat /proc/1/cgroup')
  expect(own).not.toContain(daemon.cgroupParent)
})
