/**
 * How long a container is away whose process was killed from outside: by SIGKILL to its first process, not through an API.
 * And how long it is cut off whose interface somebody deleted: the others never connect it again.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from '../engines/engine.ts'
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
const GOAL_MS = 100

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
    {
      id: 'repair-interface',
      title: 'a deleted interface to its successor',
      unit: 'ms',
      goal: { text: `under ${String(GOAL_MS)} ms`, isReached: (ours) => ours < GOAL_MS },
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
      const median = { repair: quantile(times, 0.5) }
      if (engine.id !== 'tsstack') return median
      const cut: number[] = []
      for (const name of pairsOf(engine)) cut.push(await timeToInterface(engine, name))
      return { ...median, 'repair-interface': quantile(cut, 0.5) }
    })
  },
}

/** From the moment at which it is not there any more; the pair that comes has its name. */
async function timeToInterface(engine: Engine, name: string): Promise<number> {
  const isThere = (): boolean => pairsOf(engine).includes(name)
  const gone = engine.sandbox.run(['ip', 'link', 'delete', name])
  while (isThere()) await setImmediate()
  const start = performance.now()
  while (!isThere()) {
    if (performance.now() - start > GIVE_UP_MS) throw new Error('nothing connected it again')
    await setImmediate()
  }
  const timeMs = performance.now() - start
  await gone
  return timeMs
}

/** Host's ends of the containers' pairs. */
function pairsOf({ sandbox }: Engine): string[] {
  const text = readFileSync(`/proc/${String(sandbox.first)}/net/dev`, 'utf8')
  return [...text.matchAll(/^\s*(tsv\w+):/gm)].map(([, name = '']) => name)
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
