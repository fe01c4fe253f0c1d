/**
 * Interfaces of containers that have ended. The kernel removes a pair with the namespace of its other end; but that may wait
 * behind others, and a connection whose last bytes nobody acknowledges, because its peer went first, keeps it for minutes
 * (tcp(7): tcp_orphan_retries).
 */
import { log } from '../log.ts'

/** By then the kernel has removed most pairs with their namespaces, at no cost to us; each by name takes it 20 ms. */
const GRACE_MS = 1000

export class LeavingPairs {
  readonly #detach: (hostInterface: string) => void
  readonly #leaving = new Map<NodeJS.Timeout, Set<string>>()

  /** @param detach - removes one, if it is still there */
  constructor(detach: (hostInterface: string) => void) {
    this.#detach = detach
  }

  /** Removes those that are there after a while. */
  add(hostInterfaces: readonly string[]): void {
    if (hostInterfaces.length === 0) return
    const leaving = new Set(hostInterfaces)
    const timer = setTimeout(() => {
      this.#leaving.delete(timer)
      this.#remove(leaving)
    }, GRACE_MS)
    timer.unref()
    this.#leaving.set(timer, leaving)
  }

  /** They are about to be made anew, for the same container. */
  keep(hostInterfaces: readonly string[]): void {
    for (const leaving of this.#leaving.values())
      for (const name of hostInterfaces) leaving.delete(name)
  }

  #remove(hostInterfaces: ReadonlySet<string>): void {
    try {
      for (const name of hostInterfaces) this.#detach(name)
    } catch (error) {
      log.warn('interface could not be removed', { error })
    }
  }

  /** Removes all at once: nobody else will. */
  close(): void {
    for (const [timer, hostInterfaces] of this.#leaving) {
      clearTimeout(timer)
      this.#remove(hostInterfaces)
    }
    this.#leaving.clear()
  }
}
