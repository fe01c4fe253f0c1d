/** Mounts of a running container that somebody took away. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export interface WatchedMounts {
  /** A mount point that is gone. */
  lost(): string | undefined
}

/** Takes the mounts of a process as they are now for right. */
export function watchMounts(pid: number): WatchedMounts {
  const text = readMountinfo(pid)
  const right = mountPointsIn(text)
  // Of hundreds of containers that are looked at next to none has changed: only its text is read for its meaning.
  let known = hash('sha1', text)
  return {
    lost() {
      const present = readMountinfo(pid)
      const digest = hash('sha1', present)
      if (digest === known || present === '') return undefined
      const points = new Set(mountPointsIn(present))
      const lost = right.find((point) => !points.has(point))
      if (lost === undefined) known = digest
      return lost
    },
  }
}

/** Nothing for a process that has ended. */
function readMountinfo(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/mountinfo`, 'utf8')
  } catch {
    return ''
  }
}

/**
 * The fifth field (man 5 proc_pid_mountinfo) of those that are the container's alone: what takes part in what happens to
 * others (`rslave`, `rshared`) goes when the host takes it away, and that is no drift.
 */
export function mountPointsIn(mountinfo: string): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const fields = line.split(' ')
    const tags = fields.slice(6, fields.indexOf('-'))
    return tags.some((tag) => /^(?:shared|master):/.test(tag)) ? [] : (fields[4] ?? [])
  })
}
