/** `type: image`: the files of another image, read-only, from a snapshot that the container has beside its own. */
import { createHash } from 'node:crypto'
import { closeSync } from 'node:fs'
import type { ContainerMount } from '../engine/container-config.ts'
import type { MountSource } from '../engine/host-mount.ts'
import { clonePart } from '../engine/layer-mounts.ts'
import { openRoot } from '../engine/root-file-system.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { Open } from '../kernel/constants.ts'
import { RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

type ImageMount = ContainerMount & { readonly kind: 'image' }

const KEY_DIGITS = 16

/** The snapshot's key: that of the container, and which of its mounts. */
function keyOf(container: string, target: string): string {
  const mount = createHash('sha256').update(target).digest('hex').slice(0, KEY_DIGITS)
  return `${container}.${mount}`
}

/** The container that a snapshot belongs to. */
export function ownerOfSnapshot(key: string): string {
  return key.split('.')[0] ?? ''
}

/** Removes the snapshots of a container's image mounts. */
export async function removeImageMounts(context: Context, record: ContainerRecord): Promise<void> {
  for (const { kind, target } of record.config.mounts)
    if (kind === 'image') await context.snapshotter.remove(keyOf(record.id, target))
}

/** @throws {NOT_FOUND} for a subpath that the image does not have */
export async function imageSource(
  context: Context,
  record: ContainerRecord,
  request: {
    readonly mount: ImageMount
    readonly userns: StackUserNamespace | undefined
    readonly scope: FdScope
  },
): Promise<MountSource> {
  const { mount, userns, scope } = request
  const start = userns?.range.start ?? 0
  const snapshot = await context.snapshotter.prepare(
    keyOf(record.id, mount.target),
    context.images.inspect(mount.image.id),
    { uid: start, gid: start },
  )
  const { fd } = openRoot(snapshot, userns, scope)
  if (mount.subpath === undefined) return { mount, detached: { fd, isMapped: true } }
  return {
    mount,
    detached: { fd: scope.add(subtree(fd, mount, context.directories.layers)), isMapped: true },
  }
}

function subtree(root: number, mount: ImageMount, attachIn: string | undefined): number {
  const subpath = mount.subpath ?? ''
  const place = tryOpenConfined(root, subpath, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
  if (place < 0)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot mount subpath "${subpath}" of image "${mount.image.reference}": it has no such path`,
    )
  try {
    return clonePart(root, place, attachIn)
  } finally {
    closeSync(place)
  }
}
