/** What all kinds of progress have in common. */
import type { ProgressEvent } from '../api/types.ts'
import type { ProgressMode } from './global-options.ts'
import { humanSize } from './human.ts'

export type OperationEvent = Extract<ProgressEvent, { type: 'operation' }>

/** In front of what is only told, as Docker Compose has it. */
export const DRY_RUN_PREFIX = 'DRY-RUN MODE - '

/** Where events go. `stop` is called once, whatever happens. */
export interface ProgressView {
  operation(event: OperationEvent): void
  warning(message: string): void
  stop(): Promise<void>
}

/** A warning, for people or, with `--progress json`, for programs. */
export function warningLine(message: string, mode: ProgressMode): string {
  return mode === 'json'
    ? JSON.stringify({ status: 'Warning', text: message })
    : `warning: ${message}`
}

const NAMED_ALONE: ReadonlySet<OperationEvent['resource']> = new Set(['layer', 'step', 'artifact'])

/** `Container hello-web-1`; a layer goes by its digest alone, as with Docker. */
export function resourceLabel(event: OperationEvent): string {
  if (NAMED_ALONE.has(event.resource)) return event.name
  return `${event.resource.charAt(0).toUpperCase()}${event.resource.slice(1)} ${event.name}`
}

/** `Created`, `Downloading 1.2MB/40MB`. */
export function operationState(event: OperationEvent): string {
  if (event.status === 'failed')
    return event.detail === undefined ? 'Error' : `Error ${event.detail}`
  const { current, total, detail } = event
  const bytes =
    current === undefined
      ? ''
      : ` ${humanSize(current)}${total === undefined ? '' : `/${humanSize(total)}`}`
  return `${event.action}${bytes}${detail === undefined ? '' : ` ${detail}`}`
}
