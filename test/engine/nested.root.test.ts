/** An engine inside a container of the engine: `privileged`, and a volume for its state. */
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'

const CHECKOUT = path.join(import.meta.dirname, '../..')
const NODE = path.dirname(process.execPath)
const INNER = `
name: inner
services:
  web:
    image: host:sh,coreutils
    command: [sh, -c, 'echo from inside; exec sleep infinity']
    init: true
    mem_limit: 64m
  other:
    image: host:sh,coreutils,getent
    command: [sleep, infinity]
    init: true
`

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

test('a stack runs in a container: names, limits, logs, and nothing is left', async () => {
  const bind = (source: string) =>
    ({ type: 'bind', source, target: source, read_only: true }) as const
  const outer = {
    image: 'host:sh,coreutils,find,grep,sed,getent',
    command: ['sleep', 'infinity'],
    init: true,
    privileged: true,
    networks: { default: null },
    volumes: [
      bind(CHECKOUT),
      ...(NODE.startsWith(CHECKOUT) ? [] : [bind(NODE)]),
      { type: 'volume', target: '/var/lib/tsstack' } as const,
    ],
  }
  await daemon.up('outer', {
    services: { outer: { ...outer, image: `${outer.image},${process.execPath}` } },
    networks: { default: { name: 'outer_default' } },
  })
  const { id } = await daemon.container('outer', 'outer')
  const environment = { PATH: `${NODE}:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: '/root' }
  const inside = async (words: string): Promise<string> => {
    const command = ['sh', '-c', `cd /tmp && ${path.join(CHECKOUT, 'tsstack')} ${words} 2>&1`]
    const { exitCode, stdout } = await daemon.exec(id, command, { environment })
    expect([words, exitCode, stdout]).toEqual([words, 0, stdout])
    return stdout
  }
  await daemon.exec(id, ['sh', '-c', 'cat >/tmp/stack.yaml'], { input: INNER })

  await inside('up -d')
  expect(await inside('logs web')).toContain('from inside')
  expect(await inside('exec other getent hosts web')).toMatch(/web$/m)
  expect(await inside('stats --no-stream web')).toContain('/ 64MiB')
  await inside('down -v')
  await inside('daemon stop')
  expect(await daemon.sh(id, 'find /sys/fs/cgroup -name "inner*"')).toBe('')
  await daemon.down('outer', { volumes: true })
})
