/** Looks at one path of the host: its symlinks one by one, and the version by which a later look knows it again. */
import fs from 'node:fs'

export interface HostFile {
  /** Absolute; every component before the last is a real directory. */
  readonly path: string
  readonly stats: fs.BigIntStats
}

export interface HostPath {
  /** Every directory and symlink on the way, in the order in which they are met. */
  readonly way: readonly HostFile[]
  /** Where the way ends; undefined for a dangling symlink. */
  readonly end: HostFile | undefined
}

/** What stands for a path that doesn't exist. */
export const ABSENT = '-'

const MAX_SYMLINKS = 40 // as the kernel's, man 7 path_resolution

/** lstat(2); undefined where there is nothing (or nothing that may be seen). */
export function lstatIfThere(path: string): fs.BigIntStats | undefined {
  try {
    return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

/** Text that changes whenever the file is replaced, written, or gets other permissions. */
export function versionOf(stats: fs.BigIntStats | undefined): string {
  if (stats === undefined) return ABSENT
  // Reading a link or a directory's neighbours changes neither of these.
  return [stats.ino, stats.size, stats.mtimeNs, stats.mode, stats.uid, stats.gid].join(':')
}

function components(path: string): string[] {
  return path.split('/').filter((component) => component !== '' && component !== '.')
}

/**
 * Follows a path from the root. Undefined if nothing is there, not even a symlink.
 * @param path - absolute
 */
export function followPath(path: string): HostPath | undefined {
  const way: HostFile[] = []
  let pending = components(path)
  let current = ''
  let links = 0
  while (pending.length > 0) {
    const [component = '', ...rest] = pending
    if (component === '..') {
      current = current.slice(0, Math.max(current.lastIndexOf('/'), 0))
      pending = rest
      continue
    }
    const next = `${current}/${component}`
    const stats = lstatIfThere(next)
    if (stats === undefined) return links === 0 ? undefined : { way, end: undefined }
    const file = { path: next, stats }
    if (stats.isSymbolicLink()) {
      if (++links > MAX_SYMLINKS) return { way, end: undefined }
      way.push(file)
      const target = fs.readlinkSync(next)
      if (target.startsWith('/')) current = ''
      pending = [...components(target), ...rest]
      continue
    }
    if (rest.length === 0) return { way, end: file }
    if (!stats.isDirectory()) return undefined
    way.push(file)
    current = next
    pending = rest
  }
  const root = lstatIfThere('/')
  return root === undefined ? undefined : { way, end: { path: '/', stats: root } }
}
