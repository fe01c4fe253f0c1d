import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

/** Tells what happened to a container, in Docker's words. */
export function emitContainerEvent(
  context: Pick<Context, 'events'>,
  record: Pick<ContainerRecord, 'id' | 'config'>,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  const { stack, service, name, image } = record.config
  context.events.emit({
    type: 'container',
    action,
    stack,
    service,
    id: record.id,
    attributes: { name, image: image.reference, ...attributes },
  })
}
