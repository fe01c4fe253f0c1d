/** Clients that do not read what they ask for: each costs little, however much there would be to read. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'chatty'
const CLIENTS = 1000
/** Some 400 are usual; what V8 has not collected yet comes to it. */
const MAX_GROWTH_BYTES = 600 * 1024 * 1024
/** Enough that a daemon which keeps it for each client has no place for it. */
const OUTPUT_BYTES = 12 * 1024 * 1024

let daemon: DaemonFixture
const sockets: Socket[] = []

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await daemon.down(STACK, { volumes: true })
  await daemon.close()
})

function residentBytes(): number {
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

/** Asks, and never reads. */
async function ask(head: string): Promise<void> {
  const socket = connect(daemon.socket)
  socket.on('error', () => undefined) // the daemon lets go of those that are too far behind
  await once(socket, 'connect')
  socket.pause()
  socket.write(`${head}\r\nhost: test\r\n\r\n`)
  sockets.push(socket)
}

function execHead(id: string): string {
  const command = ['sh', '-c', 'while :; do echo 0123456789012345678901234567890123456789; done']
  const request = Buffer.from(JSON.stringify({ command, tty: false, stdin: false }))
  return `POST /v1/containers/${id}/exec HTTP/1.1\r\nconnection: upgrade\r\nupgrade: tsstack\r\nx-tsstack-exec: ${request.toString('base64')}`
}

test(
  '1,000 that do not read grow the daemon by less than 600 MiB',
  { timeout: 300_000 },
  async () => {
    const script = `while [ ! -e /tmp/go ]; do sleep 0.1; done; i=0; while [ $i -lt ${OUTPUT_BYTES / 4096} ]; do i=$((i+1)); printf '%04095d\\n' $i; done; echo > /tmp/done; sleep 1000`
    await daemon.up(STACK, {
      services: {
        s: { image: 'host:sh,coreutils', command: ['sh', '-c', script], network_mode: 'none' },
      },
    })
    const { id } = await daemon.container(STACK, 's')
    await daemon.sh(id, 'echo before')
    const before = residentBytes()
    const heads = [
      `GET /v1/stacks/${STACK}/logs?follow=true HTTP/1.1`,
      `GET /v1/events?follow=true&since=2000-01-01T00:00:00Z HTTP/1.1`,
      `POST /v1/containers/${id}/attach HTTP/1.1\r\nconnection: upgrade\r\nupgrade: tsstack`,
      `GET /v1/stats?stream=true HTTP/1.1`,
    ]
    for (let index = 0; index < CLIENTS; index++)
      await ask(index < 10 ? execHead(id) : (heads[index % heads.length] ?? ''))
    await daemon.sh(id, 'echo > /tmp/go')
    await eventually(
      'all of the output',
      async () => (await daemon.exec(id, ['test', '-e', '/tmp/done'])).exitCode === 0,
      200_000,
    )
    const growth = residentBytes() - before
    expect(growth).toBeLessThan(MAX_GROWTH_BYTES)
    // It still answers, and whoever reads gets everything.
    expect((await daemon.client.containers({ stack: STACK })).length).toBe(1)
    const lines = await daemon.logs(STACK)
    expect(lines.length).toBe(OUTPUT_BYTES / 4096)
    process.stderr.write(`growth with ${CLIENTS} clients: ${Math.round(growth / 1048576)} MiB\n`)
  },
)
