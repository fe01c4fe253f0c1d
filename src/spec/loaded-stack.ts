import type { Stack } from './stack.ts'

/** What loading gives: the model, the bytes of the files that it reads at run time, and what was suspicious. */
export interface LoadedStack {
  readonly stack: Stack
  /** Absolute paths of the stack files, in order. */
  readonly files: readonly string[]
  /** Absolute; relative paths of the stack files are relative to it. */
  readonly workingDir: string
  /** Content of each config and secret that is not external and that an active service uses, by its key in the stack; base64. */
  readonly contents: StackContents
  /** Services of the files that no active profile enables. */
  readonly disabledServices: readonly string[]
  readonly warnings: readonly SpecWarning[]
  /**
   * Where a path of the model is written, as deep as it can be followed: `['services', 'web', 'image']`. undefined when it
   * is written nowhere: a default, or a stack that is a program.
   */
  readonly locate: (path: readonly string[]) => FilePosition | undefined
}

/** Lines and columns from 1. */
export interface FilePosition {
  /** Absolute. */
  readonly file: string
  readonly line: number
  readonly column: number
}

export interface StackContents {
  readonly configs: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, string>>
}

export interface SpecWarning {
  readonly message: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
}
