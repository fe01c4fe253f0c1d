import { openSync } from 'node:fs'
import { trySyscall } from './libc.ts'

const LOCK_EX_NB = 2 | 4

/** Takes a lock for the life of this process (man 2 flock). @returns false when another process has it */
export function lockFile(file: string): boolean {
  const fd = openSync(file, 'a', 0o600) // kept open: closing it would give the lock back
  return trySyscall('flock', fd, LOCK_EX_NB) === 0
}
