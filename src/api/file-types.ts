/**
 * The files of containers on the wire.
 *
 *   GET  /v1/containers/:id/changes    FileChange[]
 *   GET  /v1/containers/:id/export     the whole root as a tar archive
 *   GET  /v1/containers/:id/files/state   FileState of `path`
 *   GET  /v1/containers/:id/files         FileQuery; a tar archive
 *   POST /v1/containers/:id/commit        CommitRequest; { id } of the image
 *   POST /v1/containers/:id/files         `path` of a directory, `keepIds`; the body is a tar archive
 */

/** What is at a path of a container; links are followed. */
export interface FileState {
  readonly exists: boolean
  readonly isDirectory: boolean
}

export interface FileQuery {
  readonly path: string
  /** What a link leads to, instead of the link. */
  readonly follow: boolean
  /** What it is called in the archive; '' for the contents of a directory alone. */
  readonly name: string
}

/** One file that a container has added, changed or deleted. */
export interface FileChange {
  readonly kind: 'added' | 'changed' | 'deleted'
  /** Absolute, as the container has it. */
  readonly path: string
}

export interface CommitRequest {
  /** The image's name. */
  readonly reference?: string
  readonly author?: string
  readonly message?: string
  /** Instructions of a Dockerfile that change the configuration: `ENV A=1`. */
  readonly changes: readonly string[]
  /** Pause the container meanwhile. */
  readonly pause: boolean
}
