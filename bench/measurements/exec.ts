/** A program in a running container: what a person waits, and what it costs the machine. */
import type { Engine, ServicePlace } from '../engines/engine.ts'
import { idleServices } from '../stack-files.ts'
import { quantile } from '../statistics.ts'
import {
  serviceOf,
  timesBetterThan,
  withStack,
  type Measurement,
  type Values,
} from './measurement.ts'

const TYPED = 5
const ASKED = 50
const COMMAND = ['true']

async function typed(engine: Engine, place: ServicePlace): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < TYPED; index++)
    times.push((await engine.sandbox.run(engine.exec(place, COMMAND))).wallMs)
  return quantile(times, 0.5)
}

async function asked(engine: Engine, place: ServicePlace): Promise<Values> {
  const { execByApi } = engine
  if (execByApi === undefined) return {}
  await execByApi(place, COMMAND)
  const [cpuBefore, times] = [engine.sandbox.cpuMs(), [] as number[]]
  for (let index = 0; index < ASKED; index++) {
    const startedAt = performance.now()
    await execByApi(place, COMMAND)
    times.push(performance.now() - startedAt)
  }
  return {
    'exec-api': quantile(times, 0.5),
    'exec-cpu': (engine.sandbox.cpuMs() - cpuBefore) / ASKED,
  }
}

export const exec: Measurement = {
  id: 'exec',
  rounds: 5,
  rows: [
    {
      id: 'exec',
      title: '`exec … true`, typed',
      unit: 'ms',
      goal: timesBetterThan('best', 1),
    },
    {
      id: 'exec-api',
      title: 'exec of `true`, asked for at the socket',
      unit: 'ms',
      goal: timesBetterThan('docker', 10),
    },
    {
      id: 'exec-cpu',
      title: 'CPU of that, engine and program',
      unit: 'ms',
      goal: timesBetterThan('docker', 20),
    },
  ],
  measure: async (engine) =>
    withStack(engine, { project: 'exec', services: idleServices(1) }, async (stack) => {
      const place = serviceOf(stack, 's1')
      return { exec: await typed(engine, place), ...(await asked(engine, place)) }
    }),
}
