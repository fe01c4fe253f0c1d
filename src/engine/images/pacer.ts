/** Keeps synchronous work in slices, so that the daemon goes on answering in between. */
import { setImmediate } from 'node:timers/promises'

const SLICE_MILLISECONDS = 15

export interface Pacer {
  /** Lets the event loop turn if this slice is used up; call it between small pieces of work. */
  readonly breathe: () => Promise<void> | undefined
}

/** One for each long piece of work. `await pacer.breathe()` costs next to nothing while the slice lasts. */
export function createPacer(): Pacer {
  let start = performance.now()
  const turn = async (): Promise<void> => {
    await setImmediate()
    start = performance.now()
  }
  return {
    breathe: () => (performance.now() - start < SLICE_MILLISECONDS ? undefined : turn()),
  }
}
