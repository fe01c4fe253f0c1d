/** Backup and restore of volumes: through the daemon's API, and as a user types it. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { setXattr, getXattr } from '../../src/kernel/file-calls.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { commandLine, jsonOf } from '../e2e/command-line.ts'
import { tarOf } from '../engine/images/tar-archive.ts'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  for (const { name } of await daemon.client.volumes()) await daemon.client.removeVolume(name)
})

async function volume(name: string): Promise<string> {
  await daemon.client.createVolume({ name })
  return (await daemon.client.volume(name)).mountpoint
}

test('what is exported comes back by import: ids, modes, times, links, attributes, odd names', async () => {
  const source = await volume('source')
  const at = (name: string): string => path.join(source, name)
  fs.mkdirSync(at('a/deep'), { recursive: true })
  fs.writeFileSync(at('a/file'), 'x'.repeat(700_000))
  fs.chmodSync(at('a/file'), 0o4711)
  fs.chownSync(at('a/file'), 70_000, 33)
  fs.chmodSync(at('a/file'), 0o4711)
  fs.linkSync(at('a/file'), at('a/same'))
  fs.symlinkSync('/etc/passwd', at('link'))
  fs.writeFileSync(at('.wh.file'), 'no whiteout')
  fs.writeFileSync(at('a/deep/ünï cöde \n'), '')
  setXattr(at('.wh.file'), 'user.note', Buffer.from('kept'))
  fs.utimesSync(at('a'), 1000, 2000)
  execFileSync('mkfifo', [at('fifo')])

  const archive = await buffer(await daemon.client.exportVolume('source'))
  const listed = execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' })
  expect(listed).toContain('a/\na/deep/\n')
  await daemon.client.importVolume('copy', Readable.from([archive]))
  const copy = (await daemon.client.volume('copy')).mountpoint
  const describe = (root: string, name: string): unknown => {
    const { mode, uid, gid, size, mtimeMs, nlink } = fs.lstatSync(path.join(root, name))
    return [name, mode, uid, gid, name === 'a' ? 0 : size, Math.floor(mtimeMs / 1000), nlink]
  }
  const names = [
    'a',
    'a/deep',
    'a/file',
    'a/same',
    'link',
    'fifo',
    '.wh.file',
    'a/deep/ünï cöde \n',
  ]
  expect(names.map((name) => describe(copy, name))).toEqual(
    names.map((name) => describe(source, name)),
  )
  expect(fs.readlinkSync(path.join(copy, 'link'))).toBe('/etc/passwd')
  expect(getXattr(path.join(copy, '.wh.file'), 'user.note')?.toString()).toBe('kept')
  await expect(daemon.client.importVolume('copy', Readable.from([archive]))).rejects.toThrow(
    'Cannot fill volume "copy": it is not empty',
  )
})

test.each([
  ['a name that leaves', [{ path: '../outside', content: 'x' }]],
  ['a device', [{ path: 'disk', type: '4' }]],
  ['a hard link to outside', [{ path: 'l', type: '1', link: '/etc/shadow' }]],
] as const)('a hostile archive is refused whole: %s', async (_, entries) => {
  const archive = tarOf([{ path: 'good', content: 'x' }, ...entries])
  await expect(daemon.client.importVolume('evil', Readable.from([archive]))).rejects.toThrow(
    /Cannot unpack/,
  )
  expect(await daemon.client.volumes()).toEqual([])
  const target = await volume('there')
  await expect(daemon.client.importVolume('there', Readable.from([archive]))).rejects.toThrow()
  expect(fs.readdirSync(path.dirname(target))).toEqual(['_data'])
  expect(fs.readdirSync(target)).toEqual([])
})

test('an archive that ends in the middle is refused, and nothing of it stays', async () => {
  const source = await volume('source')
  fs.writeFileSync(path.join(source, 'file'), 'y'.repeat(100_000))
  const archive = await buffer(await daemon.client.exportVolume('source'))
  const half = Readable.from([archive.subarray(0, 50_000)])
  await expect(daemon.client.importVolume('half', half)).rejects.toThrow()
  expect((await daemon.client.volumes()).map(({ name }) => name)).toEqual(['source'])
})

test('the command line: create, ls, export, import, inspect, rm, prune; networks too', async () => {
  const tsstack = commandLine(daemon, daemon.scratch)
  expect(await tsstack.ok('volume create --label a=b data')).toBe('data')
  const [data] = await daemon.client.volumes()
  fs.writeFileSync(path.join(data?.mountpoint ?? '', 'file'), 'hello')
  expect(await tsstack.ok('volume ls')).toMatch(/^NAME +STACK +SIZE *\ndata .*kB/)
  expect(jsonOf(await tsstack.ok('volume inspect data'))).toMatchObject([
    { name: 'data', labels: { a: 'b' }, containers: [] },
  ])
  const script = 'tsstack() { "$0" "$@"; }; tsstack volume export data | tsstack volume import back'
  const program = path.join(import.meta.dirname, '../../tsstack')
  execFileSync('nsenter', [`--net=${daemon.netns}`, 'sh', '-ec', script, program], {
    env: {
      ...process.env,
      TSSTACK_RUN_DIR: daemon.runDir,
      TSSTACK_STATE_DIR: daemon.stateDir,
      TSSTACK_CGROUP_PARENT: daemon.cgroupParent,
    },
  })
  const back = await daemon.client.volume('back')
  expect(fs.readFileSync(path.join(back.mountpoint, 'file'), 'utf8')).toBe('hello')
  expect((await tsstack.run('volume rm data no-such')).stderr).toContain('"no-such": there is none')
  expect(await tsstack.ok('volume prune -f')).toBe('')
  expect(await tsstack.run('volume prune -a')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('give --force (-f) where nobody can answer') as string,
  })
  expect((await tsstack.run('volume prune -a', { input: 'n\n' })).exitCode).toBe(1)
  expect(await tsstack.ok('volume prune -a', { input: 'y\n' })).toBe('back')
  expect((await tsstack.run('volume lss')).stderr).toContain('did you mean "ls"')

  await tsstack.ok('network create --subnet 10.235.0.0/24 --gateway 10.235.0.7 proxy')
  expect(await tsstack.ok('network ls')).toMatch(/proxy +bridge +10\.235\.0\.0\/24/)
  expect(jsonOf(await tsstack.ok('network inspect proxy'))).toMatchObject([
    { gateways: ['10.235.0.7'] },
  ])
  expect(await tsstack.ok('network rm proxy')).toBe('proxy')
})
