/** What all kinds of progress have in common. */
import type { ProgressEvent } from '../api/types.ts'

export type OperationEvent = Extract<ProgressEvent, { type: 'operation' }>

/** Where events go. `stop` is called once, whatever happens. */
export interface ProgressView {
  operation(event: OperationEvent): void
  warning(message: string): void
  stop(): Promise<void>
}

/** `Container hello-web-1`. */
export function resourceLabel(event: OperationEvent): string {
  return `${event.resource.charAt(0).toUpperCase()}${event.resource.slice(1)} ${event.name}`
}
