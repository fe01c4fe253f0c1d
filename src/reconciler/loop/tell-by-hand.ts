/** Events about what people did by hand: who, for how long, and why. */
import type { Override, Suspension } from '../../api/status-types.ts'
import type { Context } from '../context.ts'

type Telling = Pick<Context, 'events'>

/** @param overrides - that have just begun, by service */
export function tellOverrides(
  context: Telling,
  stack: string,
  overrides: Readonly<Record<string, Override | undefined>>,
): void {
  for (const [service, override] of Object.entries(overrides)) {
    if (override === undefined) continue
    const { kind, replicas } = override
    const attributes = {
      kind,
      ...(replicas === undefined ? {} : { replicas: String(replicas) }),
      ...whoAndWhy(override),
    }
    context.events.emit({
      type: 'stack',
      action: 'override',
      stack,
      service,
      id: stack,
      attributes,
    })
  }
}

export function whoAndWhy({ author, until, reason }: Suspension): Record<string, string> {
  return {
    author,
    ...(until === undefined ? {} : { until }),
    ...(reason === undefined ? {} : { reason }),
  }
}
