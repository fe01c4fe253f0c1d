/**
 * Mount: the value in which engine, images and volumes meet. Whoever knows about a file system says here what is to be
 * mounted; only the container's set-up (engine) turns it into system calls. A Mount never touches the host's mount
 * namespace: it is made detached and attached in the container's own.
 */

export type Mount =
  /** Layers, lowest last, as overlayfs wants them; no upperdir: read-only. Layers are ID-mapped into the stack's range. */
  | {
      readonly kind: 'overlay'
      readonly lowerdirs: readonly string[]
      readonly upperdir?: string
      readonly workdir?: string
    }
  /** A plain directory tree as root (storage driver `vfs`), or a directory or file of the host at `target`. */
  | {
      readonly kind: 'bind'
      readonly source: string
      readonly readOnly?: boolean
      /** With the mounts below it. Default: true. */
      readonly recursive?: boolean
      /** Show the host's ids 0..65535 as the container's 0..65535. Default: true. */
      readonly idMapped?: boolean
      readonly propagation?: 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave'
    }
  | {
      readonly kind: 'tmpfs'
      /** mount(8) options: `size=64m`, `mode=1777`, `uid=1000`. */
      readonly options?: Readonly<Record<string, string>>
      readonly readOnly?: boolean
      readonly noExec?: boolean
    }
