/** Finds the control groups of this host and chooses the driver. */
import { accessSync, constants, readFileSync } from 'node:fs'
import { TsstackError } from '../../errors.ts'
import type { CgroupDriver } from './cgroup.ts'
import { PARENT } from './cgroup-name.ts'
import { createCgroupV1Driver } from './cgroup-v1.ts'
import { createCgroupV2Driver } from './cgroup-v2.ts'
import { ownDirectory, parseCgroupMounts, parseOwnCgroups, type CgroupMount } from './hierarchy.ts'

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Ours is at the root of the hierarchy; where that isn't ours to write, below our own place in it. */
function baseOf(mount: CgroupMount, paths: ReadonlyMap<string, string>): string {
  return isWritable(mount.mountpoint) ? mount.mountpoint : ownDirectory(mount, paths)
}

/**
 * Reads /proc/self/mountinfo and /proc/self/cgroup and gives the driver for what is mounted. Open it once: the driver
 * keeps what it found.
 * @param parent name of our directory in each hierarchy; tests have their own
 * @throws {FAILED_PRECONDITION} when no control groups are mounted
 */
export function openCgroupDriver(parent: string = PARENT): CgroupDriver {
  const mounts = parseCgroupMounts(readFileSync('/proc/self/mountinfo', 'latin1'))
  const paths = parseOwnCgroups(readFileSync('/proc/self/cgroup', 'latin1'))
  const layout = new Map<string, string>()
  for (const mount of mounts) {
    for (const controller of mount.controllers)
      layout.set(controller, `${baseOf(mount, paths)}/${parent}`)
  }
  if (layout.has('memory') || layout.has('pids')) return createCgroupV1Driver(layout)
  const unified = mounts.find((mount) => mount.version === 2)
  if (unified !== undefined) return createCgroupV2Driver(`${baseOf(unified, paths)}/${parent}`)
  throw new TsstackError(
    'FAILED_PRECONDITION',
    'Cannot limit containers: no control groups are mounted',
    {
      hint: 'mount them, for example with the package cgroupfs-mount, or boot with systemd',
    },
  )
}
