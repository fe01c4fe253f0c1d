/** A small tmpfs of the container's own with single files in it: configs, secrets, /etc/hosts. Never on a disk. */
import { closeSync, writeSync } from 'node:fs'
import { MountAttribute, Open } from '../kernel/constants.ts'
import { changeMount, mountFileSystem } from '../kernel/detached-mount.ts'
import { syscall } from '../kernel/libc.ts'
import type { FdScope } from '../kernel/fd-scope.ts'

export interface TreeFile {
  /** Absolute path in the container at which it will be seen. */
  readonly target: string
  readonly content: Uint8Array
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/**
 * Makes a detached tmpfs in which the files are named `0`, `1`, … in the order given.
 * @param options.owner host id of the container's root, added to the files' ids
 */
export function createFileTree(
  files: readonly TreeFile[],
  options: { readonly owner: number; readonly readOnly: boolean; readonly scope: FdScope },
): number {
  // A script among the configs is run as it is: its mode says so.
  const isProgram = files.some(({ mode }) => (mode & 0o111) !== 0)
  const attributes =
    MountAttribute.NOSUID | MountAttribute.NODEV | (isProgram ? 0 : MountAttribute.NOEXEC)
  const bytes = files.reduce((sum, file) => sum + file.content.length, 0)
  // /etc/hosts and the like may be appended to: room for 1 MiB more
  const size = bytes + files.length * 4096 + (1 << 20)
  const tree = options.scope.add(
    mountFileSystem(
      'tmpfs',
      [
        ['mode', '0755'],
        ['size', String(size)],
      ],
      attributes,
    ),
  )
  files.forEach((file, index) => {
    const fd = syscall(
      'openat',
      tree,
      String(index),
      Open.CREAT | Open.WRONLY | Open.CLOEXEC,
      0o600,
    )
    try {
      writeAll(fd, file.content)
      syscall('fchown', fd, options.owner + file.uid, options.owner + file.gid)
      syscall('fchmod', fd, file.mode)
    } finally {
      closeSync(fd)
    }
  })
  if (options.readOnly) changeMount(tree, { set: MountAttribute.RDONLY })
  return tree
}

function writeAll(fd: number, content: Uint8Array): void {
  for (let offset = 0; offset < content.length;) offset += writeSync(fd, content, offset)
}
