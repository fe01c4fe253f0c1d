/** How long a container is away whose process was killed from outside: by SIGKILL to its first process, not through an API. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { idleServices } from '../stack-files.ts'
import { quantile } from '../statistics.ts'
import { timesBetterThan, withStack, type Measurement } from './measurement.ts'

const CONTAINERS = 20
/** No other process of the machine sleeps for this many seconds. */
const SECONDS = '2718281'
/** Engines back off from containers that end soon after their start. */
const SETTLE_MS = 11_000
const POLL_MS = 1
const GIVE_UP_MS = 30_000

export const repair: Measurement = {
  id: 'repair',
  rounds: 3,
  rows: [
    {
      id: 'repair',
      title: 'a killed process to its successor, `restart: always`',
      unit: 'ms',
      goal: timesBetterThan('best', 2),
    },
  ],
  measure: (engine) => {
    const services = idleServices(CONTAINERS, {
      command: ['sleep', SECONDS],
      restart: 'always',
    })
    return withStack(engine, { project: 'repair', services }, async () => {
      await sleep(SETTLE_MS)
      const times: number[] = []
      for (const pid of sleepers(new Set())) times.push(await timeToSuccessor(pid))
      if (times.length !== CONTAINERS)
        throw new Error(`${String(times.length)} of ${String(CONTAINERS)} processes were found`)
      return { repair: quantile(times, 0.5) }
    })
  },
}

async function timeToSuccessor(pid: number): Promise<number> {
  const before = new Set(allProcesses())
  const start = performance.now()
  process.kill(pid, 'SIGKILL')
  while (sleepers(before).length === 0) {
    if (performance.now() - start > GIVE_UP_MS) throw new Error('nothing started it again')
    await sleep(POLL_MS)
  }
  return performance.now() - start
}

function allProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** First processes of the containers, but for those that are known. */
function sleepers(known: ReadonlySet<number>): number[] {
  return allProcesses().filter(
    (pid) => !known.has(pid) && commandOf(pid).endsWith(`sleep\0${SECONDS}\0`),
  )
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/cmdline`, 'latin1')
  } catch {
    return '' // it has just ended
  }
}
