/** What health checks cost: twenty containers with a check a second, less the same twenty without. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from '../engines/engine.ts'
import { idleServices } from '../stack-files.ts'
import { serviceOf, timesBetterThan, withStack, type Measurement } from './measurement.ts'

const CONTAINERS = 20
const WINDOW_MS = 8000
/** The first checks, and what `up` leaves to do. */
const SETTLE_MS = 2500
const HEALTHCHECK = { test: ['CMD', 'tick'], interval: '1s' }

async function ticksOf(engine: Engine, container: Parameters<Engine['exec']>[0]): Promise<number> {
  const { output } = await engine.sandbox.run(engine.exec(container, ['wc', '-c', '/ticks']))
  return parseInt(output, 10)
}

/** CPU milliseconds in the window, and how many checks ran in one container meanwhile. */
async function watch(
  engine: Engine,
  healthcheck: typeof HEALTHCHECK | undefined,
): Promise<{ cpuMs: number; checks: number }> {
  const services = idleServices(CONTAINERS, healthcheck === undefined ? {} : { healthcheck })
  return withStack(engine, { project: 'health', services }, async (place) => {
    await sleep(SETTLE_MS)
    const one = serviceOf(place, 's1')
    const ticksBefore = healthcheck === undefined ? 0 : await ticksOf(engine, one)
    const cpuBefore = engine.sandbox.cpuMs()
    await sleep(WINDOW_MS)
    const cpuMs = engine.sandbox.cpuMs() - cpuBefore
    const checks = healthcheck === undefined ? 0 : (await ticksOf(engine, one)) - ticksBefore
    return { cpuMs, checks }
  })
}

export const health: Measurement = {
  id: 'health',
  rounds: 3,
  rows: [
    {
      id: 'health',
      title: 'CPU of one health check (20 containers, each second)',
      unit: 'ms',
      goal: timesBetterThan('docker', 20),
    },
    { id: 'idle', title: 'CPU a second of 20 idle containers', unit: 'ms' },
  ],
  measure: async (engine) => {
    const without = await watch(engine, undefined)
    const idle = without.cpuMs / (WINDOW_MS / 1000)
    if (!engine.hasHealthChecks) return { idle }
    const { cpuMs, checks } = await watch(engine, HEALTHCHECK)
    return { health: (cpuMs - without.cpuMs) / (checks * CONTAINERS), idle }
  },
}
