/**
 * The files of containers on the wire.
 *
 *   GET  /v1/containers/:id/changes    FileChange[]
 *   GET  /v1/containers/:id/export     the whole root as a tar archive
 */

/** One file that a container has added, changed or deleted. */
export interface FileChange {
  readonly kind: 'added' | 'changed' | 'deleted'
  /** Absolute, as the container has it. */
  readonly path: string
}
