/**
 * Where ID-mapped layers are while they are needed. Since Linux 6.15 overlayfs takes detached mounts as layers. Before, it
 * clones a layer only out of the mount namespace of who asks (fs/namespace.c: clone_private_mount), so there each layer
 * is attached in a directory of the daemon's, read-only, until its stack goes; what a crash left is swept. Copies of
 * mounts are made under the same rule (open_tree(2)).
 */
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { AT_FDCWD, MNT_DETACH, MOVE_MOUNT_F_EMPTY_PATH } from '../kernel/constants.ts'
import { cloneMount } from '../kernel/detached-mount.ts'
import { syscall, trySyscall } from '../kernel/libc.ts'

const FIRST_WITH_DETACHED_LAYERS = [6, 15] as const

/** @param release of the kernel, as uname(2) has it: `6.12.48+deb13-amd64` */
export function takesDetachedLayers(release = os.release()): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  const [firstMajor, firstMinor] = FIRST_WITH_DETACHED_LAYERS
  return major > firstMajor || (major === firstMajor && minor >= firstMinor)
}

/** Makes the directory, and removes what an earlier daemon left attached in it. */
export function openLayerDirectory(directory: string): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(directory)) detachLayer(path.join(directory, name))
  return directory
}

/**
 * Attaches a detached mount below a directory; its descriptor stays good.
 * @returns where it is
 */
export function attachLayer(mount: number, directory: string): string {
  const place = mkdtempSync(`${directory}/`)
  try {
    syscall('move_mount', mount, '', AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH)
    return place
  } catch (error) {
    rmdirSync(place)
    throw error
  }
}

/** Overlays that were made of it keep their own clone. */
export function detachLayer(place: string): void {
  trySyscall('umount2', place, MNT_DETACH)
  rmdirSync(place)
}

/**
 * A detached copy of a part of a detached mount.
 * @param root descriptor of the mount
 * @param place descriptor of a file or directory in it
 * @param attachIn where the kernel wants mounts to be attached; `root` is not to be attached anywhere afterwards
 * @returns the copy's descriptor, close-on-exec
 */
export function clonePart(root: number, place: number, attachIn: string | undefined): number {
  if (attachIn === undefined) return cloneMount(place)
  const attached = attachLayer(root, attachIn)
  try {
    return cloneMount(place)
  } finally {
    detachLayer(attached)
  }
}
