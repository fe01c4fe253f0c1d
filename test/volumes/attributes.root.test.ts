/** What a Compose file can ask of volumes, seen from inside the containers and on the host's disk. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { takesDetachedLayers } from '../../src/engine/layer-mounts.ts'
import type { Service, ServiceVolume } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'

const STACK = 'volumes'
const IDLE: Service = {
  image: 'host:sh,coreutils,grep',
  command: ['sleep', '1000'],
  network_mode: 'none',
  stop_grace_period: '0s',
}
const DATA: ServiceVolume = { type: 'volume', source: 'data', target: '/data' }
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

async function start(service: Service, volumes: StackParts['volumes'] = {}): Promise<string> {
  await daemon.up(STACK, { volumes, services: { s: { ...IDLE, ...service } } })
  return (await daemon.container(STACK, 's')).id
}

function folder(name: string): string {
  const directory = path.join(daemon.scratch, name)
  fs.mkdirSync(directory, { recursive: true })
  return directory
}

describe('external and named volumes', () => {
  const external = { data: { name: 'kept', external: true } }

  test('a missing one is named, and nothing is made', async () => {
    const failure = await failureOf(start({ volumes: [DATA] }, external))
    expect(failure.message).toMatch(/volume .*kept.*declared as external/)
    expect(await daemon.client.volumes()).toEqual([])
  })

  test('one whose name is none is refused, and nothing is left that could not be listed', async () => {
    const odd = { data: { name: 'volumes_/../../etc' } }
    const failure = await failureOf(start({ volumes: [DATA] }, odd))
    expect(failure.message).toContain('Cannot use volume name "volumes_/../../etc"')
    expect(await daemon.client.volumes()).toEqual([])
  })

  test('volume create, use, inspect, rm', async () => {
    await daemon.client.createVolume({ name: 'kept', labels: { team: 'db' } })
    const id = await start({ volumes: [DATA] }, external)
    await daemon.sh(id, 'head -c 100000 /dev/zero >/data/file')
    const detail = await daemon.client.volume('kept')
    expect(detail).toMatchObject({ labels: { team: 'db' }, containers: ['volumes-s-1'] })
    expect(detail.sizeBytes).toBeGreaterThan(99_000)
    await expect(daemon.client.removeVolume('kept')).rejects.toThrow('used by volumes-s-1')
    await daemon.down(STACK, { volumes: true })
    expect(fs.existsSync(path.join(detail.mountpoint, 'file'))).toBe(true)
    await daemon.client.removeVolume('kept')
    expect(fs.existsSync(detail.mountpoint)).toBe(false)
  })

  test('labels are kept; prune takes what nobody mounts, named ones only when asked', async () => {
    const volumes = { data: { name: 'labelled', labels: { a: 'b' } } }
    await start({ volumes: [DATA, { type: 'volume', target: '/anonymous' }] }, volumes)
    const [labelled] = (await daemon.client.volumes()).filter(({ name }) => name === 'labelled')
    expect(labelled?.labels).toMatchObject({ a: 'b', 'com.docker.compose.volume': 'data' })
    expect((await daemon.client.pruneVolumes({ all: true })).removed).toEqual([])
    await daemon.down(STACK)
    expect((await daemon.client.pruneVolumes({ all: false })).removed).toHaveLength(1)
    expect((await daemon.client.pruneVolumes({ all: true })).removed).toEqual(['labelled'])
  })
})

describe('driver_opts', () => {
  test('bind: the directory of the host, ids as the container has them', async () => {
    const device = folder('bound')
    const id = await start(
      { volumes: [DATA] },
      { data: { name: 'bound', driver_opts: { type: 'none', o: 'bind', device } } },
    )
    await daemon.sh(id, 'echo one >/data/file')
    expect(fs.readFileSync(path.join(device, 'file'), 'utf8')).toBe('one\n')
    expect(fs.statSync(path.join(device, 'file')).uid).toBe(0)
    await daemon.down(STACK, { volumes: true })
    expect(fs.existsSync(path.join(device, 'file'))).toBe(true)
  })

  test('bind: an empty directory gets what the image has there, a filled one and nocopy do not', async () => {
    const started = async (name: string, mount: Partial<ServiceVolume> = {}): Promise<string> => {
      const driver_opts = { type: 'none', o: 'bind', device: folder(name) }
      return start(
        { volumes: [{ ...DATA, target: '/etc', ...mount }] },
        { data: { name, driver_opts } },
      )
    }
    const names = async (id: string): Promise<string[]> =>
      (await daemon.sh(id, 'ls /etc')).split('\n')
    const copied = await started('copied')
    expect(await names(copied)).toContain('passwd')
    expect(await daemon.sh(copied, 'stat -c "%u:%g %a" /etc/passwd')).toBe('0:0 644')
    expect(fs.statSync(path.join(folder('copied'), 'passwd')).uid).toBe(0)
    fs.writeFileSync(path.join(folder('filled'), 'own'), '')
    expect(await names(await started('filled'))).not.toContain('passwd')
    const nocopy = { volume: { nocopy: true } }
    expect(await names(await started('as-it-is', nocopy))).not.toContain('passwd')
  })

  test('tmpfs: of its size, shared by containers that run, mounted nowhere on the host', async () => {
    const driver_opts = { type: 'tmpfs', o: 'size=1m,uid=7,mode=0770', device: 'tmpfs' }
    const services = {
      s: { ...IDLE, volumes: [DATA] },
      t: { ...IDLE, volumes: [{ ...DATA, read_only: true }] },
    }
    await daemon.up(STACK, { volumes: { data: { name: 'fast', driver_opts } }, services })
    const [s, t] = await Promise.all(['s', 't'].map((name) => daemon.container(STACK, name)))
    await daemon.sh(s?.id ?? '', 'echo shared >/data/file')
    expect(await daemon.sh(t?.id ?? '', 'cat /data/file; stat -c "%u %a" /data')).toBe(
      'shared\n7 770',
    )
    const full = await daemon.exec(s?.id ?? '', ['sh', '-c', 'head -c 2000000 /dev/zero >/data/x'])
    expect(full.stderr).toContain('No space left')
    expect((await daemon.exec(t?.id ?? '', ['sh', '-c', ': >/data/y'])).exitCode).not.toBe(0)
    const table = fs.readFileSync(`/proc/${String(daemon.pid)}/mountinfo`, 'utf8')
    // Older kernels copy only what is attached somewhere: in a directory of the daemon's.
    if (takesDetachedLayers()) expect(table).not.toContain('size=1024k')
    await daemon.sh(s?.id ?? '', 'rm /data/x')
    await daemon.kill()
    await daemon.start()
    await collect(daemon.client.lifecycle(STACK, { action: 'restart', services: ['t'] }))
    expect(await daemon.sh(t?.id ?? '', 'ls /data')).toBe('file')
    await collect(daemon.client.lifecycle(STACK, { action: 'stop' }))
    await collect(daemon.client.lifecycle(STACK, { action: 'start' }))
    expect(await daemon.sh(s?.id ?? '', 'ls /data')).toBe('')
  })

  test.each([
    [{ type: 'nfs', o: 'addr=127.0.0.1', device: ':/x' }, /Cannot mount volume "far": .*nfs/],
    [{ type: 'tmpfs', o: 'size=much' }, /Cannot mount volume "far": .*size=much.*Bad value/],
    [{ type: 'ext4', device: '/dev/sda' }, /file systems of type "ext4" are not mounted/],
    [{ type: 'none', o: 'bind', device: '/no/such' }, /its device "\/no\/such" does not exist/],
    [{ type: 'none', o: 'bind', device: 'relative' }, /"relative" is not an absolute path/],
    [{ size: '1m' }, /driver option "size" is not known/],
  ])('%j fails with what is wrong', async (driver_opts, message) => {
    const failure = await failureOf(
      start({ volumes: [DATA] }, { data: { name: 'far', driver_opts } }),
    )
    expect(failure.message).toMatch(message)
  })
})

describe('mounts', () => {
  test('subpath shows a part, and a symlink that leads out of the volume is refused', async () => {
    const volumes = { data: { name: 'parts' } }
    const first = await start({ volumes: [DATA] }, volumes)
    await daemon.sh(first, 'mkdir -p /data/a/b && echo x >/data/a/b/file && ln -s / /data/out')
    const part = (subpath: string): Service => ({
      volumes: [{ ...DATA, target: '/part', volume: { subpath } }],
    })
    expect(await daemon.sh(await start(part('a/b'), volumes), 'cat /part/file')).toBe('x')
    for (const subpath of ['out/etc', '../..', 'missing'])
      expect((await failureOf(start(part(subpath), volumes))).message).toContain('plain path')
  })

  test('a new volume has what the image has there, unless nocopy', async () => {
    const image = 'host:sh,coreutils,grep'
    const usr: ServiceVolume = { type: 'volume', source: 'data', target: '/usr' }
    const volumes = { data: { name: 'seeded' } }
    const copied = await start({ image, volumes: [{ ...usr, target: '/etc' }] }, volumes)
    expect(await daemon.sh(copied, 'ls /etc')).toContain('passwd')
    await daemon.down(STACK, { volumes: true })
    const none = { ...usr, target: '/etc', volume: { nocopy: true } }
    const empty = await start({ image, volumes: [none] }, volumes)
    expect(await daemon.sh(empty, 'ls /etc')).not.toContain('passwd')
  })

  test('bind: a missing source is made, or refused where it must not be', async () => {
    const source = path.join(daemon.scratch, 'made', 'here')
    const bind: ServiceVolume = { type: 'bind', source, target: '/b', bind: { selinux: 'z' } }
    const refused = { ...bind, bind: { create_host_path: false } }
    expect((await failureOf(start({ volumes: [refused] }))).message).toContain('does not exist')
    await start({ volumes: [bind] })
    expect(fs.statSync(source).isDirectory()).toBe(true)
  })

  test('image: the files of another image, read-only, whole or in part', async () => {
    const whole: ServiceVolume = { type: 'image', source: 'host:grep', target: '/other' }
    const part = { ...whole, target: '/part', image: { subpath: 'usr' } }
    const service: ServiceVolume = { type: 'image', source: 's', target: '/self' }
    const id = await start({ image: 'host:sh,coreutils', volumes: [whole, part, service] })
    expect(await daemon.sh(id, 'ls -d /other/usr/bin/grep /part/bin/grep /self/usr')).toContain(
      '/part/bin/grep',
    )
    expect(await daemon.sh(id, 'stat -c %u /other /part')).toBe('0\n0')
    for (const target of ['/other', '/part', '/self'])
      expect((await daemon.exec(id, ['touch', `${target}/x`])).stderr).toContain('Read-only')
    await collect(daemon.client.lifecycle(STACK, { action: 'restart' }))
    expect(await daemon.sh(id, 'ls /part/bin')).toContain('grep')
    const missing = { ...whole, image: { subpath: 'no/such' } }
    expect((await failureOf(start({ volumes: [missing] }))).message).toContain('no such path')
  })
})

describe('x-tsstack.owner', () => {
  const bind = (source: string): ServiceVolume => ({ type: 'bind', source, target: '/work' })

  test.each([{}, { userns_mode: 'host' }])(
    'folder: what root writes belongs to who owns the folder (%j)',
    async (more) => {
      const source = folder('project')
      fs.chownSync(source, 1234, 2345)
      fs.writeFileSync(path.join(source, 'roots'), '', { mode: 0o600 })
      fs.chownSync(path.join(source, 'roots'), 0, 0)
      const service = { volumes: [bind(source)], 'x-tsstack': { owner: 'folder' }, ...more }
      const id = await start(service)
      await daemon.sh(id, 'mkdir /work/build && echo x >/work/build/file')
      const { uid, gid } = fs.statSync(path.join(source, 'build/file'))
      expect([uid, gid]).toEqual([1234, 2345])
      expect(await daemon.sh(id, 'stat -c "%u %g" /work /work/build/file')).toBe('0 0\n0 0')
      // What is the host's root's is nobody's here.
      expect(await daemon.sh(id, 'stat -c %u /work/roots')).toBe('65534')
      expect(
        (await daemon.exec(id, ['rm', '-f', '/work/build/file'], { user: '33' })).exitCode,
      ).not.toBe(0)
      fs.rmSync(source, { recursive: true })
    },
  )

  test('UID:GID: other ids stay as they are', async () => {
    const source = folder('other')
    fs.chmodSync(source, 0o777)
    fs.chownSync(source, 500, 600)
    const id = await start({ volumes: [bind(source)], 'x-tsstack': { owner: '500:600' } })
    await daemon.sh(id, 'echo x >/work/root')
    await daemon.exec(id, ['touch', '/work/www'], { user: '33:33' })
    const ids = ['root', 'www'].map((name) => fs.statSync(path.join(source, name)))
    expect(ids.map(({ uid, gid }) => `${uid}:${gid}`)).toEqual(['500:600', '33:33'])
  })
})
