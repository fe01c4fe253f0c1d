/** Work that waits for its turn: so much of it at a time, in the order in which it came. */
export class FairQueue {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #busy = 0

  /** @param limit - how much is done at a time */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Settles as the work does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy < this.#limit) this.#busy++
    // Whoever ends hands its place over: nobody who comes later gets in between.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#busy--
      else next()
    }
  }
}
