/** The host's interfaces as looks see them: one list for all stacks that are looked at together. */
import type { HostInterfaces } from '../../network/network-driver.ts'

/** Longer than a round of looks at hundreds of stacks, shorter than the time from one round to the next. */
const KEPT_MS = 1000

export class HostView {
  readonly #inspect: () => HostInterfaces
  #kept: { readonly interfaces: HostInterfaces; readonly at: number } | undefined

  constructor(inspect: () => HostInterfaces) {
    this.#inspect = inspect
  }

  /** May lack what was connected a moment ago: what seems amiss has to be looked at again by `now()`. */
  recent(): HostInterfaces {
    const kept = this.#kept
    if (kept === undefined || performance.now() - kept.at > KEPT_MS) return this.now()
    return kept.interfaces
  }

  now(): HostInterfaces {
    const interfaces = this.#inspect()
    this.#kept = { interfaces, at: performance.now() }
    return interfaces
  }

  /** The kernel has told of a change. */
  forget(): void {
    this.#kept = undefined
  }
}
