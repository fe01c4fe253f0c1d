/** Paths as text: stack files are about Linux, whatever machine reads them. */
import { posix } from 'node:path'

const WINDOWS_ABSOLUTE = /^(?:[a-zA-Z]:[\\/]|\\\\)/

/** The directory of a path. */
export function directoryOf(path: string): string {
  return posix.dirname(path)
}

export function baseNameOf(path: string): string {
  return posix.basename(path)
}

/** A path made absolute: `~` is the home directory, a relative path is below `directory`. */
export function resolvePath(path: string, directory: string, home?: string): string {
  const expanded = expandHome(path, home)
  if (WINDOWS_ABSOLUTE.test(expanded)) return expanded
  return posix.isAbsolute(expanded) ? expanded : posix.join(directory, expanded)
}

/** `/a/../b/` -> `/b`. */
export function cleanPath(path: string): string {
  const clean = posix.normalize(path)
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean
}

function expandHome(path: string, home: string | undefined): string {
  if (home === undefined || !/^~(?:\/|$)/.test(path)) return path
  return path === '~' ? home : posix.join(home, path.slice(2))
}
