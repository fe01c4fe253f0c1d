/** LayerEntry: one file of a layer that is being made from files of this host, or of a layer's own tree. */

interface EntryAttributes {
  /** Relative to the root, without a slash in front; '' is the root itself. No component is a symlink. */
  readonly path: string
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Whole seconds since the epoch. */
  readonly mtime: number
  /** Sorted by name. */
  readonly xattrs?: readonly (readonly [name: string, value: Buffer])[]
}

export type LayerEntry = EntryAttributes &
  (
    | { readonly type: 'directory' }
    /** A copy of a file of the host. */
    | { readonly type: 'file'; readonly source: string; readonly size: number }
    /** A file with this content. */
    | { readonly type: 'content'; readonly content: Buffer }
    | { readonly type: 'symlink'; readonly target: string }
    /** Another name of an entry that comes earlier. */
    | { readonly type: 'hardlink'; readonly target: string }
    | { readonly type: 'fifo' }
    /** Nothing of lower layers shows at this path. */
    | { readonly type: 'whiteout' }
    /** Nothing of lower layers shows in this directory; its entry comes earlier. */
    | { readonly type: 'opaque' }
  )

/**
 * What a layer keeps of extended attributes: capabilities of files, and what users attach. The rest belongs to the
 * host's security modules or to overlayfs.
 */
export function isLayerXattr(name: string): boolean {
  const isUsers = name.startsWith('user.') && !name.startsWith('user.overlay.')
  return name === 'security.capability' || isUsers
}

/** The order of entries in a layer: a directory comes before what is in it. */
export function compareEntries(a: LayerEntry, b: LayerEntry): number {
  if (a.path === b.path) return a.type === 'opaque' ? 1 : -1
  return a.path < b.path ? -1 : 1
}
