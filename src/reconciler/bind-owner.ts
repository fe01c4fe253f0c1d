/**
 * `x-tsstack.owner`: which id on the disk is the container's root in a bind mount. All other ids are the same on both
 * sides, but for the disk's 0: nothing in the container is the host's root, and what belongs to that shows as nobody's.
 */
import { statSync } from 'node:fs'
import type { BindOwner } from '../engine/container-config.ts'
import { RANGE_LENGTH } from '../engine/user-namespace.ts'
import { createMappedUserNamespace, type IdMapping } from '../kernel/namespaces.ts'
import type { FdScope } from '../kernel/fd-scope.ts'

/**
 * @param start host id of the container's root
 * @returns undefined when ids need no other map than the container's own
 */
export function openBindOwner(
  owner: BindOwner,
  source: string,
  { start, scope }: { readonly start: number; readonly scope: FdScope },
): { readonly usernsFd: number; readonly owner: number } | undefined {
  const { uid, gid } = owner === 'folder' ? statSync(source) : owner
  if (uid === 0 && gid === 0) return undefined
  const usernsFd = createMappedUserNamespace(idMap(uid, start), idMap(gid, start))
  return { usernsFd: scope.add(usernsFd), owner: uid }
}

/** Ids on the disk as ids of the container. */
export function idMap(owner: number, start: number): IdMapping[] {
  if (owner === 0) return [{ inside: 0, outside: start, length: RANGE_LENGTH }]
  const below = { inside: 1, outside: start + 1, length: Math.min(owner, RANGE_LENGTH) - 1 }
  const above = {
    inside: owner + 1,
    outside: start + owner + 1,
    length: RANGE_LENGTH - owner - 1,
  }
  return [{ inside: owner, outside: start, length: 1 }, below, above].filter(
    ({ length }) => length > 0,
  )
}
