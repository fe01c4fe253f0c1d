/** Removes large directories without keeping the daemon from its other work. */
import { mkdtempSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { log } from '../log.ts'

/**
 * The path is free when this returns; what was there goes by and by. What a kill leaves of it is in `aside`.
 * @param aside - a directory on the same file system that is emptied when the daemon starts
 */
export function removeAside(path: string, aside: string): void {
  const grave = mkdtempSync(join(aside, '.gone-'))
  renameSync(path, join(grave, 'old'))
  rm(grave, { recursive: true, force: true }).catch((error: unknown) => {
    log.warn('cannot remove what is old', { path, error })
  })
}
