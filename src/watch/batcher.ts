/**
 * Changes of files come in bursts: an editor that saves all, a branch that is checked out. The first of a burst is passed
 * on at once, those that follow as soon as what they are passed to is done with the ones before; and once nothing has
 * come for a moment the burst is over, which is when what must be done only once is done.
 *
 *   event   ·  ·· ····                     ·
 *   flush   ·    ··    ····                ·
 *   settle              |<- quietMs ->|X   |<- quietMs ->|X      at the latest capMs after the first
 */

export interface BatcherOptions {
  readonly quietMs: number
  readonly capMs: number
  /** What has come since the last call; not called again before it has resolved. */
  readonly flush: (paths: readonly string[]) => Promise<void>
  /** The burst is over: all that has come. Called after its last flush. */
  readonly settle: (paths: readonly string[]) => Promise<void>
}

export interface Batcher {
  push(path: string): void
  /** Nothing waits, and nothing is being passed on. */
  isIdle(): boolean
  /** Resolves when nothing is being worked on; what waits is dropped. Safe to call twice. */
  close(): Promise<void>
}

export function createBatcher({ quietMs, capMs, flush, settle }: BatcherOptions): Batcher {
  let waiting = new Set<string>()
  let burst = new Set<string>()
  let burstStart = 0
  let timer: NodeJS.Timeout | undefined
  let flushing: Promise<void> = Promise.resolve()
  let settling: Promise<void> = Promise.resolve()
  let isFlushing = false
  let isClosed = false

  const flushAll = async (): Promise<void> => {
    await Promise.resolve() // what comes in the same turn goes together
    while (waiting.size > 0 && !isClosed) {
      const paths = [...waiting]
      waiting = new Set()
      await flush(paths)
    }
    isFlushing = false
  }

  const end = (): void => {
    const paths = [...burst]
    burst = new Set()
    const flushed = flushing
    settling = settling.then(async () => {
      await flushed
      if (!isClosed) await settle(paths)
    })
  }

  return {
    push(path) {
      if (isClosed) return
      if (burst.size === 0) burstStart = performance.now()
      waiting.add(path)
      burst.add(path)
      if (!isFlushing) {
        isFlushing = true
        flushing = flushAll()
      }
      clearTimeout(timer)
      const left = burstStart + capMs - performance.now()
      timer = setTimeout(end, Math.max(0, Math.min(quietMs, left)))
    },
    isIdle: () => !isFlushing,
    async close() {
      isClosed = true
      clearTimeout(timer)
      await flushing
      await settling
    },
  }
}
