/** Of a shell's making: 128 and the number of SIGINT. */
export const INTERRUPTED_EXIT = 130

/** Ctrl-C and SIGTERM as a signal that work can be ended with. */
export interface Interrupt {
  /** Aborted by the first of them. */
  readonly signal: AbortSignal
  /** Resolves then. */
  readonly raised: Promise<void>
  /** Called at each further one. */
  onAgain(listener: () => void): void
  /** Gives the signals back to their default. */
  close(): void
}

/** Listens from now until `close`. */
export function onInterrupt(): Interrupt {
  const controller = new AbortController()
  let again: () => void = () => undefined
  const handle = (): void => {
    if (controller.signal.aborted) again()
    else controller.abort()
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    signal: controller.signal,
    raised: new Promise((resolve) => {
      controller.signal.addEventListener('abort', () => {
        resolve()
      })
    }),
    onAgain: (listener) => {
      again = listener
    },
    close: () => {
      process.off('SIGINT', handle)
      process.off('SIGTERM', handle)
    },
  }
}
