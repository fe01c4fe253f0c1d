import type { Context } from '../context.ts'
import { containersOf } from '../observe.ts'
import type { ContainerRecord } from '../records.ts'
import { stopContainer } from '../stop-container.ts'
import type { FoundDrift } from './drift.ts'
import { hasEnded, interventionsOf, setOverrides, withoutStop } from './interventions.ts'

/** What was done by hand and is over, and what was asked for and not done: a `stop` that was cut short. */
export function findOverrideDrift(context: Context, stack: string): FoundDrift[] {
  const { services } = interventionsOf(context.interventions, stack)
  const now = Date.now()
  return Object.entries(services).flatMap(([service, override]) => {
    const { kind, until = '' } = override
    if (hasEnded(override, now)) {
      const repair = (): Promise<void> => endOverride(context, { stack, service })
      return [
        {
          kind: 'override',
          subject: service,
          service,
          difference: `${kind} until ${until}`,
          repair,
        },
      ]
    }
    return kind === 'stopped' ? findRunning(context, { stack, service }) : []
  })
}

interface Subject {
  readonly stack: string
  readonly service: string
}

/** What it held back is wanted again, and the plan finds it after this. */
function endOverride(context: Context, { stack, service }: Subject): Promise<void> {
  const override = interventionsOf(context.interventions, stack).services[service]
  const left = override?.kind === 'stopped' ? withoutStop(override) : undefined
  setOverrides(context.interventions, stack, { [service]: left })
  for (const record of replicasOf(context, { stack, service })) {
    if (record.wanted === 'stopped')
      context.containers.put(record.id, { ...record, state: 'created', wanted: 'running' })
  }
  context.loop.request(stack)
  return Promise.resolve()
}

function findRunning(context: Context, subject: Subject): FoundDrift[] {
  return replicasOf(context, subject)
    .filter(({ id }) => context.live.has(id))
    .map(({ id, config }) => ({
      kind: 'override',
      subject: config.name,
      service: subject.service,
      difference: 'it runs, and was to be stopped',
      repair: async () => {
        await context.locks.run(id, () => stopContainer(context, id))
      },
    }))
}

/** What is run once beside them, and what a rollout has left, is none. */
function replicasOf(context: Context, { stack, service }: Subject): ContainerRecord[] {
  return containersOf(context, stack).filter(
    ({ config, part }) => config.service === service && !config.oneoff && part === undefined,
  )
}
