/** Which stack is meant: files, as the command line finds them, or a value. */
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { SourceOptions } from '../sources/load-sources.ts'
import type { StackDefinition } from './define-stack.ts'

export interface StackOptions {
  /** A stack as a value, instead of files. */
  readonly stack?: StackDefinition
  /** As `-f`: paths, relative to `cwd`. Default: stack.yaml, compose.yaml, …, stack.ts there or above. */
  readonly files?: readonly string[]
  /** Default: that of the process. */
  readonly cwd?: string
  /** What `${NAME}` is replaced from, and which daemon is meant (`TSSTACK_HOST`). Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** As `--env-file`. */
  readonly envFiles?: readonly string[]
  /** As `--profile`. */
  readonly profiles?: readonly string[]
  /** As `-p`: lower-case letters, digits, `-` and `_`. */
  readonly projectName?: string
  /** As `--project-directory`. */
  readonly projectDirectory?: string
}

/** Stands for the file of a stack that is a value. */
const VALUE_NAME = 'stack-value.ts'

/** What the loader is told. */
export function toSourceOptions(options: StackOptions): SourceOptions {
  const { stack, files = [], envFiles = [], profiles = [], projectName, projectDirectory } = options
  const cwd = resolve(options.cwd ?? '.')
  const variables = Object.entries(options.env ?? process.env).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  const value = resolve(projectDirectory ?? cwd, VALUE_NAME)
  return {
    cwd,
    env: Object.fromEntries(variables),
    home: homedir(),
    envFiles,
    profiles,
    files: stack === undefined ? files : [value],
    ...(stack === undefined ? {} : { values: new Map([[value, stack]]) }),
    ...(projectName === undefined ? {} : { projectName }),
    ...(projectDirectory === undefined ? {} : { projectDirectory }),
  }
}
