/** `up` with a file that is wrong: says where, and does nothing, not even to what runs already. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { newProject, leftOf, type CommandLine } from './command-line.ts'

const STACK = `name: wrong
services:
  web:
    image: host:sh,coreutils
    command: sleep 1d
    init: true
    networks: [inside]
    volumes:
      - data:/data
networks:
  inside:
volumes:
  data:
`

let daemon: DaemonFixture
let tsstack: CommandLine

beforeAll(async () => {
  daemon = await startDaemonFixture()
  tsstack = newProject(daemon, 'wrong')
})
afterAll(() => daemon.close())

function write(from = '', to = ''): void {
  writeFileSync(path.join(tsstack.directory, 'stack.yaml'), STACK)
  tsstack.edit('stack.yaml', from, to)
}

const MISTAKES = [
  ['text that is no YAML', 'inside]', 'inside', 'stack.yaml:8:5: YAML syntax'],
  ['a field that nobody knows', 'command:', 'comand:', 'stack.yaml:5:5: services.web.comand'],
  ['a value of the wrong kind', 'true', 'perhaps', 'stack.yaml:6:11: '],
  ['a network that is not there', '[inside]', '[outside]', 'stack.yaml:7:16: '],
  ['a volume that is not there', '- data', '- date', 'stack.yaml:9:9: '],
] as const

test.each(MISTAKES)(
  'up refuses %s with its place, and leaves nothing',
  async (_, from, to, place) => {
    write(from, to)
    const { exitCode, stdout, stderr } = await tsstack.run('up -d')
    expect(stderr).toContain(`${tsstack.directory}/${place}`)
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(await leftOf(daemon)).toEqual([])
  },
)

test('up leaves nothing when an image can not be had', async () => {
  write('coreutils', 'no-such-program')
  const { exitCode, stderr } = await tsstack.run('up -d')
  expect(stderr).toContain('Cannot start service "web"')
  expect(stderr).toContain('"no-such-program"')
  expect(exitCode).toBe(1)
  expect(await leftOf(daemon)).toEqual([])
})

test('what runs already goes on when the file becomes wrong', async () => {
  write()
  await tsstack.ok('up -d')
  const before = await tsstack.ids()
  expect(before).toHaveLength(1)

  write('command:', 'comand:')
  expect(await tsstack.run('up -d')).toMatchObject({ exitCode: 1 })
  expect(await tsstack.run('plan')).toMatchObject({ exitCode: 1 })
  write()
  expect(await tsstack.ids()).toEqual(before)
  expect(await tsstack.run('plan')).toMatchObject({ exitCode: 0 })

  await tsstack.ok('down -v')
  expect(await leftOf(daemon)).toEqual([])
})
