/** One container from nothing to its program's first instruction, in an engine that runs; beside the kernel's own floor. */
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../statistics.ts'
import { idleServices } from '../stack-files.ts'
import { serviceOf, withStack, type Measurement } from './measurement.ts'

const CONTAINERS = 20
const LIMITS = { mem_limit: '256m', cpus: 1, pids_limit: 100 }
/** The kernel takes network namespaces down later, and holds up whoever makes one meanwhile. */
const SETTLE_MS = 1000

export const boot: Measurement = {
  id: 'boot',
  rounds: 5,
  rows: [
    {
      id: 'boot',
      title: 'start of one container, asked for at the socket',
      unit: 'ms',
      goal: {
        text: 'at most 2 × the floor',
        isReached: (ours, { floor = Number.NaN }) => ours <= 2 * floor,
      },
    },
  ],
  measure: async ({ kill, start, ...engine }) => {
    if (kill === undefined || start === undefined) return undefined
    const stack = { project: 'boot', services: idleServices(CONTAINERS, LIMITS) }
    return withStack(engine, stack, async (place) => {
      const containers = Object.keys(stack.services).map((name) => serviceOf(place, name))
      await Promise.all(containers.map((container) => kill(container)))
      await sleep(SETTLE_MS)
      const times: number[] = []
      for (const container of containers) {
        const startedAt = performance.now()
        await start(container)
        times.push(performance.now() - startedAt)
      }
      return { boot: quantile(times, 0.5) }
    })
  },
}
