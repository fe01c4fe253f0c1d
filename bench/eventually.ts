import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 20

/** Polls until something is so. @throws {Error} naming it when it is not in time */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new Error(`Cannot go on: not within ${timeoutMs / 1000} s: ${what}`)
    await sleep(POLL_MS)
  }
}
