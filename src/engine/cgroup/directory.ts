/** Directories of cgroups: making with parents, removing with empty parents, listing. */
import { chmodSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { TsstackError } from '../../errors.ts'
import { errnoOf } from './cgroup-file.ts'

const MAX_DEPTH = 64

/**
 * Makes a directory; where the parent is missing, that first.
 * @param made is called for each directory that was made, outermost first
 * @throws {FAILED_PRECONDITION} when the host refuses
 */
export function makeDirectory(path: string, made: (path: string) => void): void {
  try {
    mkdirSync(path)
  } catch (thrown) {
    const errno = errnoOf(thrown)
    if (errno === 'EEXIST') return
    if (errno !== 'ENOENT' || path.lastIndexOf('/') <= 0) {
      throw new TsstackError('FAILED_PRECONDITION', `Cannot make cgroup "${path}": ${errno}`, {
        cause: thrown,
      })
    }
    makeDirectory(path.slice(0, path.lastIndexOf('/')), made)
    mkdirSync(path)
  }
  chmodSync(path, 0o755) // whatever the umask is: a container reads its own limits
  made(path)
}

/** @returns false while there are processes or directories in it */
function removeOne(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (thrown) {
    return errnoOf(thrown) === 'ENOENT'
  }
}

/** Removes a directory with all directories in it. Containers may have made some, so the depth is bounded. */
function removeTree(path: string, depth = 0): boolean {
  if (removeOne(path)) return true
  if (depth === MAX_DEPTH) return false
  for (const child of childDirectories(path)) removeTree(`${path}/${child}`, depth + 1)
  return removeOne(path)
}

/**
 * Removes a directory with those in it, and each parent below `stop` that is empty then.
 * @returns false while there are processes in it
 */
export function removeDirectory(path: string, stop: string): boolean {
  if (!removeTree(path)) return false
  let parent = path.slice(0, path.lastIndexOf('/'))
  while (parent.length > stop.length && removeOne(parent))
    parent = parent.slice(0, parent.lastIndexOf('/'))
  return true
}

/** Names of the directories in a cgroup; none when it is gone. */
export function childDirectories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch {
    return []
  }
}

/** `<stack>/<container>` of what is below our directory. */
export function listNames(parent: string): string[] {
  return childDirectories(parent).flatMap((stack) =>
    childDirectories(`${parent}/${stack}`).map((container) => `${stack}/${container}`),
  )
}
