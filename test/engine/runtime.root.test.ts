/** `runtime: crun`: a container that an OCI runtime of the host starts, and what it has from the engine all the same. */
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { collect, failureOf, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'external'
const SERVICE: Service = {
  image: 'host:sh,coreutils,grep,getent',
  runtime: 'crun',
  networks: { default: null },
  command: ['sh', '-c', "echo up; trap 'exit 7' TERM; while :; do sleep 0.05; done"],
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

async function start(more: Service = {}): Promise<string> {
  const services = { s: { ...SERVICE, ...more }, peer: { ...SERVICE, runtime: 'runc' } }
  await daemon.up(STACK, { services, networks: { default: { name: 'external_default' } } })
  return (await daemon.container(STACK, 's')).id
}

test('it is isolated, connected and limited as any other', async () => {
  const id = await start({
    mem_limit: '64m',
    environment: { WHO: 'me' },
    user: '1000:1000',
    cap_drop: ['ALL'],
    sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
    tmpfs: ['/scratch'],
  })
  const peer = await daemon.container(STACK, 'peer')
  const first = (file: string): Promise<string> => daemon.sh(id, `cat /proc/1/${file}`)
  expect((await first('environ')).split('\0')).toContain('WHO=me')
  const status = await first('status')
  for (const line of [/Seccomp:\t2/, /CapBnd:\t0{16}/, /Uid:\t1000/, /NSpid:\t1$/m])
    expect(status).toMatch(line)
  expect(await daemon.sh(id, 'getent hosts peer; getent hosts s')).toMatch(/ peer\n.* s/)
  expect(await daemon.sh(id, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('80')
  expect(
    await daemon.sh(id, 'stat -f -c %T /scratch; hostname 2>/dev/null || cat /etc/hostname'),
  ).toBe(`tmpfs\n${id.slice(0, 12)}`)
  // The same mounts of the kernel's files, hidden and read-only as there.
  expect((await daemon.exec(id, ['sh', '-c', ': >/proc/sys/kernel/hostname'])).exitCode).not.toBe(0)
  expect(await daemon.sh(id, 'cat /proc/kcore | head -c 1 | wc -c')).toBe('0')
  const limit = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>&1'
  expect((await daemon.exec(id, ['sh', '-c', limit])).stdout).toContain('67108864')
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(id)
  expect((await daemon.container(STACK, 'peer')).id).toBe(peer.id)
})

test('its output, its exit code, a restart and a crash of the daemon', async () => {
  const id = await start()
  await eventually('its output', async () => (await daemon.logs(STACK)).includes('up'))
  await daemon.kill()
  await daemon.start()
  expect((await daemon.container(STACK, 's')).state).toBe('running')
  await collect(daemon.client.lifecycle(STACK, { action: 'stop', services: ['s'] }))
  expect(await daemon.container(STACK, 's')).toMatchObject({ id, state: 'exited' })
  await collect(daemon.client.lifecycle(STACK, { action: 'start', services: ['s'] }))
  await collect(daemon.client.lifecycle(STACK, { action: 'stop', services: ['s'] }))
  expect(await daemon.container(STACK, 's')).toMatchObject({ state: 'exited', exitCode: 7 })
})

test.each<[Service, string]>([
  [{ command: ['no-such-program'] }, 'Cannot execute "no-such-program": it is not in the image'],
  [{ tty: true }, `Cannot start service "s" by crun: "tty" is the engine's own`],
  [{ runtime: '/tmp/evil' }, 'there is no such runtime'],
])('%j is refused', async (more, message) => {
  expect((await failureOf(start(more))).message).toContain(message)
})
