/**
 * The file system as a stack file from git sees it: the checkout, and the files of the host that the source's user named.
 * What lies elsewhere can't be read, whatever path or link leads there.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { TsstackError } from '../errors.ts'
import type { FileAccess } from '../spec/load-options.ts'
import { refusePointer } from './missing-content.ts'

/** The loader takes no larger ones. */
const MAX_FILE_BYTES = 64 << 20

/** Whether a path is this directory (or file) or below it; both absolute and normalised. */
export function isWithin(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}

/**
 * @param root - the checkout, absolute
 * @param allowed - paths of the host that may be read besides, and what is below them
 */
export function confinedFiles(root: string, allowed: readonly string[] = []): FileAccess {
  const roots = [root, ...allowed].map(realOrSame)
  /** The real path; undefined when it may not be looked at. */
  const within = (path: string): string | undefined => {
    const real = realOrSame(path)
    return roots.some((each) => isWithin(each, real)) ? real : undefined
  }
  /** The finder of stack files looks in every directory above: there is nothing for it outside. */
  const isAbove = (path: string): boolean => isWithin(dirname(path), resolve(root))
  return {
    readFile: (path) => {
      const real = within(path)
      if (real === undefined) throw outside(path)
      const stat = statSync(real)
      if (!stat.isFile()) throw new Error('it is not a plain file')
      if (stat.size > MAX_FILE_BYTES) throw new Error('it is too large')
      const bytes = readFileSync(real)
      refusePointer(bytes, bytes.length, path)
      return bytes
    },
    // Of a file outside it is said, when it is read, that it may not be read.
    exists: (path) => {
      const real = within(path)
      if (real === undefined) return !isAbove(realOrSame(path))
      return statSync(real, { throwIfNoEntry: false }) !== undefined
    },
    isDirectory: (path) => {
      const real = within(path)
      return (
        real !== undefined && (statSync(real, { throwIfNoEntry: false })?.isDirectory() ?? false)
      )
    },
    realpath: (path) => within(path) ?? path,
  }
}

function outside(path: string): TsstackError {
  return new TsstackError(
    'PERMISSION_DENIED',
    `it is outside the repository, and "${path}" is not allowed (--allow-host-paths)`,
  )
}

/** The real path; of what is not there, below the real path of what is. */
export function realOrSame(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realOrSame(parent), basename(path))
  }
}
