import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 20
const TIMEOUT_MS = 60_000

/** Polls until something is so. @throws {Error} naming it when it is not within a minute */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new Error(`Cannot go on: not within ${TIMEOUT_MS / 1000} s: ${what}`)
    await sleep(POLL_MS)
  }
}
