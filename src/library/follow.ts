import type { ContainerSummary, ProgressEvent } from '../api/types.ts'
import { TsstackError } from '../errors.ts'

export interface Outcome {
  /** False: nothing was to be done. */
  readonly changed: boolean
  /** All of the stack, in the state in which the work left them. */
  readonly containers: readonly ContainerSummary[]
}

/**
 * Reads the progress of an operation to its end.
 * @throws the error that it ended with; {UNAVAILABLE} when it ended without a word
 */
export async function follow(
  stream: AsyncIterable<readonly ProgressEvent[]>,
  onProgress?: (event: ProgressEvent) => void,
): Promise<Outcome> {
  let outcome: Outcome | undefined
  for await (const events of stream) {
    for (const event of events) {
      if (event.type === 'error') {
        const { code, message, ...more } = event.error
        throw new TsstackError(code, message, more)
      }
      if (event.type === 'done') outcome = { changed: event.changed, containers: event.containers }
      onProgress?.(event)
    }
  }
  if (outcome !== undefined) return outcome
  throw new TsstackError(
    'UNAVAILABLE',
    'Cannot follow the operation: the daemon closed the connection',
  )
}
