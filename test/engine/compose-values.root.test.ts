/** Attributes whose values are common in stack files and easily lost: each is looked at from inside the container. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'values'
const IDLE: Service = {
  image: 'host:sh,coreutils,grep',
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

const bind = (source: string, target: string) => ({ type: 'bind' as const, source, target })

function scratchFile(name: string, text: string): string {
  const file = path.join(daemon.scratch, name)
  fs.writeFileSync(file, text)
  return file
}

describe('files', () => {
  test('a config that may be executed is executed', async () => {
    const id = await start(
      {
        command: ['/entry.sh'],
        configs: [{ source: 'entry', target: '/entry.sh', mode: '0755' }],
      },
      { configs: { entry: { name: 'entry', content: '#!/bin/sh\nexec sleep 1000\n' } } },
    )
    expect(await daemon.sh(id, 'cat /proc/1/comm')).toBe('sleep')
    const configs = { entry: { name: 'entry', content: '#!/bin/sh\n' } }
    const plain = { command: ['/entry'], configs: [{ source: 'entry' }] }
    const failure = await failureOf(start(plain, { configs }))
    expect(failure).toMatchObject({ exitCode: 126 })
    expect(failure.hint).toContain('"mode: 0755"')
  })

  test('what is mounted below /proc and /sys is not hidden by them', async () => {
    const file = scratchFile('shown', 'shown\n')
    fs.mkdirSync(path.join(daemon.scratch, 'tree'), { recursive: true })
    fs.writeFileSync(path.join(daemon.scratch, 'tree/a'), '')
    const tree = path.join(daemon.scratch, 'tree')
    const id = await start({
      volumes: [
        bind(file, '/proc/cpuinfo'),
        bind(tree, '/sys/fs/cgroup'),
        bind(tree, '/sys/kernel/debug'),
      ],
    })
    expect(await daemon.sh(id, 'cat /proc/cpuinfo; ls /sys/fs/cgroup /sys/kernel/debug')).toBe(
      'shown\n/sys/fs/cgroup:\na\n\n/sys/kernel/debug:\na',
    )
    const failure = await failureOf(
      start({ volumes: [bind(file, '/proc/sys/kernel/core_pattern')] }),
    )
    expect(failure.message).toContain('Cannot mount at "/proc/sys/kernel/core_pattern"')
  })

  test('of the host / can be shown, and what has no ids to map; only to be read', async () => {
    const secret = scratchFile('secret', 'of root\n')
    fs.chmodSync(secret, 0o600)
    const id = await start({
      volumes: [
        { ...bind('/', '/rootfs'), read_only: true, bind: { propagation: 'rslave' } },
        { ...bind('/sys', '/host/sys'), read_only: true },
      ],
    })
    const script = `cat /rootfs${secret}; ls -d /host/sys/class; stat -c %U /rootfs/proc/version`
    expect(await daemon.sh(id, script)).toBe('of root\n/host/sys/class\nnobody')
    const failure = await failureOf(start({ volumes: [bind('/sys', '/host/sys')] }))
    expect(failure.message).toContain('Cannot map ids of "/sys"')
  })

  test("the host's /sys and /dev in the place of the container's, with its own terminals and memory", async () => {
    const id = await start({
      privileged: true,
      shm_size: '3m',
      volumes: [{ ...bind('/sys', '/sys'), read_only: true }, bind('/dev', '/dev')],
    })
    expect(await daemon.sh(id, 'stat -c %d /dev /sys/class')).toBe(
      ['/dev', '/sys/class'].map((one) => String(fs.statSync(one).dev)).join('\n'),
    )
    expect(await daemon.sh(id, 'stat -f -c %b /dev/shm; ls /dev/pts')).toBe('768\nptmx')
    const cgroup =
      'cat /sys/fs/cgroup/memory/tasks /sys/fs/cgroup/cgroup.procs 2>/dev/null | head -1'
    expect(await daemon.sh(id, cgroup)).toBe('1')
  })

  test('everybody may look into the directories of devices', async () => {
    const devices = [{ source: '/dev/null', target: '/dev/dri/renderD128' }]
    const id = await start({ user: '1000', devices })
    expect(await daemon.sh(id, 'ls /dev/dri; echo x >/dev/dri/renderD128')).toBe('renderD128')
  })

  test('tmpfs: programs, their owners and devices where it says so', async () => {
    const id = await start({ tmpfs: ['/free/:exec,suid,dev,size=1m', '/safe'] })
    const flags = (target: string): Promise<string> =>
      daemon.sh(id, `grep " ${target} " /proc/mounts | cut -d" " -f4 | cut -d, -f1-4`)
    expect(await flags('/safe')).toBe('rw,nosuid,nodev,noexec')
    expect(await flags('/free')).toMatch(/^rw,relatime/)
  })

  test('an anonymous volume is as it is written', async () => {
    const id = await start({
      volumes: [
        {
          type: 'volume',
          target: '/v',
          read_only: true,
          volume: { nocopy: true, labels: { a: 'b' } },
        },
      ],
    })
    expect((await daemon.exec(id, ['touch', '/v/x'])).exitCode).not.toBe(0)
    const labels = (await daemon.client.volumes()).map((volume) => volume.labels)
    expect(labels).toEqual([{ a: 'b', 'com.docker.volume.anonymous': '' }])
  })

  test('directories that are made for a bind mount can be read by everybody', async () => {
    const made = path.join(daemon.scratch, 'made/deep')
    await start({ volumes: [bind(made, '/made')] })
    expect([made, path.dirname(made)].map((one) => fs.statSync(one).mode & 0o777)).toEqual([
      0o755, 0o755,
    ])
  })

  test('a target that is no absolute path is refused', async () => {
    const failure = await failureOf(start({ volumes: [bind(daemon.scratch, 'app')] }))
    expect(failure.message).toBe('Cannot mount at "app": it is not an absolute path')
  })
})

describe('ipc', () => {
  const joined: StackParts = {
    services: {
      donor: { ...IDLE },
      joiner: {
        ...IDLE,
        ipc: 'service:donor',
        depends_on: { donor: { condition: 'service_started', required: true } },
      },
    },
  }

  test('containers of one namespace have one /dev/shm, after a crash of the daemon, too', async () => {
    await daemon.up(STACK, joined)
    const [donor, joiner] = await Promise.all(
      ['donor', 'joiner'].map((name) => daemon.container(STACK, name)),
    )
    await daemon.sh(donor?.id ?? '', 'echo shared > /dev/shm/x')
    expect(await daemon.sh(joiner?.id ?? '', 'cat /dev/shm/x')).toBe('shared')
    await daemon.kill()
    await daemon.start()
    await collect(daemon.client.lifecycle(STACK, { action: 'restart', services: ['joiner'] }))
    expect(await daemon.sh(joiner?.id ?? '', 'cat /dev/shm/x; stat -c %a /dev/shm')).toBe(
      'shared\n1777',
    )
  })

  test('of a container that shares with nobody it says so', async () => {
    const id = await start({})
    const { name } = await daemon.container(STACK, 's')
    const other = { ...IDLE, ipc: `container:${id}` }
    const failure = await failureOf(daemon.up(STACK, { services: { s: { ...IDLE }, other } }))
    expect(failure.message).toBe(`Cannot share the memory of "${name}": it is its own`)
  })

  test("host: the host's /dev/shm; none: none", async () => {
    const shm = (ipc: string): Promise<string> =>
      start({ ipc }).then((id) => daemon.sh(id, 'stat -c %d /dev/shm'))
    const { dev } = fs.statSync('/dev/shm')
    expect(await shm('host')).toBe(String(dev))
    const id = await start({ ipc: 'none' })
    expect(await daemon.sh(id, 'grep -c " /dev/shm " /proc/mounts || true')).toBe('0')
  })
})

describe('the process', () => {
  test('cgroup: host shows the control groups of the host, and changes none', async () => {
    const id = await start({ cgroup: 'host' })
    const groups = '/sys/fs/cgroup /sys/fs/cgroup/memory'
    // Of v1 below each controller, of v2 at the top.
    expect(await daemon.sh(id, `ls ${groups} 2>&1 || true`)).toContain(daemon.cgroupParent)
    const make = ['sh', '-c', 'mkdir /sys/fs/cgroup/memory/x || mkdir /sys/fs/cgroup/x']
    expect((await daemon.exec(id, make)).exitCode).not.toBe(0)
  })

  test('ids beyond those of a stack need the ids of the host', async () => {
    const service = { user: '100000:100001', group_add: ['70000'] }
    const { message } = await failureOf(start(service))
    expect(message).toBe('Cannot use the user or group id 100000: it is outside 0..65535')
    const id = await start({ ...service, userns_mode: 'host' })
    expect(await daemon.sh(id, 'id -u; id -G')).toBe('100000\n100001 70000')
  })

  test("shares the host's name with its names, or its network", async () => {
    for (const service of [{ uts: 'host' }, { network_mode: 'host' }]) {
      const id = await start(service)
      expect(await daemon.sh(id, 'uname -n; echo $HOSTNAME; cat /etc/hostname')).toBe(
        [os.hostname(), os.hostname(), os.hostname()].join('\n'),
      )
    }
  })

  test('an oom_score_adj that the daemon may not set is told', async () => {
    const events = await daemon.up(STACK, { services: { s: { ...IDLE, oom_score_adj: -900 } } })
    const { id } = await daemon.container(STACK, 's')
    const isSet = (await daemon.sh(id, 'cat /proc/1/oom_score_adj')) === '-900'
    expect(JSON.stringify(events).includes('oomScoreAdj')).toBe(!isSet)
  })

  test('a sysctl of the host is not set by a container with the ids of the host', async () => {
    const file = '/proc/sys/vm/max_map_count'
    const before = fs.readFileSync(file, 'utf8')
    const sysctls = { 'vm.max_map_count': String(Number(before) + 1) }
    const failure = await failureOf(start({ userns_mode: 'host', sysctls }))
    expect(failure.message).toContain('the container shares it with the host')
    expect(fs.readFileSync(file, 'utf8')).toBe(before)
  })

  test('deploy.restart_policy: so many restarts, whatever the exit code', async () => {
    await daemon.up(STACK, {
      services: {
        s: {
          ...IDLE,
          command: ['sh', '-c', 'echo ran'],
          deploy: { restart_policy: { condition: 'any', max_attempts: 2, delay: '10ms' } },
        },
      },
    })
    await eventually('an end', async () => {
      const { state } = await daemon.container(STACK, 's')
      return state === 'exited' ? true : undefined
    })
    expect(await daemon.logs(STACK)).toHaveLength(3)
  })
})

describe('pre_start', () => {
  const environment = { DB: 'url', UNSET: null }
  const volumes = [{ type: 'volume' as const, source: 'data', target: '/data' }]
  const parts = { volumes: { data: { name: `${STACK}_data` } } }
  const script = 'echo "$DB $MORE $(id -u) $PATH" >>/data/log'

  test('has the environment of the service, and its user where it has its image', async () => {
    const command = ['sh', '-c', script]
    const id = await start(
      {
        user: '7',
        environment,
        volumes,
        pre_start: [
          { command: ['sh', '-c', 'chmod 777 /data; umask 0; : >/data/log'], user: '0' },
          // As the loader leaves a hook that names no image.
          { command, image: IDLE.image ?? '', environment: { MORE: 'a' } },
          { command, image: 'host:sh,coreutils,getent', environment: { MORE: 'b' } },
        ],
      },
      parts,
    )
    const usual = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    expect(await daemon.sh(id, 'cat /data/log')).toBe(`url a 7 ${usual}\nurl b 0 ${usual}`)
  })

  test('without a command it runs that of its image', async () => {
    const id = await start({ pre_start: [{ user: '0' }] })
    expect(await daemon.sh(id, 'cat /proc/1/comm')).toBe('sleep')
  })
})
