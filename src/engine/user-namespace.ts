/** A stack's user namespace: a range of host ids, the namespace itself, and the layers as seen through it. */
import { closeSync } from 'node:fs'
import { MountAttribute } from '../kernel/constants.ts'
import { changeMount, cloneTree } from '../kernel/detached-mount.ts'
import { createUserNamespace, type IdRange } from '../kernel/namespaces.ts'
import { attachLayer, detachLayer } from './layer-mounts.ts'

export const RANGE_LENGTH = 65_536

export interface StackUserNamespace {
  readonly fd: number
  readonly range: IdRange
  /** An image layer, ID-mapped: a mount that is made once and shared by the stack's containers. */
  layer(path: string): number
  /** Closes all descriptors; running containers keep theirs. Safe to call twice. */
  close(): void
}

/**
 * Makes the namespace of a stack. Another one with the same range is as good: ids are all that counts.
 * @param attachIn where layers are attached, for kernels that want it (layer-mounts.ts)
 */
export function openStackUserNamespace(rangeStart: number, attachIn?: string): StackUserNamespace {
  const range = { start: rangeStart, length: RANGE_LENGTH }
  const fd = createUserNamespace(range)
  const layers = new Map<string, number>()
  const places: string[] = []
  let open = true
  return {
    fd,
    range,
    layer(path) {
      const known = layers.get(path)
      if (known !== undefined) return known
      const mount = cloneTree(path, { recursive: false })
      try {
        changeMount(mount, { usernsFd: fd, set: MountAttribute.RDONLY })
        if (attachIn !== undefined) places.push(attachLayer(mount, attachIn))
      } catch (error) {
        closeSync(mount)
        throw error
      }
      layers.set(path, mount)
      return mount
    },
    close() {
      if (!open) return
      open = false
      for (const mount of layers.values()) closeSync(mount)
      for (const place of places) detachLayer(place)
      closeSync(fd)
    },
  }
}
