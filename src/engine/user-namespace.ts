/** A stack's user namespace: a range of host ids, the namespace itself, and the layers as seen through it. */
import { closeSync, statSync } from 'node:fs'
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
  const layers = new Map<string, { readonly mount: number; readonly inode: bigint }>()
  const places: string[] = []
  let open = true
  return {
    fd,
    range,
    layer(path) {
      // A layer may be removed and come again: the mount keeps the inode of the one that is gone, so no other has it.
      const inode = statSync(path, { bigint: true }).ino
      const known = layers.get(path)
      if (known?.inode === inode) return known.mount
      if (known !== undefined) closeSync(known.mount)
      const mount = cloneTree(path, { recursive: false })
      try {
        changeMount(mount, { usernsFd: fd, set: MountAttribute.RDONLY })
        if (attachIn !== undefined) places.push(attachLayer(mount, attachIn))
      } catch (error) {
        closeSync(mount)
        throw error
      }
      layers.set(path, { mount, inode })
      return mount
    },
    close() {
      if (!open) return
      open = false
      for (const { mount } of layers.values()) closeSync(mount)
      for (const place of places) detachLayer(place)
      closeSync(fd)
    },
  }
}
