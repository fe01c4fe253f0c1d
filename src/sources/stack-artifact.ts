/**
 * A stack in a registry, as `docker compose publish` makes it (internal/oci/push.go of docker/compose): an OCI artifact
 * whose layers are files. Stack files are merged in their order; those that are extended, and environment files, are
 * found by the names that they have there.
 */

export const PROJECT_TYPE = 'application/vnd.docker.compose.project'
export const STACK_FILE_TYPE = 'application/vnd.docker.compose.file+yaml'
export const ENVIRONMENT_FILE_TYPE = 'application/vnd.docker.compose.envfile'

/** Annotations of layers. */
export const ANNOTATION = {
  /** Name of a stack file. */
  file: 'com.docker.compose.file',
  /** `true`: the file is extended by others, and not a part of the stack itself. */
  isExtended: 'com.docker.compose.extends',
  /** Name of an environment file. */
  environmentFile: 'com.docker.compose.envfile',
} as const
