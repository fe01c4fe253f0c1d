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
  readonly warnings: readonly SpecWarning[]
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
