/** What loading a stack is told: where the files are, the environment, and which phases to leave out. */

import type { Fetched } from './fetched.ts'
import type { Finding } from './finding.ts'
import type { Stack } from './stack.ts'

/** The file system as loading needs it; `spec` does no I/O of its own. */
export interface FileAccess {
  /** Throws as `node:fs` does (`code` is `ENOENT`, …). */
  readFile(path: string): Uint8Array
  exists(path: string): boolean
  isDirectory(path: string): boolean
  realpath?(path: string): string
  /** Whether what it says may be quoted nowhere. */
  isSecret?(path: string): boolean
}

export interface LoadOptions {
  readonly fs: FileAccess
  /** Absent: remote files and modules are errors. */
  readonly fetched?: Fetched
  /** Absolute. */
  readonly cwd: string
  /** The process environment. */
  readonly env: Readonly<Record<string, string>>
  readonly home?: string
  /** As of `-f`; `-` is standard input. */
  readonly files?: readonly string[]
  readonly stdin?: string
  /** As of `--env-file`. */
  readonly envFiles?: readonly string[]
  readonly profiles?: readonly string[]
  readonly projectName?: string
  readonly projectDirectory?: string
  /** These services and what they depend on; all that are active when empty or absent. */
  readonly services?: readonly string[]
  /** As `services`, but the stack keeps the others: only what concerns bringing them up together is not checked. */
  readonly focus?: readonly string[]
  /** False: variables stay as they are written. */
  readonly interpolate?: boolean
  /** False: no default network, no names, no implicit dependencies. */
  readonly normalize?: boolean
  /** False: relative paths stay relative. */
  readonly resolvePaths?: boolean
  /** False: references to what is not there are no errors. */
  readonly consistency?: boolean
  /** False: `env_file` and `label_file` stay, and variables without value are not looked up. */
  readonly resolveEnvironment?: boolean
  /** False: what configs and secrets hold is not read, nor are profiles of seccomp. */
  readonly readContents?: boolean
  /** True: networks, volumes, configs and secrets that no service uses stay. */
  readonly allResources?: boolean
  /** What else is wrong with the stack, in the eyes of who loads it: told like the loader's own errors, with their places. */
  readonly check?: (stack: Stack) => readonly Finding[]
}
