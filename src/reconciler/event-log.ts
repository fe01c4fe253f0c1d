/**
 * What happened, for `tsstack events` and for whoever waits: kept for a while in the state, told at once to listeners. Who
 * reads over a connection reads at its own pace, from a number on, and costs no memory while it is behind.
 */
import type { EngineEvent } from '../api/types.ts'
import { timestamp } from '../engine/logs/log-format.ts'
import { log } from '../log.ts'
import type { StateStore } from '../state/state-store.ts'

export interface EventLog {
  /** Never throws: what has happened has happened. What can't be written now (a full disk) is written when there is room. */
  emit(event: Omit<EngineEvent, 'time'>): void
  /** Called within `emit`. Call the result to stop. */
  subscribe(listener: (event: EngineEvent) => void): () => void
  /** In batches, oldest first. A reader that falls behind what is kept misses what was forgotten. */
  read(options: ReadEvents): AsyncGenerator<EngineEvent[]>
}

export interface ReadEvents {
  /** RFC 3339 in UTC; absent: only what comes. */
  readonly since?: string | undefined
  /** Go on with what comes until it is raised; absent: end with what has been. */
  readonly follow?: AbortSignal | undefined
}

const BATCH = 256

export function openEventLog(state: StateStore): EventLog {
  const listeners = new Set<(event: EngineEvent) => void>()
  const subscribe: EventLog['subscribe'] = (listener) => {
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }
  return {
    emit(partial) {
      const event: EngineEvent = { ...partial, time: timestamp() }
      state.appendEvent(JSON.stringify(event))
      for (const listener of listeners) tell(listener, event)
    },
    subscribe,
    async *read({ since, follow }) {
      const reader = new EventReader(state, since)
      yield* reader.batches()
      if (follow !== undefined) yield* followEvents(reader, { subscribe, signal: follow })
    },
  }
}

/** A listener that fails (rules that the kernel refuses) keeps nobody else from being told. */
function tell(listener: (event: EngineEvent) => void, event: EngineEvent): void {
  try {
    listener(event)
  } catch (error) {
    log.warn('an event was not followed', { action: event.action, error })
  }
}

/** A position among the events that are kept. */
class EventReader {
  readonly #state: StateStore
  readonly #since: string
  #position: number

  constructor(state: StateStore, since: string | undefined) {
    this.#state = state
    this.#since = since ?? ''
    this.#position = since === undefined ? state.lastEvent() + 1 : 0
  }

  /** All that are there by now. */
  *batches(): Generator<EngineEvent[]> {
    for (;;) {
      const batch = this.#state.eventsFrom(this.#position, BATCH)
      if (batch.length === 0) return
      this.#position = (batch.at(-1)?.number ?? 0) + 1
      const events = batch.map(({ body }) => JSON.parse(body) as EngineEvent)
      yield events.filter(({ time }) => time >= this.#since)
    }
  }
}

interface Followed {
  readonly subscribe: EventLog['subscribe']
  readonly signal: AbortSignal
}

async function* followEvents(
  reader: EventReader,
  { subscribe, signal }: Followed,
): AsyncGenerator<EngineEvent[]> {
  let wake: () => void = () => undefined
  const onChange = (): void => {
    wake()
  }
  const unsubscribe = subscribe(onChange)
  signal.addEventListener('abort', onChange)
  try {
    for (;;) {
      const grown = new Promise<void>((resolve) => {
        wake = resolve
      })
      yield* reader.batches()
      if (signal.aborted) return
      await grown
    }
  } finally {
    unsubscribe()
    signal.removeEventListener('abort', onChange)
  }
}
