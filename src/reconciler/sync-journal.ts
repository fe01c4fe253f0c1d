/**
 * What has been synced into the containers of a service while somebody watches its stack: a container that takes the
 * place of another, or comes beside it, gets the same. Forgotten when the last one who watches has gone; an entry names
 * a source, not its content, so that what a new container gets is always the newest.
 */
import type { SyncEntry } from '../engine/sync/sync-entry.ts'

export interface SyncJournal {
  /** Until `close`, entries of the stack are kept. Safe to close twice. */
  open(stack: string): { close(): void }
  /** Whether somebody watches. */
  isOpen(stack: string): boolean
  /** Keeps entries, where somebody watches. */
  add(service: ServiceKey, entries: readonly SyncEntry[]): void
  /** Those of a service that were added after `since` (a position; 0: all), sorted by target. */
  entries(service: ServiceKey, since?: number): readonly SyncEntry[]
  /** Where the journal stands now. */
  position(): number
}

interface ServiceKey {
  readonly stack: string
  readonly service: string
}

interface Kept {
  readonly entry: SyncEntry
  readonly position: number
}

export function createSyncJournal(): SyncJournal {
  const watchers = new Map<string, number>()
  /** By stack, by service, by target. */
  const stacks = new Map<string, Map<string, Map<string, Kept>>>()
  let last = 0

  const leave = (stack: string): void => {
    const left = (watchers.get(stack) ?? 1) - 1
    if (left > 0) watchers.set(stack, left)
    else {
      watchers.delete(stack)
      stacks.delete(stack)
    }
  }

  return {
    open(stack) {
      watchers.set(stack, (watchers.get(stack) ?? 0) + 1)
      let isOpen = true
      return {
        close() {
          if (isOpen) leave(stack)
          isOpen = false
        },
      }
    },
    isOpen: (stack) => watchers.has(stack),
    add({ stack, service }, entries) {
      if (!watchers.has(stack)) return
      const services = getOrMake(stacks, stack, () => new Map<string, Map<string, Kept>>())
      const kept = getOrMake(services, service, () => new Map<string, Kept>())
      for (const entry of entries) kept.set(entry.target, { entry, position: ++last })
    },
    entries({ stack, service }, since = 0) {
      const kept = [...(stacks.get(stack)?.get(service)?.values() ?? [])]
      return kept
        .filter(({ position }) => position > since)
        .map(({ entry }) => entry)
        .sort((a, b) => (a.target < b.target ? -1 : 1))
    },
    position: () => last,
  }
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
