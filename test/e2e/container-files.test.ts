/** The files of containers, as a user works with them: diff, export, cp. */
import { execFileSync } from 'node:child_process'
import {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tarOf } from '../engine/images/tar-archive.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, type CommandLine } from './command-line.ts'

const isRoot = process.getuid?.() === 0
const scenario = test.skipIf(!isRoot)

let daemon: DaemonFixture
let tsstack: CommandLine

const STACK = `
name: files
services:
  app:
    image: host:sh,coreutils
    command: [sh, -c, 'echo mine > /etc/motd; mkdir /new; echo x > /new/file; chown 33:44 /new/file; rm /bin/sync; exec sleep 3600']
    stop_signal: SIGKILL
    volumes: [data:/data, ./project:/project]
  locked:
    image: host:sh,coreutils
    read_only: true
    command: [sleep, '3600']
    stop_signal: SIGKILL
    volumes: [data:/data, 'data:/nested/given:ro']
volumes:
  data:
`

beforeAll(async () => {
  if (!isRoot) return
  daemon = await startDaemonFixture()
  tsstack = newProject(daemon, 'files', { 'stack.yaml': STACK })
  mkdirSync(path.join(tsstack.directory, 'project'))
  await tsstack.ok('up -d')
  await tsstack.ok(['exec', 'app', 'sh', '-c', 'until [ -s /new/file ]; do :; done'])
})

afterAll(async () => {
  if (isRoot) await daemon.close()
})

scenario('diff tells what a container has changed, running or not', async () => {
  const running = await tsstack.ok('diff app')
  const lines = running.split('\n')
  for (const line of ['C /etc', 'A /etc/motd', 'A /new', 'A /new/file', 'A /data', 'A /project'])
    expect(lines).toContain(line)
  expect(lines.filter((line) => line.startsWith('D '))).toEqual([
    expect.stringMatching(/bin\/sync$/),
  ])
  expect(running).not.toMatch(/hosts|resolv|\/proc|\/dev/)
  const json = JSON.parse(await tsstack.ok('diff files-app-1 --format json')) as unknown[]
  expect(json).toContainEqual({ kind: 'added', path: '/new/file' })
  expect(json).toHaveLength(lines.length)
  await tsstack.ok('stop')
  expect(await tsstack.ok('diff app')).toBe(running)
  expect((await tsstack.run('diff nothing')).stderr).toContain('Cannot find container "nothing"')
  await tsstack.ok('start')
})

scenario('export gives the whole root with the ids of the container, and no mount', async () => {
  writeFileSync(path.join(tsstack.directory, 'project/secret'), 'of the host')
  const list = (): string[] => {
    const verbose = execFileSync('tar', ['-tvf', path.join(tsstack.directory, 'out.tar')])
    return verbose.toString().trim().split('\n')
  }
  for (const state of ['running', 'stopped']) {
    await tsstack.ok('export -o out.tar app')
    const lines = list()
    const line = (name: string): string | undefined =>
      lines.find((text) => text.endsWith(` ${name}`))
    expect(line('new/file'), state).toMatch(/^-rw-r--r-- 33\/44 +2 /)
    expect(line('etc/hosts')).toMatch(/ 0\/0 +0 /)
    expect(line('data/')).toMatch(/^d/)
    expect(lines.join('\n')).not.toContain('secret')
    expect(
      lines.filter((text) => /^\S+ \S+ +\d+ \S+ \S+ (proc|sys|dev)\/./.test(text)).length,
      state,
    ).toBeLessThan(8)
    if (state === 'running') await tsstack.ok('stop')
  }
  await tsstack.ok('start') // nothing holds it
})

const local = (name: string): string => path.join(tsstack.directory, name)
const inside = (script: string): Promise<string> => tsstack.ok(['exec', 'app', 'sh', '-c', script])

scenario('cp follows the rules of docker cp, into a container and out of it', async () => {
  mkdirSync(local('tree/sub'), { recursive: true })
  writeFileSync(local('tree/sub/file'), 'content')
  writeFileSync(local('tree/run'), '#!', { mode: 0o750 })
  chownSync(local('tree/run'), 33, 44)
  symlinkSync('run', local('tree/link'))
  const refused = async (words: string, why: string): Promise<void> => {
    const { exitCode, stderr } = await tsstack.run(words)
    expect(exitCode, words).toBe(1)
    expect(stderr).toContain(why)
  }
  await inside('mkdir -p /c/there; echo old > /c/file')

  await tsstack.ok('cp tree app:/c/there') // a directory into one that exists: by its name
  await tsstack.ok('cp tree/. app:/c/there') // its contents
  await tsstack.ok('cp tree app:/c/made') // one that does not exist becomes it
  await tsstack.ok('cp tree/run app:/c/file') // a file replaces a file
  await tsstack.ok('cp tree/run app:c/there/')
  await tsstack.ok('cp -a tree/run app:/c/owned')
  await tsstack.ok('cp -L tree/link app:/c/followed')
  expect(await inside('cat /c/there/tree/sub/file /c/there/sub/file /c/made/sub/file')).toBe(
    'content'.repeat(3),
  )
  expect(
    await inside('stat -c "%a %u:%g %F" /c/made/run /c/owned /c/file /c/made/link /c/followed'),
  ).toBe(
    [
      ...['750 0:0 regular file', '750 33:44 regular file', '750 0:0 regular file'],
      ...['777 0:0 symbolic link', '750 0:0 regular file'],
    ].join('\n'),
  )
  await refused('cp tree app:/c/file', 'the destination a file')
  await refused('cp tree/run app:/c/none/', 'must be a directory that exists')
  await refused('cp tree/run app:/none/at/all', 'no such directory')
  await refused('cp nothing app:/c', 'no such file')
  await refused('cp app:/nothing .', 'no such file')
  await refused('cp app:/c app:/d', 'copy to this host first')

  await tsstack.ok('cp app:/c/made back')
  expect(readFileSync(local('back/sub/file'), 'utf8')).toBe('content')
  expect(statSync(local('back/run'))).toMatchObject({ uid: 0, mode: 0o100750 })
  mkdirSync(local('into'))
  await tsstack.ok('cp app:/c/made into')
  await tsstack.ok('cp app:/c/made/. into')
  expect(readdirSync(local('into')).sort()).toEqual(['link', 'made', 'run', 'sub'])
  await tsstack.ok('cp -a app:/c/owned into/owned')
  expect(statSync(local('into/owned'))).toMatchObject({ uid: 33, gid: 44 })
  await tsstack.ok('cp app:/etc/motd into/renamed')
  expect(readFileSync(local('into/renamed'), 'utf8')).toBe('mine\n')
})

/** A read-only root stays as it is, running or not; a volume in it can be written, unless it is read-only too. */
async function refuseLocked(): Promise<void> {
  await tsstack.ok('cp one locked:/data/locked')
  for (const place of ['/usr/one', '/nested/given/one']) {
    const { exitCode, stderr } = await tsstack.run(`cp one locked:${place}`)
    expect(exitCode, place).toBe(1)
    expect(stderr).toContain('the file system is read-only')
  }
}

scenario('cp reaches volumes and binds, streams, and containers that are stopped', async () => {
  writeFileSync(local('one'), 'one')
  await tsstack.ok('cp one app:/data/one')
  await tsstack.ok('cp one app:/project/two')
  expect(readFileSync(local('project/two'), 'utf8')).toBe('one')
  expect(statSync(local('project/two')).uid).toBe(0)
  expect(await inside('cat /data/one; stat -c %u /data/one /project/two')).toBe('one0\n0')
  const stream = execFileSync('tar', ['-cf', '-', '-C', tsstack.directory, 'one'])
  await tsstack.ok('cp - app:/c', { input: stream.toString('latin1') })
  expect(await inside('cat /c/one')).toBe('one')
  await tsstack.ok('stop')
  await tsstack.ok('cp one app:/c/while-stopped')
  await tsstack.ok('cp app:/c/while-stopped got')
  expect(readFileSync(local('got'), 'utf8')).toBe('one')
  await tsstack.ok('cp one app:/data/while-stopped')
  await tsstack.ok('cp one app:/project/while-stopped')
  expect(readFileSync(local('project/while-stopped'), 'utf8')).toBe('one')
  await tsstack.ok('cp app:/data/. volume')
  expect(readdirSync(local('volume')).sort()).toEqual(['one', 'while-stopped'])
  await refuseLocked()
  await tsstack.ok('start')
  await refuseLocked()
  expect(await inside('stat -c %u:%g /data/while-stopped /project/while-stopped')).toBe('0:0\n0:0')
  expect(await inside('stat -c %u:%g /c/while-stopped')).toBe('0:0')
})

/** All that a request gives, or '' where it failed: a link is no directory. */
async function textOf(archive: Promise<Readable>): Promise<string> {
  const parts: Buffer[] = []
  try {
    for await (const chunk of await archive) parts.push(chunk as Buffer)
  } catch {
    // what has come counts
  }
  return Buffer.concat(parts).toString('latin1')
}

interface RaidTarget {
  readonly id: string
  readonly directory: string
}

/** Copies into what is being swapped and out of it. @returns how often it met the link */
async function raid({ id, directory }: RaidTarget, archive: Buffer): Promise<number> {
  const { client } = daemon
  const target = { path: directory, keepIds: false }
  await client.copyInto(id, target, Readable.from([archive])).catch(() => undefined)
  const read = { path: `${directory}/d`, follow: false, name: 'd' }
  const plain = await textOf(client.copyFrom(id, read))
  const key = { ...read, path: `${directory}/d/key`, follow: true }
  expect(plain + (await textOf(client.copyFrom(id, key)))).not.toContain('of the host')
  return plain.includes('mine') ? 0 : 1
}

scenario(
  'no request leaves a container that swaps its directories for links meanwhile',
  async () => {
    const { client } = daemon
    const canary = local('canary')
    mkdirSync(path.join(canary, 'd'), { recursive: true })
    for (const name of ['key', 'd/key']) writeFileSync(path.join(canary, name), 'of the host')
    const many = tarOf([
      { path: 'd', type: '5', mode: 0o755 },
      ...Array.from({ length: 15 }, (_, index) => ({
        path: `d/f${String(index)}`,
        content: 'mine',
      })),
    ])
    // The volume is that of a container, too, which does not run: its paths lead through it.
    const swap = `for at in /w /data; do mkdir -p $at/d; echo mine > $at/d/key; done
    while :; do for at in /w /data; do cd $at
      mv d aside; ln -s ${canary}/d d; rm d; mv aside d; done; done`
    await tsstack.ok('stop locked')
    const attacker = tsstack.start(['exec', '-T', 'app', 'sh', '-c', swap])
    const [app, locked] = await Promise.all(
      ['app', 'locked'].map((service) => daemon.container('files', service)),
    )
    const targets = [
      { id: app?.id ?? '', directory: '/w' },
      { id: locked?.id ?? '', directory: '/data' },
    ]
    let swaps = 0
    try {
      for (let round = 0; round < 12; round++) {
        for (const target of targets) swaps += await raid(target, many)
        if (round % 6 > 0) continue
        expect(await textOf(client.exportContainer(app?.id ?? ''))).not.toContain('of the host')
        await client.changes(app?.id ?? '')
      }
      const { id } = await client.commit(app?.id ?? '', { changes: [], pause: false })
      expect(await textOf(client.saveImages([id]))).not.toContain('of the host')
      await client.removeImages({ images: [id] })
    } finally {
      await tsstack.run('kill app')
      await attacker.exitCode
    }
    expect(swaps).toBeGreaterThan(0)
    expect(readdirSync(canary).sort()).toEqual(['d', 'key'])
    expect(readdirSync(path.join(canary, 'd'))).toEqual(['key'])
    expect(statSync(path.join(canary, 'd'))).toMatchObject({ uid: 0, mode: 0o40755 })
    // As a user does it: nothing of the archive leaves the directory on this host either.
    await tsstack.ok('cp app:/w/. stolen')
    // It was killed somewhere between two renames.
    expect(['aside', 'd']).toEqual(expect.arrayContaining(readdirSync(local('stolen'))))
  },
)

scenario('commit makes an image of the changes, and a service runs it', async () => {
  const id = await tsstack.ok([
    ...['commit', '-m', 'patched', '-c', 'ENV COLOUR=red', '-c', 'CMD ["cat", "/etc/motd"]'],
    ...['app', 'local/patched:1'],
  ])
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
  const other = newProject(daemon, 'patched', {
    'stack.yaml': 'services: { again: { image: "local/patched:1", pull_policy: never } }\n',
  })
  const script =
    'cat /etc/motd /new/file; stat -c %u:%g /new/file; echo $COLOUR; ls /bin/sync /data'
  const { stdout } = await other.run(['run', '--rm', '-T', 'again', 'sh', '-c', script])
  expect(stdout.split('\n').slice(0, 4)).toEqual(['mine', 'x', '33:44', 'red'])
  expect(stdout).not.toContain('/bin/sync')
  expect(await other.ok('run --rm -T again')).toBe('mine')
  expect(await tsstack.ok('image history local/patched:1')).toContain('patched')
  const wrong = await tsstack.run(['commit', '-c', 'RUN true', 'app', 'local/wrong:1'])
  expect(wrong.stderr).toContain("RUN can't be a change")
  await other.ok('down')
})

scenario(
  'image import makes an image of an exported container, and changes what it runs',
  async () => {
    const tree = path.join(tsstack.directory, 'tree.tar')
    await tsstack.ok(`export -o ${tree} app`)
    const command = ['image', 'import', '-c', 'ENV COLOUR=blue', '-c', 'CMD ["cat", "/etc/motd"]']
    const id = await tsstack.ok([...command, tree, 'local/imported:1'])
    expect(await tsstack.ok([...command, tree, 'local/imported:1'])).toBe(id)
    const details = await tsstack.ok('image inspect local/imported:1')
    expect(details).toContain('COLOUR=blue')
    const other = newProject(daemon, 'imported', {
      'stack.yaml': 'services: { again: { image: "local/imported:1", pull_policy: never } }\n',
    })
    expect(await other.ok('run --rm -T again')).toBe('mine')
    const wrong = await tsstack.run(['image', 'import', '-c', 'COPY . .', tree, 'local/wrong:1'])
    expect(wrong.stderr).toContain("COPY can't be a change")
    expect((await tsstack.run('image inspect local/wrong:1')).exitCode).toBe(1)
    await other.ok('down')
  },
)
