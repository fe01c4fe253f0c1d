/** A part of another stage or image, mounted into a RUN: its layers with the ids of the step's user namespace. */
import type { StepMount } from '../builder/build-input.ts'
import type { ContainerMount } from '../engine/container-config.ts'
import type { MountSource } from '../engine/host-mount.ts'
import { clonePart } from '../engine/layer-mounts.ts'
import { openRoot } from '../engine/root-file-system.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import { Open } from '../kernel/constants.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'

/** @throws {NOT_FOUND} there is nothing at the source */
export function layersSource(
  { source, tree }: StepMount & { readonly kind: 'layers' },
  mount: ContainerMount,
  {
    userns,
    scope,
    attachIn,
  }: {
    readonly userns: StackUserNamespace | undefined
    readonly scope: FdScope
    /** See clonePart(). */
    readonly attachIn: string | undefined
  },
): MountSource {
  const { fd } = openRoot(tree, userns, scope)
  if (source === '/') return { mount, detached: { fd, isMapped: true } }
  const place = tryOpenConfined(fd, source, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
  if (place < 0)
    throw new TsstackError(
      'NOT_FOUND',
      `can't mount "${source}" at "${mount.target}": it is not there`,
    )
  const part = scope.add(clonePart(fd, scope.add(place), attachIn))
  return { mount, detached: { fd: part, isMapped: true } }
}
