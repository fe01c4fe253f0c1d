/**
 * Limits that somebody changed from outside. The kernel tells of each write into a control group's files, so a look reads
 * them again only then. It writes values in its own way (rounded to pages, `max`), so what it has is compared with what
 * it had after they were last written.
 */
import path from 'node:path'
import { tryRead } from '../../engine/cgroup/cgroup-file.ts'
import type { FileWrites } from '../../kernel/file-writes.ts'
import type { LiveContainer } from '../context.ts'

/** Limits of a running container as they should be. */
export interface WatchedLimits {
  /** What somebody changed, in words: `memory.max is max instead of 67108864`. */
  difference(): string | undefined
}

/** v1 has files of their own for changes of the list of devices. */
const DEVICE_FILE = /^devices\./

/**
 * Takes the limits as they are now for right, and follows them as long as the container runs.
 * @param onWrite - called when a difference is possible
 */
export function watchLimits(
  writes: FileWrites | undefined,
  { cgroup, ended }: Pick<LiveContainer, 'cgroup' | 'ended'>,
  onWrite: () => void,
): WatchedLimits {
  const files = cgroup.limitFiles()
  const names = new Set(files.map((file) => path.basename(file)))
  const directories = [...new Set(files.map((file) => path.dirname(file)))]
  let isWritten = false
  const watches = directories.map((directory) =>
    writes?.watch(directory, (file) => {
      if (file !== undefined && !names.has(file) && !DEVICE_FILE.test(file)) return
      isWritten = true
      onWrite()
    }),
  )
  const isFollowed = watches.every((watch) => watch !== undefined)
  // The kernel keeps a watch on a directory that is gone.
  void ended.then(() => {
    for (const watch of watches) watch?.close()
  })
  const right = readLimits(cgroup)
  return {
    difference() {
      if (isFollowed && !isWritten) return undefined
      isWritten = false // before they are read: what is written meanwhile counts
      const difference = limitDifference(right, readLimits(cgroup))
      isWritten ||= difference !== undefined
      return difference
    },
  }
}

/** Values by the names of their files, as the kernel writes them. */
export function readLimits(cgroup: LiveContainer['cgroup']): ReadonlyMap<string, string> {
  return new Map(
    cgroup.limitFiles().flatMap((file) => {
      const value = tryRead(file)?.trim()
      return value === undefined ? [] : [[path.basename(file), value]]
    }),
  )
}

/** What is not as it was, in words. */
export function limitDifference(
  right: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): string | undefined {
  const changes = [...right]
    .filter(([file, value]) => found.get(file) !== value)
    .map(([file, value]) => `${file} is ${found.get(file) ?? 'gone'} instead of ${value}`)
  return changes.length === 0 ? undefined : changes.join(', ')
}
