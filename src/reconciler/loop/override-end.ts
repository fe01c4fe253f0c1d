import type { Context } from '../context.ts'
import { containersOf } from '../observe.ts'
import type { FoundDrift } from './drift.ts'
import { hasEnded, interventionsOf, setOverrides } from './interventions.ts'

/** Overrides whose time is over: what they held back is wanted again, and the plan finds it after this. */
export function findEndedOverrides(context: Context, stack: string): FoundDrift[] {
  const { services } = interventionsOf(context.interventions, stack)
  const now = Date.now()
  return Object.entries(services)
    .filter(([, override]) => hasEnded(override, now))
    .map(([service, { kind, until = '' }]) => ({
      kind: 'override',
      subject: service,
      service,
      difference: `${kind} until ${until}`,
      repair: () => {
        setOverrides(context.interventions, stack, { [service]: undefined })
        for (const record of containersOf(context, stack)) {
          const { wanted, config } = record
          if (kind === 'stopped' && config.service === service && wanted === 'stopped')
            context.containers.put(record.id, { ...record, state: 'created', wanted: 'running' })
        }
        context.loop.request(stack)
        return Promise.resolve()
      },
    }))
}
