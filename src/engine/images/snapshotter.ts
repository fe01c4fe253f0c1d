/**
 * Snapshotter: the writable root file system of a container, made of an image's layers. A driver emits a Mount value and
 * mounts nothing; the engine turns the value into system calls inside the container's namespaces.
 *
 * Words: a *key* names one snapshot and is chosen by the caller (the container's id). A snapshot exists from `prepare`
 * to `remove`, across restarts of the container and of the daemon. Layers below it are shared and never written.
 */
import { TsstackError } from '../../errors.ts'
import type { Mount } from '../../kernel/mount.ts'
import type { Digest, Image } from './image.ts'

export interface SnapshotOptions {
  /** The ids of the host that are the container's 0: the start of the stack's range, or 0 without a user namespace. */
  readonly uid: number
  readonly gid: number
  /** How much the container may write at most; absent: as much as the disk holds. */
  readonly sizeBytes?: number
}

/** What a driver has on disk of a snapshot: for telling what was changed, whether it is mounted or not. */
export interface SnapshotContent {
  readonly path: string
  /** The image's layers, the lowest first. */
  readonly layers: readonly Digest[]
  /** The host's id that is the container's 0 in there. */
  readonly owner: number
  /** Milliseconds since the epoch: a whole tree, which was made then. Absent: an upper directory of overlayfs. */
  readonly wholeSince?: number
}

/** What of an image a snapshot is made of. */
export type SnapshotImage = Pick<Image, 'id' | 'layers'>

export interface Snapshotter {
  readonly driver: string
  /**
   * Makes the snapshot, or finds it: a snapshot of the same image under the same key is returned as it is, with what
   * the container has written.
   * @throws {ALREADY_EXISTS} the key belongs to a snapshot of another image
   * @throws {INVALID_ARGUMENT} the key is not `[A-Za-z0-9][A-Za-z0-9_.-]*` of at most 128 characters
   * @throws {FAILED_PRECONDITION} a limit of its size is not to be had here
   */
  readonly prepare: (key: string, image: SnapshotImage, options: SnapshotOptions) => Promise<Mount>
  /** The mount of a snapshot that was prepared before. @throws {NOT_FOUND} */
  readonly mount: (key: string) => Mount
  /** @throws {NOT_FOUND} */
  readonly content: (key: string) => SnapshotContent
  /** Removes the snapshot and all that was written into it; nothing to do if there is none. Nothing may be mounted of it. */
  readonly remove: (key: string) => Promise<void>
  readonly has: (key: string) => boolean
  /** Bytes on disk that the snapshot alone takes. @throws {NOT_FOUND} */
  readonly usage: (key: string) => Promise<number>
  readonly list: () => string[]
}

const KEY = /^[A-Za-z0-9][\w.-]{0,127}$/

/** @throws {INVALID_ARGUMENT} */
export function checkSnapshotKey(key: string): void {
  if (KEY.test(key)) return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use snapshot key "${key.slice(0, 128)}": not a plain name`,
  )
}
