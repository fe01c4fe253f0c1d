/** Changes that wait for room on the disk: of each document the last one, and events in their order. */

export interface Change {
  readonly kind: string
  readonly key: string
  /** JSON; undefined: the document is gone. */
  readonly body: string | undefined
}

/** Of more, the oldest are forgotten. */
const MAX_EVENTS = 1000

export class Backlog {
  readonly #changes = new Map<string, Change>()
  #events: string[] = []

  get isEmpty(): boolean {
    return this.#changes.size === 0 && this.#events.length === 0
  }

  get changes(): readonly Change[] {
    return [...this.#changes.values()]
  }

  get events(): readonly string[] {
    return this.#events
  }

  add(changes: readonly Change[], events: readonly string[]): void {
    for (const change of changes) this.#changes.set(`${change.kind}\0${change.key}`, change)
    this.#events = [...this.#events, ...events].slice(-MAX_EVENTS)
  }

  clear(): void {
    this.#changes.clear()
    this.#events = []
  }
}
