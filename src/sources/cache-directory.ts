/** The user's cache: `$XDG_CACHE_HOME/tsstack`, else `~/.cache/tsstack`. It may be deleted at any time. */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { TsstackError } from '../errors.ts'

/** By the XDG Base Directory Specification a relative path counts as none. */
export function cacheDirectory(env: Readonly<Record<string, string>>): string {
  const given = env['XDG_CACHE_HOME'] ?? ''
  if (isAbsolute(given)) return join(given, 'tsstack')
  const home = env['HOME'] ?? ''
  return join(isAbsolute(home) ? home : homedir(), '.cache', 'tsstack')
}

/**
 * A directory of the cache: the one that is there, else what `fill` puts into a new one. It appears whole or not at all,
 * whoever else does the same at the same time.
 */
export async function cached(
  directory: string,
  fill: (empty: string) => Promise<void>,
): Promise<string> {
  if (existsSync(directory)) return directory
  const draft = `${directory}.${String(process.pid)}-${Math.random().toString(36).slice(2)}`
  try {
    makeDirectory(draft)
    await fill(draft)
    install(draft, directory)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return directory
}

function makeDirectory(draft: string): void {
  try {
    mkdirSync(dirname(draft), { recursive: true, mode: 0o700 })
    mkdirSync(draft, { mode: 0o755 })
  } catch (error) {
    throw new TsstackError('PERMISSION_DENIED', `the cache "${dirname(draft)}" can't be written`, {
      cause: error,
      hint: 'set XDG_CACHE_HOME to a directory of yours',
    })
  }
}

function install(draft: string, directory: string): void {
  try {
    renameSync(draft, directory)
  } catch (error) {
    // Somebody else was faster: rename(2) does not replace a directory with something in it.
    if (!existsSync(directory)) throw error
  }
}
