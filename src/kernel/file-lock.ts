import { closeSync, fstatSync, openSync, rmSync, statSync } from 'node:fs'
import { trySyscall } from './libc.ts'

const LOCK_EX_NB = 2 | 4

/**
 * Takes a lock for the life of this process (man 2 flock). Who has it may remove the file.
 * @returns false when another process has it
 */
export function lockFile(file: string): boolean {
  for (;;) {
    const fd = openSync(file, 'a', 0o600) // kept open: closing it would give the lock back
    if (trySyscall('flock', fd, LOCK_EX_NB) !== 0) {
      closeSync(fd)
      return false
    }
    if (statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return true
    closeSync(fd) // removed between the two calls
  }
}

/** Removes a file of `lockFile` that no process has; for an instant this one has it. @throws {ENOENT} */
export function removeUnlocked(file: string): void {
  const fd = openSync(file, 'r+')
  try {
    if (trySyscall('flock', fd, LOCK_EX_NB) === 0) rmSync(file, { force: true })
  } finally {
    closeSync(fd)
  }
}
