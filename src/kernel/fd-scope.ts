import { closeSync } from 'node:fs'

/** Descriptors that live as long as a piece of work: closed together, whatever happened. */
export class FdScope {
  readonly #fds: number[] = []

  add(fd: number): number {
    this.#fds.push(fd)
    return fd
  }

  /** Safe to call twice. */
  close(): void {
    for (const fd of this.#fds.splice(0).reverse()) closeSync(fd)
  }
}
