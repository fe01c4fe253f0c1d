/** What happened, for `tsstack events` and for whoever waits: kept for a while in the state, told at once to listeners. */
import type { EngineEvent } from '../api/types.ts'
import { timestamp } from '../engine/logs/log-format.ts'
import type { StateStore } from '../state/state-store.ts'

export interface EventLog {
  emit(event: Omit<EngineEvent, 'time'>): void
  /** Call the result to stop. */
  subscribe(listener: (event: EngineEvent) => void): () => void
  history(): EngineEvent[]
}

export function openEventLog(state: StateStore): EventLog {
  const listeners = new Set<(event: EngineEvent) => void>()
  return {
    emit(partial) {
      const event: EngineEvent = { ...partial, time: timestamp() }
      state.appendEvent(JSON.stringify(event))
      for (const listener of listeners) listener(event)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    history: () => state.events().map((body) => JSON.parse(body) as EngineEvent),
  }
}
