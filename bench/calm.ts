/** How much of the machine others use: a benchmark on a shared machine is worth what it knows about that. */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const WINDOW_MS = 150
const CALM_SHARE = 0.15
const TICK_MS = 10

/** Milliseconds of user and system time of the whole machine since it started (man 5 proc, /proc/stat). */
export function busyMs(): number {
  const fields = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]?.split(' ') ?? []
  const [user = 0, nice = 0, system = 0] = fields.map(Number)
  return (user + nice + system) * TICK_MS
}

/** Waits until others leave the machine alone, but at most so long. @returns whether they did */
export async function waitForCalm(timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const [startedAt, busyBefore] = [performance.now(), busyMs()]
    await sleep(WINDOW_MS)
    const share =
      (busyMs() - busyBefore) / (performance.now() - startedAt) / os.availableParallelism()
    if (share < CALM_SHARE) return true
    if (performance.now() > deadline) return false
  }
}
