/** The files of containers, as a user works with them: diff, export. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { commandLine, type CommandLine } from './command-line.ts'

const isRoot = process.getuid?.() === 0
const scenario = test.skipIf(!isRoot)

let daemon: DaemonFixture
let tsstack: CommandLine

const STACK = `
name: files
services:
  app:
    image: host:sh,coreutils,sleep
    command: [sh, -c, 'echo mine > /etc/motd; mkdir /new; echo x > /new/file; chown 33:44 /new/file; rm /bin/sync; exec sleep 3600']
    stop_signal: SIGKILL
    volumes: [data:/data, ./project:/project]
volumes:
  data:
`

beforeAll(async () => {
  if (!isRoot) return
  daemon = await startDaemonFixture()
  const directory = path.join(daemon.scratch, 'files')
  mkdirSync(path.join(directory, 'project'), { recursive: true })
  writeFileSync(path.join(directory, 'stack.yaml'), STACK)
  tsstack = commandLine(daemon, directory)
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
