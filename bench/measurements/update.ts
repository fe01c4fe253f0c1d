/** What an update costs those who use the service meanwhile, by tens of thousands of requests. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchService } from '../stack-files.ts'
import { parseWrk } from '../wrk-report.ts'
import { placeOf, withStack, type Measurement } from './measurement.ts'

const PORT = 15202
const SECONDS = 20
const CONNECTIONS = 50
const REQUESTS = 20_000
const BEFORE_MS = 2000

/** Answers with its version. Docker Compose passes over `update_config`. */
function server(version: number): BenchService {
  const script = `echo ${String(version)} >/tmp/index.html; exec httpd -f -p 8080 -h /tmp`
  return {
    command: ['sh', '-c', script],
    ports: [`127.0.0.1:${String(PORT)}:8080`],
    deploy: { update_config: { order: 'start-first' } },
  }
}

export const update: Measurement = {
  id: 'update',
  rounds: 3,
  rows: [
    {
      id: 'update-failures',
      title: `Failed requests while a published service is replaced, ${String(CONNECTIONS)} connections`,
      unit: '',
      goal: { text: 'none', isReached: (ours) => ours === 0 },
    },
    {
      id: 'update-requests',
      title: 'of so many requests',
      unit: '',
      isRate: true,
      goal: { text: `at least ${String(REQUESTS)}`, isReached: (ours) => ours >= REQUESTS },
    },
  ],
  measure: async (engine) => {
    if (!existsSync('/usr/bin/wrk')) return undefined
    const project = 'update'
    return withStack(engine, { project, services: { server: server(1) } }, async () => {
      const url = `http://127.0.0.1:${String(PORT)}/`
      const wrk = [
        '/usr/bin/wrk',
        '-t',
        '2',
        '-c',
        String(CONNECTIONS),
        '-d',
        `${String(SECONDS)}s`,
        '--timeout', // slow is not failed
        `${String(SECONDS)}s`,
      ]
      const load = engine.sandbox.run([...wrk, url])
      await sleep(BEFORE_MS)
      const next = placeOf(engine, { project, services: { server: server(2) } })
      await engine.sandbox.run(engine.up(next))
      const { failures, requests } = parseWrk((await load).output)
      return { 'update-failures': failures, 'update-requests': requests }
    })
  },
}
