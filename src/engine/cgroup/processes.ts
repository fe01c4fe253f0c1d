/** The processes in a cgroup and all cgroups below it. */
import { childDirectories } from './directory.ts'
import { parseProcesses, tryRead } from './cgroup-file.ts'

const MAX_DEPTH = 64

/** Process ids; none when the cgroup is gone. */
export function readProcesses(directory: string, depth = 0): number[] {
  const own = parseProcesses(tryRead(`${directory}/cgroup.procs`) ?? '')
  if (depth === MAX_DEPTH) return own
  const below = childDirectories(directory).flatMap((name) =>
    readProcesses(`${directory}/${name}`, depth + 1),
  )
  return below.length === 0 ? own : [...own, ...below]
}

/** SIGKILL to each; those that are gone already don't matter. @returns how many there were */
export function killProcesses(pids: readonly number[]): number {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // ESRCH: it has ended by itself.
    }
  }
  return pids.length
}

/**
 * Waits on the calling thread, for what takes the kernel microseconds.
 * @returns false when the time is up
 */
export function waitUntil(done: () => boolean, timeoutMs: number): boolean {
  const deadline = performance.now() + timeoutMs
  const cell = new Int32Array(new SharedArrayBuffer(4))
  while (!done()) {
    if (performance.now() > deadline) return false
    Atomics.wait(cell, 0, 0, 0.2)
  }
  return true
}
